// The seed of a randomised test, which says it: SEED=n replays what was printed.
#ifndef TESTS_UNIT_SEED_H
#define TESTS_UNIT_SEED_H

#include "base/random.h"

#include <stdlib.h>

static inline uint64_t chosen_seed(void)
{
    const char *given = getenv("SEED");

    return given ? strtoull(given, NULL, 10) : random_seed();
}

#endif
