// Random changes, drawn from (seed, step) and what the model knows: mostly such as can be done,
// some that must be refused.
#ifndef TESTS_SIMULATION_DRAW_H
#define TESTS_SIMULATION_DRAW_H

#include "tests/simulation/model.h"

struct draw {
    uint64_t seed;
    int64_t step;
    uint32_t stream;
};

uint64_t draw_below(struct draw *d, uint64_t limit);
bool draw_chance(struct draw *d, unsigned percent);
struct change *draw_change(struct draw *d, const struct model *m);
// How far the clock is moved.
int64_t draw_jump(struct draw *d, const struct model *m);
// The address blocks for it: small, so that they get exhausted.
struct pool_config draw_pools(void);

#endif
