/* remote_queue.h: the way of a freed block to a slab that another heap owns, without a lock.
 *
 * Owns:      the queue of a slab (many producers, one consumer) and the ready list of an owner.
 * Knows not: who produces or consumes, or when.
 * Threads:   hak_remote_push() and hak_ready_push() by any thread; hak_ready_take_all(),
 *            hak_remote_take() by the holder of the owner's lock.
 *
 * A slab's queue is a stack of blocks. One word, slab->remote, says where it begins and ends and
 * how many blocks it holds; 0 means empty. So the consumer takes it as it is, without a walk along
 * links that lie in other cores' caches. The producer that pushes onto an empty queue, and only it,
 * then puts the slab on its owner's ready list. The consumer takes a slab off the ready list first
 * and empties its queue second, at once or much later:
 *
 *   remote == 0  --push: block-->  remote != 0, producer is on its way to the ready list
 *        ^                                |  hak_ready_push
 *        |                                v
 *        |                         on the ready list  --hak_ready_take_all-->  consumer's hands
 *        +----------------------------hak_remote_take--------------------------------+
 *
 * No other order is allowed. Were a queue emptied while its slab is still on a ready list, the
 * next producer would find it empty and link the slab a second time. Were a block taken from the
 * queue by anything but this path, or pushed while it also stands on a free list, it would be
 * in two places, and the later of two owners would write a link over the earlier's data.
 *
 * Why a slab can be released without asking producers: it is released when all its blocks are
 * home. A producer between its push and its hak_ready_push() has pushed a block that is not home,
 * and it will not get home before that producer's hak_ready_push(), since the consumer finds the
 * slab only there. After hak_ready_push() the producer does not touch the slab again.
 */
#ifndef HAK_REMOTE_QUEUE_H
#define HAK_REMOTE_QUEUE_H

#include "freelist.h"
#include "superslab.h"

/* The word: the first block and the last one, by their places, and the count above. */
#define HAK_REMOTE_TAIL_SHIFT 16
#define HAK_REMOTE_COUNT_SHIFT 32
_Static_assert(sizeof(uintptr_t) == 8, "two places and a count");

HAK_INLINE uintptr_t hak_remote_word(hak_chain_t queue) {
    return hak_slab_place(queue.head) | hak_slab_place(queue.tail) << HAK_REMOTE_TAIL_SHIFT |
           (uintptr_t)queue.count << HAK_REMOTE_COUNT_SHIFT;
}

HAK_INLINE unsigned hak_remote_count(uintptr_t word) {
    return (unsigned)(word >> HAK_REMOTE_COUNT_SHIFT);
}

HAK_INLINE hak_chain_t hak_remote_chain(uintptr_t word, const void *near) {
    if (word == 0) {
        return (hak_chain_t){NULL, NULL, 0};
    }
    return (hak_chain_t){hak_slab_at(word, near), hak_slab_at(word >> HAK_REMOTE_TAIL_SHIFT, near),
                         hak_remote_count(word)};
}

/* Pushes the chain; true when the queue was empty and the caller must therefore call
 * hak_ready_push() for the slab. The release makes the links in the blocks visible to the
 * consumer's acquire in hak_remote_take(). Should the word come again between a look and its CAS,
 * it says the same of the same blocks. */
HAK_INLINE bool hak_remote_push(hak_slab_t *slab, hak_chain_t chain) {
    uintptr_t word = hak_load_relaxed(&slab->remote); /* a stale one only makes the CAS fail */
    hak_chain_t queue;
    do {
        queue = hak_remote_chain(word, chain.head);
        hak_block_set_next(chain.tail, queue.head);
        queue.tail = queue.count == 0 ? chain.tail : queue.tail;
        queue = (hak_chain_t){chain.head, queue.tail, queue.count + chain.count};
    } while (!hak_cas_weak_release(&slab->remote, &word, hak_remote_word(queue)));
    return word == 0;
}

/* All blocks of the queue. Acquire pairs with the release of each hak_remote_push(): the CASes
 * form one release sequence, so the links of every producer are visible. */
HAK_INLINE hak_chain_t hak_remote_take(hak_slab_t *slab, const void *near) {
    return hak_remote_chain(hak_exchange_acquire(&slab->remote, 0), near);
}

/* Where it begins now, for who only looks. The acquire as above. */
HAK_INLINE void *hak_remote_first(const hak_slab_t *slab, const void *near) {
    return hak_remote_chain(hak_load_acquire(&slab->remote), near).head;
}

/* Sequentially consistent: a producer pushes and then reads whether the owner is an orphan; a
 * thread that exits makes its heap an orphan and then reads the list (heap.c). One of the two must
 * see the other's store, or the slab would be stranded. It also releases ready_next. */
HAK_INLINE void hak_ready_push(hak_slab_t *_Atomic *list, hak_slab_t *slab) {
    hak_slab_t *first = hak_load_relaxed(list);
    do {
        hak_store_relaxed(&slab->ready_next, first);
    } while (!hak_cas_weak_seq(list, &first, slab));
}

/* The whole list at once, so there is no ABA. Pairs with hak_ready_push(). */
HAK_INLINE hak_slab_t *hak_ready_take_all(hak_slab_t *_Atomic *list) {
    if (hak_load_seq(list) == NULL) {
        return NULL;
    }
    return hak_exchange_seq(list, NULL);
}

#endif
