/* big_numbers.c: arithmetic on numbers that are heap blocks, one for each intermediate result
 *
 * Owns:      the numbers of one step, and RELATIONS pairs that live on for a while.
 * Threads:   one.
 *
 * Expands the square root of a 160-bit number N into a continued fraction, as the factoring method
 * of Morrison and Brillhart (1975) does. Every result is a new block of 12 to 60 bytes, freed as
 * soon as it has been used: the blocks live for a microsecond, except for the pairs that are kept
 * as such a factoring program keeps its relations. One operation is one number made and freed.
 *
 * Invariant, checked for every pair that is dropped: A * A = +-Q (mod N).
 */
#include "bench.h"

static const char usage[] = "big_numbers STEPS SEED";

#define N_DIGITS 5
#define RELATIONS 4096
#define MAX_DIGITS 16

/* Digits of 32 bits, the lowest first. Invariant: the highest is not 0; zero has no digits. */
typedef struct {
    uint32_t count;
    uint32_t digits[];
} number_t;

typedef struct {
    number_t *a;
    number_t *q;
    bool is_negative; /* A * A = -Q */
} relation_t;

static relation_t relations[RELATIONS];
static uint64_t made; /* numbers */

/* ---- blocks ---- */

static number_t *make(uint32_t count) {
    number_t *number = malloc(sizeof *number + count * sizeof number->digits[0]);
    if (number == NULL) {
        bench_die("malloc returned NULL", NULL);
    }
    number->count = count;
    made++;
    return number;
}

static number_t *trim(number_t *number) {
    while (number->count > 0 && number->digits[number->count - 1] == 0) {
        number->count--;
    }
    return number;
}

static number_t *of_digits(const uint32_t *digits, uint32_t count) {
    number_t *number = make(count);
    memcpy(number->digits, digits, count * sizeof digits[0]);
    return trim(number);
}

/* Frees what `old` was and returns the other: for a variable that takes a new value. */
static number_t *instead_of(number_t *old, number_t *number) {
    free(old);
    return number;
}

/* ---- arithmetic ---- */

static int compare(const number_t *x, const number_t *y) {
    if (x->count != y->count) {
        return x->count < y->count ? -1 : 1;
    }
    for (uint32_t i = x->count; i-- > 0;) {
        if (x->digits[i] != y->digits[i]) {
            return x->digits[i] < y->digits[i] ? -1 : 1;
        }
    }
    return 0;
}

static uint32_t digit_at(const number_t *x, uint32_t i) {
    return i < x->count ? x->digits[i] : 0;
}

