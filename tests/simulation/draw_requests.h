// Fills the request of a change of which only the operation and the project are known.
#ifndef TESTS_SIMULATION_DRAW_REQUESTS_H
#define TESTS_SIMULATION_DRAW_REQUESTS_H

#include "tests/simulation/draw.h"

typedef void draw_request(struct draw *d, const struct model *m, struct change *c);
draw_request for_new_instance, for_instance, for_notice, for_route, for_pool, for_address,
    for_balancer, for_quota, for_catalogue;

#endif
