// The life of an instance: pure.
#ifndef SIM_INSTANCE_H
#define SIM_INSTANCE_H

#include "sim/machine.h"
#include "sim/records.h"

struct instance_spec; // sim/change.h

enum instance_event {
    INSTANCE_START,
    INSTANCE_STOP,
    INSTANCE_REBOOT,
    INSTANCE_TERMINATE,
    INSTANCE_DEADLINE, // of a timed transition
    INSTANCE_FAIL,
    INSTANCE_EVENTS
};

#define INSTANCE_GONE INSTANCE_STATES // what follows `terminated`: no record any more

#define INSTANCE_DEAD (1U << INSTANCE_TERMINATED) // states in which it holds no name

extern const struct machine instance_machine;

// The state that follows; -ERROR_STATE when the event is illegal. Terminating what is terminating
// or terminated is legal and changes nothing.
int instance_step(enum instance_state state, enum instance_event event, enum instance_state *out);

// Moves it into the state that a step gave, writes it and tells its dependents.
int instance_move(struct txn *t, struct instance *i, int next, struct error *err);
// The deadline of a notice has passed (sim/notice_ops.c).
int notice_fire(struct txn *t, struct instance *i, struct error *err);
int instance_due(struct txn *t, struct resource *r, struct error *err); // kind_ops.due

// --- addresses (sim/instance_address.c) ---
// Claims the given addresses, or allocates as the request says.
int instance_addresses_assign(struct txn *t, struct instance *i, const struct instance_spec *spec,
                              struct error *err);
// Replaces all addresses, keeping the claims of those that stay; *changed turns true if any
// differs.
int instance_addresses_replace(struct txn *t, struct instance *i, const struct instance_spec *spec,
                               bool *changed, struct error *err);
int instance_addresses_release(struct txn *t, const struct instance *i, struct error *err);

#endif