static number_t *add(const number_t *x, const number_t *y) {
    number_t *sum = make((x->count > y->count ? x->count : y->count) + 1);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < sum->count; i++) {
        carry += (uint64_t)digit_at(x, i) + digit_at(y, i);
        sum->digits[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return trim(sum);
}

/* x is not smaller than y. */
static number_t *subtract(const number_t *x, const number_t *y) {
    number_t *difference = make(x->count);
    uint64_t borrow = 0;
    for (uint32_t i = 0; i < x->count; i++) {
        uint64_t digit = (uint64_t)x->digits[i] - digit_at(y, i) - borrow;
        difference->digits[i] = (uint32_t)digit;
        borrow = digit >> 63;
    }
    return trim(difference);
}

static number_t *multiply(const number_t *x, const number_t *y) {
    number_t *product = make(x->count + y->count);
    memset(product->digits, 0, product->count * sizeof product->digits[0]);
    for (uint32_t i = 0; i < x->count; i++) {
        uint64_t carry = 0;
        for (uint32_t k = 0; k < y->count; k++) {
            carry += (uint64_t)x->digits[i] * y->digits[k] + product->digits[i + k];
            product->digits[i + k] = (uint32_t)carry;
            carry >>= 32;
        }
        product->digits[i + y->count] = (uint32_t)carry;
    }
    return trim(product);
}

/* Subtracts digit * y from the digits at `at`, one more than y has; adds y back while that was too
 * much. Returns the digit that was right. */
static uint32_t reduce(uint32_t *at, const uint32_t *y, uint32_t count, uint64_t digit) {
    uint64_t carry = 0, borrow = 0;
    for (uint32_t i = 0; i <= count; i++) {
        carry += i < count ? digit * y[i] : 0;
        uint64_t left = (uint64_t)at[i] - (uint32_t)carry - borrow;
        at[i] = (uint32_t)left;
        borrow = left >> 63;
        carry >>= 32;
    }
    while (borrow != 0) {
        uint64_t sum = 0;
        for (uint32_t i = 0; i <= count; i++) {
            sum += (uint64_t)at[i] + (i < count ? y[i] : 0);
            at[i] = (uint32_t)sum;
            sum >>= 32;
        }
        borrow -= sum;
        digit--;
    }
    return (uint32_t)digit;
}

static void shift_left(uint32_t *to, const number_t *x, unsigned bits) {
    uint64_t carry = 0;
    for (uint32_t i = 0; i < x->count; i++) {
        carry |= (uint64_t)x->digits[i] << bits;
        to[i] = (uint32_t)carry;
        carry >>= 32;
    }
    to[x->count] = (uint32_t)carry;
}

/* Long division with digits of 32 bits (Knuth's algorithm D). y is not zero. Returns the quotient;
 * the remainder goes to *remainder where that is not NULL. */
static number_t *divide(const number_t *x, const number_t *y, number_t **remainder) {
    uint32_t left[MAX_DIGITS + 1] = {0}, by[MAX_DIGITS + 1];
    uint32_t n = y->count;
    unsigned bits = (unsigned)__builtin_clz(y->digits[n - 1]);
    shift_left(left, x, bits);
    shift_left(by, y, bits);
    number_t *quotient = make(x->count >= n ? x->count - n + 1 : 0);
    for (uint32_t i = quotient->count; i-- > 0;) {
        uint64_t top = (uint64_t)left[i + n] << 32 | left[i + n - 1];
        uint64_t guess = top / by[n - 1];
        quotient->digits[i] = reduce(&left[i], by, n, guess <= UINT32_MAX ? guess : UINT32_MAX);
    }
    if (remainder != NULL) {
        uint32_t count = x->count >= n ? n : x->count;
        for (uint32_t i = 0; i < count; i++) {
            left[i] = (uint32_t)(((uint64_t)left[i + 1] << 32 | left[i]) >> bits);
        }
        *remainder = of_digits(left, count);
    }
    return trim(quotient);
}

/* The largest number whose square is not above x, by Newton's iteration from above. */
static number_t *square_root(const number_t *x) {
    static const uint32_t two_digits[] = {2};
    uint32_t start[MAX_DIGITS] = {0};
    start[(x->count + 1) / 2] = 1;
    number_t *root = of_digits(start, (x->count + 1) / 2 + 1);
    number_t *two = of_digits(two_digits, 1);
    for (;;) {
        number_t *quotient = divide(x, root, NULL);
        number_t *sum = instead_of(quotient, add(root, quotient));
        number_t *next = instead_of(sum, divide(sum, two, NULL));
        if (compare(next, root) >= 0) {
            free(next);
            free(two);
            return root;
        }
        root = instead_of(root, next);
    }
}

/* ---- the expansion ---- */

/* Names as in the literature: P, Q and the partial quotient; A, the numerators of the convergents
 * modulo N. */
typedef struct {
    number_t *n;
    number_t *root; /* of N, rounded down */
    number_t *p;
    number_t *q;
    number_t *quotient;
    number_t *a;
    number_t *a_before;
} expansion_t;

static expansion_t start(uint64_t seed) {
    static const uint32_t one[] = {1};
    bench_random_t random = bench_random_start(seed, 0);
    uint32_t digits[N_DIGITS];
    for (int i = 0; i < N_DIGITS; i++) {
        digits[i] = (uint32_t)bench_random_next(&random);
    }
    digits[0] = digits[0] / 4 * 4 + 3; /* no square ends like this in binary */
    digits[N_DIGITS - 1] |= UINT32_C(1) << 31;
    number_t *n = of_digits(digits, N_DIGITS);
    number_t *root = square_root(n);
    return (expansion_t){.n = n,
                         .root = root,
                         .p = make(0),
                         .q = of_digits(one, 1),
                         .quotient = of_digits(root->digits, root->count),
                         .a = of_digits(root->digits, root->count),
                         .a_before = of_digits(one, 1)};
}

/* P := quotient * Q - P; Q := (N - P * P) / Q; quotient := (root + P) / Q */
static void step_fraction(expansion_t *at) {
    number_t *product = multiply(at->quotient, at->q);
    at->p = instead_of(at->p, subtract(product, at->p));
    free(product);
    number_t *square = multiply(at->p, at->p);
    number_t *rest = instead_of(square, subtract(at->n, square));
    at->q = instead_of(at->q, divide(rest, at->q, NULL));
    free(rest);
    number_t *sum = add(at->root, at->p);
    at->quotient = instead_of(at->quotient, divide(sum, at->q, NULL));
    free(sum);
}

/* A := quotient * A + the A before (mod N) */
static void step_numerator(expansion_t *at) {
    number_t *product = multiply(at->quotient, at->a);
    number_t *sum = instead_of(product, add(product, at->a_before));
    number_t *remainder;
    free(divide(sum, at->n, &remainder));
    free(sum);
    free(at->a_before);
    at->a_before = at->a;
    at->a = remainder;
}

static void drop(const expansion_t *at, relation_t *relation) {
    if (relation->a == NULL) {
        return;
    }
    number_t *square = multiply(relation->a, relation->a);
    number_t *remainder;
    free(divide(square, at->n, &remainder));
    free(square);
    if (relation->is_negative) {
        remainder = instead_of(remainder, subtract(at->n, remainder));
    }
    if (compare(remainder, relation->q) != 0) {
        bench_die("the bytes of a live block have changed", relation->a);
    }
    free(remainder);
    free(relation->a);
    free(relation->q);
}

/* A of the step before belongs to the Q of this one. */
static void keep(const expansion_t *at, uint64_t step) {
    relation_t *relation = &relations[step % RELATIONS];
    drop(at, relation);
    *relation = (relation_t){.a = of_digits(at->a->digits, at->a->count),
                             .q = of_digits(at->q->digits, at->q->count),
                             .is_negative = step % 2 == 0};
}

static void finish(expansion_t *at) {
    for (uint64_t i = 0; i < RELATIONS; i++) {
        drop(at, &relations[i]);
    }
    free(at->n);
    free(at->root);
    free(at->p);
    free(at->q);
    free(at->quotient);
    free(at->a);
    free(at->a_before);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        bench_usage(usage);
    }
    uint64_t steps = bench_arg(argv[1], 1, BENCH_MAX_COUNT, usage);
    uint64_t seed = bench_arg(argv[2], 0, UINT64_MAX, usage);
    double start_s = bench_now_s();
    expansion_t at = start(seed);
    for (uint64_t step = 0; step < steps; step++) {
        step_fraction(&at);
        keep(&at, step);
        step_numerator(&at);
    }
    finish(&at);
    bench_report(made, bench_now_s() - start_s);
    return 0;
}
