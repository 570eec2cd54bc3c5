// Random replacement of large blocks: what the holes between them cost at the peak.
#include "check.h"

enum { SLOTS = 256, ROUNDS = 10000 };

static size_t random_below(uint64_t *state, size_t n) {
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (size_t)((*state >> 33) % n);
}

// 32 KiB to 1 MiB, all sizes alike, all of it touched.
static void replace_at_random(void) {
    static unsigned char *slots[SLOTS];
    static size_t sizes[SLOTS];
    uint64_t seed = 1;
    size_t live = 0;
    size_t live_peak = 0;
    size_t start_kib = status_kib("VmRSS");
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t slot = random_below(&seed, SLOTS);
        free(slots[slot]);
        live -= sizes[slot];
        sizes[slot] = 32 * KIB + 1 + random_below(&seed, MIB - 32 * KIB);
        live += sizes[slot];
        live_peak = live > live_peak ? live : live_peak;
        slots[slot] = malloc(sizes[slot]);
        CHECK(slots[slot] != NULL);
        memset(slots[slot], 1, sizes[slot]);
    }
    size_t peak_kib = status_kib("VmHWM") - start_kib;
    CHECK(peak_kib >= live_peak / KIB);
    if (runs_under_hakmem()) {
        CHECK(peak_kib <= live_peak / KIB / 100 * 105); // it is 1 %; 15 % would be tolerable
    }
}

static void random_replacement_peaks_near_what_is_live(void) {
    in_child(replace_at_random);
}

CHECK_MAIN(CASE(random_replacement_peaks_near_what_is_live))
