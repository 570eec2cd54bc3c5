// A large block freed by another thread, then by the thread that allocated it.
// expect: hakmem: double free of %P \((large, [0-9]+ bytes|memory already returned)\)
#include "misuse.h"

int main(void) {
    void *p = malloc(200000);
    announce('P', p);
    free_in_thread(p);
    free(hide(p));
    return 0;
}
