/* origin.h: by which family of functions a block was allocated.
 *
 * Owns:      the names. Whoever frees must belong to the same family; the hardened mode checks it.
 * Knows not: who remembers it.
 * Threads:   constant.
 */
#ifndef HAK_ORIGIN_H
#define HAK_ORIGIN_H

typedef enum {
    HAK_BY_MALLOC,    /* malloc, calloc, realloc and what aligns: free */
    HAK_BY_NEW,       /* operator new: operator delete */
    HAK_BY_NEW_ARRAY, /* operator new[]: operator delete[] */
    HAK_BY_ANY,       /* not known: nothing is held against whoever frees */
} hak_origin_t;

/* Of a block, where the program says nothing about its size. */
#define HAK_SIZE_UNKNOWN SIZE_MAX

#endif
