// The life of a route: pure.
#ifndef SIM_ROUTE_H
#define SIM_ROUTE_H

#include "sim/machine.h"
#include "sim/records.h"

enum route_event {
    ROUTE_UP,   // its next hop takes packets: an address, or a running instance
    ROUTE_DOWN, // its next hop does not: any other instance, or one that is gone
    ROUTE_UPDATE,
    ROUTE_DELETE,
    ROUTE_DEADLINE,
    ROUTE_EVENTS
};

#define ROUTE_DEAD \
    (1U << ROUTE_DELETING | 1U << ROUTE_DELETED) // holds neither name nor destination

extern const struct machine route_machine;

// As instance_step. Deleting what is deleting is legal and changes nothing.
int route_step(enum route_state state, enum route_event event, enum route_state *out);

int route_due(struct txn *t, struct resource *r, struct error *err); // kind_ops.due

#endif
