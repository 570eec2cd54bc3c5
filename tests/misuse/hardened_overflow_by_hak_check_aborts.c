// hak_check() looks at blocks that are in use.
// env: HAKMEM_HARDEN=1
// expect: hakmem: heap overflow past %P \(class [0-9]+, 100 bytes\): byte 100 was written to
#include "misuse.h"

#include <dlfcn.h>

int main(void) {
    size_t (*check)(void) = NULL;
    void *symbol = dlsym(RTLD_DEFAULT, "hak_check");
    memcpy(&check, &symbol, sizeof check);
    char *p = malloc(100);
    announce('P', p);
    if (check == NULL || check() != 0) {
        return 2;
    }
    *(volatile char *)moved(p, 100) = 'x';
    (void)check();
    _exit(3);
}
