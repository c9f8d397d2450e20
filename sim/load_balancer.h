// The life of a load balancer (pure), and the parts of its operations.
#ifndef SIM_LOAD_BALANCER_H
#define SIM_LOAD_BALANCER_H

#include "sim/machine.h"
#include "sim/records.h"

struct load_balancer_spec; // sim/change.h

enum load_balancer_event { LB_UPDATE, LB_DELETE, LB_DEADLINE, LB_FAIL, LB_EVENTS };

extern const struct machine load_balancer_machine;

// As instance_step. Deleting what is deleting is legal and changes nothing.
int load_balancer_step(enum load_balancer_state state, enum load_balancer_event event,
                       enum load_balancer_state *out);

int load_balancer_due(struct txn *t, struct resource *r, struct error *err);    // kind_ops.due
int load_balancer_remove(struct txn *t, struct resource *r, struct error *err); // kind_ops.remove

// --- parts (sim/load_balancer_parts.c) ---
#define LISTENERS_MAX 100

// Unique protocol and port, at most LISTENERS_MAX, target pools that exist. Pools that `lb` uses
// already need no look. Errors name "listeners[n].…".
int load_balancer_check_listeners(struct txn *t, const struct load_balancer *lb,
                                  const struct listener *listeners, size_t count,
                                  struct error *err);
// Position of the listener; `count` when there is none.
size_t load_balancer_find_listener(const struct load_balancer *lb, enum protocol protocol,
                                   int port);
// Takes the reserved addresses of the request, or allocates. Reserved ones still have to be bound.
int load_balancer_addresses_assign(struct txn *t, struct load_balancer *lb,
                                   const struct load_balancer_spec *spec, struct error *err);
// Writes `id` (NULL: free) into the records of the reserved addresses.
int load_balancer_addresses_bind(struct txn *t, const struct load_balancer *lb, const char *id,
                                 struct error *err);
// Gives back those that are its own alone.
int load_balancer_addresses_release(struct txn *t, const struct load_balancer *lb,
                                    struct error *err);

#endif
