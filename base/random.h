// Seeded randomness and ids without state: a draw is a pure function of (seed, revision, stream),
// an id of (seed, kind, revision). The same seed and the same committed changes give the same draws
// and ids, whatever crashed in between.
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define ID_MAX 24 // prefix, '-', 17 hex digits, NUL

uint64_t random_u64(uint64_t seed, int64_t revision, uint32_t stream);
double random_unit(uint64_t seed, int64_t revision, uint32_t stream); // [0, 1)

// <prefix>-<17 hex digits> of the name-based UUID (RFC 9562 version 5) of the revision under the
// seed. `prefix` is at most 5 bytes.
void id_make(char out[ID_MAX], const char *prefix, uint64_t seed, int64_t revision);

// As id_make, of a text instead of a revision: the same text under the same seed has the same id.
void id_make_of_text(char out[ID_MAX], const char *prefix, uint64_t seed, const char *text);

// Secrets (tokens) and default seeds come from the operating system (getrandom), never from a seed.
int secret_make(char *out, size_t size, struct error *err); // size-1 characters of [0-9a-f]
uint64_t random_seed(void);

// A distribution of durations. Draws below zero count as zero, above DURATION_MAX as that.
enum distribution_kind {
    DISTRIBUTION_FIXED,
    DISTRIBUTION_UNIFORM,
    DISTRIBUTION_NORMAL,
    DISTRIBUTION_LOGNORMAL
};

struct distribution {
    enum distribution_kind kind;
    int64_t a; // ns: value | min | mean   | mean   (of the drawn value)
    int64_t b; // ns:   -   | max | stddev | stddev (of the drawn value)
};

int64_t distribution_draw(const struct distribution *d, uint64_t seed, int64_t revision,
                          uint32_t stream);

#endif
