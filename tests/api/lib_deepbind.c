// A library that allocates and frees for test_deepbind; built as lib_deepbind.so.
#include <stdlib.h>
#include <string.h>

void *lib_malloc(size_t size);
void *lib_realloc(void *p, size_t size);
char *lib_strdup(const char *string);
void lib_free(void *p);

void *lib_malloc(size_t size) {
    return malloc(size);
}

void *lib_realloc(void *p, size_t size) {
    return realloc(p, size);
}

char *lib_strdup(const char *string) {
    return strdup(string);
}

void lib_free(void *p) {
    free(p);
}
