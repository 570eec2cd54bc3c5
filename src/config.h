/* config.h: the geometry of hakmem, as constants with the equations that tie them together.
 *
 * Owns:      sizes, shifts and limits that are fixed when the library is built.
 * Knows not: options (read at start), page size (read at start).
 * Threads:   no state.
 */
#ifndef HAK_CONFIG_H
#define HAK_CONFIG_H

#include "base.h"

#define HAK_VERSION "0.1.0"

/* Every pointer handed out is a multiple of this. */
#define HAK_ALIGNMENT 16

/* A slot is the unit of the pool, a SuperSlab what the pool maps. */
#define HAK_SLOT_SHIFT 16
#define HAK_SLOT_BYTES ((size_t)1 << HAK_SLOT_SHIFT)
#define HAK_SUPERSLAB_SHIFT 21
#define HAK_SUPERSLAB_BYTES ((size_t)1 << HAK_SUPERSLAB_SHIFT)
#define HAK_SLOTS 32

/* Classes: sixteen-byte steps to 128, then eight steps a doubling (at most an eighth of a block is
 * lost).
 */
#define HAK_TINY_MAX 1024
#define HAK_MID_MAX 32768
#define HAK_TINY_CLASSES 37
#define HAK_CLASSES 77
/* The largest stride whose slab is one slot; wider blocks get slabs of two or four slots. */
#define HAK_ONE_SLOT_MAX 8192
#define HAK_SLAB_SLOTS_MAX 4

#define HAK_SLAB_BYTES_MAX (HAK_SLAB_SLOTS_MAX * HAK_SLOT_BYTES)

/* Bins: how many frees of a class may pass between two looks at its bin, and what a bin and a
 * heap may hold. Measured: waves of 1,000 blocks need 1,024 to settle at zero drains. */
#define HAK_BIN_INTERVAL_MIN 16
#define HAK_HEAP_BINS_KIB 1024

/* In what unit the pool accounts for memory that may be resident; never less than the system does.
 */
#define HAK_DIRTY_PAGE_BYTES 4096
#define HAK_SLOT_DIRTY_PAGES (HAK_SLOT_BYTES / HAK_DIRTY_PAGE_BYTES)

/* With so many tiny slabs in a heap, a new SuperSlab asks for a huge page: one fault instead of
 * 512, and fewer misses of the TLB. At most one slab of a class is not carved to its end, so the
 * slabs are dense; and only the newest SuperSlab has slots that were never in use. So it costs 2
 * MiB at most, a sixteenth, and less the more the heap grows. Of wide blocks a program may never
 * touch the middle: they do not count. */
#define HAK_HUGE_FROM_SLABS (((size_t)32 << 20) / HAK_SLOT_BYTES)
/* A huge page that takes more microseconds is dear: its 512 small ones take 600 to 1,400, itself
 * 170 to 450, but 4,000 to 6,400 where the memory is a guest's and its host has taken it back. */
#define HAK_HUGE_DEAR_US 2000U

/* Slabs of so many slots on the ready list of an owner that seems to be asleep, or that wait there,
 * are emptied on its behalf by the next producer to come by: memory must not wait for the owner.
 * One that looked at its list within so many milliseconds is awake, though it may share a processor
 * with others, and help would cost the producer what the owner is about to do; so more may be
 * there. Half as much may wait, and no longer than that. */
#define HAK_ASLEEP_SLOTS 4U
#define HAK_AWAKE_SLOTS 64U
#define HAK_AWAKE_MS 100U

/* A single block that comes and goes is kept for the next time up to this size. */
#define HAK_PULSE_MAX_BYTES ((size_t)32 << 20)
/* And so many of them, but no more than is live, where there are several. */
#define HAK_PULSES_KEPT 4
/* What boost is bounded by is at least so many times HAKMEM_RETAIN: of a burst of small blocks no
 * more than 16 MiB is kept, even where memory was wanted back. */
#define HAK_PULSE_RETAINS 2
/* So much kept memory does not go when live memory grows beyond its peak. */
#define HAK_SPARE_BYTES ((size_t)3 << 19)

/* The part of the address space in which hakmem places its memory starts here. Zero lets free()
 * look up a pointer without a subtraction. The address sanitizer keeps its shadow at low
 * addresses; builds with it (the core's tests) use a window above the shadow. */
#if defined(__SANITIZE_ADDRESS__)
#define HAK_WINDOW_LOW ((uintptr_t)0x200000000000)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAK_WINDOW_LOW ((uintptr_t)0x200000000000)
#endif
#endif
#ifndef HAK_WINDOW_LOW
#define HAK_WINDOW_LOW ((uintptr_t)0)
#endif
#define HAK_WINDOW_MIN_BYTES ((size_t)1 << 35) /* 32 GiB: a tag table of 512 KiB */
#define HAK_WINDOW_MAX_BYTES ((size_t)1 << 44)
#define HAK_WINDOW_DEFAULT_BYTES ((size_t)1 << 39)

/* The largest request: what does not fit ptrdiff_t cannot be an object in C. */
#define HAK_SIZE_MAX ((size_t)PTRDIFF_MAX)

_Static_assert(HAK_SLOTS *HAK_SLOT_BYTES == HAK_SUPERSLAB_BYTES, "slots fill a SuperSlab");
_Static_assert(HAK_MID_MAX * 8 <= HAK_SLAB_BYTES_MAX, "eight blocks a slab");
_Static_assert((HAK_SLAB_SLOTS_MAX & (HAK_SLAB_SLOTS_MAX - 1)) == 0, "slabs align naturally");

#endif
