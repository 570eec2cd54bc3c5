// A variable of another thread's stack, which lies among the mappings.
// expect: hakmem: invalid free of %P: not allocated by hakmem
#include "misuse.h"

static void *free_local(void *unused) {
    _Alignas(16) char local[64] = {0};
    announce('P', local);
    free(hide(local));
    return unused;
}

int main(void) {
    in_thread(free_local, NULL);
    return 0;
}
