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
    INSTANCE_UP,      // its backend says that it runs,
    INSTANCE_DOWN,    // that it is there but does not run,
    INSTANCE_LOST,    // that it is not there any more
    INSTANCE_OUTAGE,  // its zone has gone down
    INSTANCE_RECOVER, // and is there again
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
int instance_due(struct txn *t, struct resource *r, struct error *err);    // kind_ops.due
int instance_remove(struct txn *t, struct resource *r, struct error *err); // kind_ops.remove

// --- with a backend (sim/instance_backend.c) ---
// As operation_enter; the state's deadline beside those of the notices.
bool instance_enter(struct txn *t, struct instance *i, int next);
// Its part without notices; a state that a backend brings about lasts until it has, or until a
// deadline.
bool instance_enter_state(struct txn *t, struct instance *i, int next);
// After it was written: the effect that its new state needs, in the outbox.
int instance_want(struct txn *t, const struct instance *i, int before, struct error *err);
// What follows its deadline: `error` when a backend let it pass.
int instance_overdue(struct txn *t, struct instance *i, int *out_next, struct error *err);
// Checks and sets what the request says of its container.
int instance_container(struct txn *t, struct instance *i, const struct instance_spec *spec,
                       struct error *err);
// Control planes are protected (ERROR_IN_USE), unless forced.
int instance_may_go_down(struct txn *t, const struct instance *i, bool force, struct error *err);

// Its cluster is forgotten: terminated, without any effect on the container.
int instance_forget(struct txn *t, const char *id, struct error *err);

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
