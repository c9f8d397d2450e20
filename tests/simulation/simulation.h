// One run of the simulation, in a process of its own: what is wrong with the cloud ends it.
#ifndef TESTS_SIMULATION_SIMULATION_H
#define TESTS_SIMULATION_SIMULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SKIPS_MAX 256

struct span {
    int64_t from, to; // both included
};

struct options {
    uint64_t seed;
    int64_t steps;
    int repeat;
    bool in_memory, no_troubles, verbose;
    const char *directory;
    struct span skips[SKIPS_MAX];
    size_t skip_count;
};

struct shared {      // between a run, which is a process of its own, and who started it
    int64_t step;    // that is being run
    uint64_t digest; // of all events, at its end
};

bool simulation_skips(const struct options *o, int64_t step);
void simulation_run(const struct options *o, struct shared *shared);

#endif
