// A program for the tools to run. Its arguments are what it does, one after the other:
//   exit=N  raise=N  env=NAME  args  hold=BYTES (a block that is never freed)  touch=FILE  wait=FILE
//   churn=ROUNDS (allocates and frees on slow paths)  fork=FILE (a child, whose process id goes into
//   FILE, does the rest; the parent waits for it)
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 2000 };

static void *volatile held; // keeps a compiler from dropping the allocation

static void hold(size_t bytes) {
    held = malloc(bytes);
    if (held == NULL) {
        _exit(9);
    }
    memset(held, 1, bytes);
}

static void churn(int rounds) {
    static void *blocks[BLOCKS];
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < BLOCKS; i++) {
            blocks[i] = malloc(16 + i % 3000);
        }
        for (size_t i = 0; i < BLOCKS; i++) {
            free(blocks[i]);
        }
    }
}

static void wait_for(const char *path) {
    while (access(path, F_OK) != 0) {
        churn(1);
        usleep(1000);
    }
}

static void touch(const char *path) {
    FILE *file = fopen(path, "w");
    if (file == NULL || fclose(file) != 0) {
        _exit(9);
    }
}

static void fork_child(const char *path) {
    pid_t child = fork();
    if (child == 0) {
        return;
    }
    FILE *file = fopen(path, "w");
    if (child < 0 || file == NULL || fprintf(file, "%d\n", child) < 0 || fclose(file) != 0) {
        _exit(9);
    }
    int status = 0;
    waitpid(child, &status, 0);
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : 9);
}

static void act(const char *name, const char *value) {
    if (strcmp(name, "exit") == 0) {
        exit(atoi(value));
    } else if (strcmp(name, "raise") == 0) {
        raise(atoi(value));
    } else if (strcmp(name, "env") == 0) {
        const char *text = getenv(value);
        printf("%s=%s\n", value, text != NULL ? text : "");
    } else if (strcmp(name, "hold") == 0) {
        hold(strtoul(value, NULL, 10));
    } else if (strcmp(name, "churn") == 0) {
        churn(atoi(value));
    } else if (strcmp(name, "fork") == 0) {
        fork_child(value);
    } else if (strcmp(name, "touch") == 0) {
        touch(value);
    } else if (strcmp(name, "wait") == 0) {
        wait_for(value);
    } else {
        _exit(9);
    }
}

int main(int argc, char **argv) {
    alarm(60); // none outlives a case that fails
    if (argc > 1 && strcmp(argv[1], "args") == 0) {
        for (int i = 0; i < argc; i++) {
            printf("<%s>\n", argv[i]);
        }
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        char name[32];
        const char *equals = strchr(argv[i], '=');
        if (equals == NULL || (size_t)(equals - argv[i]) >= sizeof name) {
            return 9;
        }
        memcpy(name, argv[i], (size_t)(equals - argv[i]));
        name[equals - argv[i]] = '\0';
        act(name, equals + 1);
    }
    return 0;
}
