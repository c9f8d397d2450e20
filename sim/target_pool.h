// The life of a target in its pool (pure), and the editing of a pool's targets.
#ifndef SIM_TARGET_POOL_H
#define SIM_TARGET_POOL_H

#include "sim/machine.h"
#include "sim/records.h"

struct target_ref; // sim/change.h

enum target_event {
    TARGET_UP,   // an address, or its instance runs
    TARGET_DOWN, // its instance does not run
    TARGET_LOST, // its instance is terminated or gone
    TARGET_ADD,
    TARGET_REMOVE,
    TARGET_DEADLINE,
    TARGET_FAIL, // its health check fails, though its instance runs
    TARGET_EVENTS
};

#define TARGET_HEALTHS (TARGET_DRAINING + 1)
#define TARGET_GONE TARGET_HEALTHS // what follows `draining`: not listed any more

#define TARGETS_MAX 5000 // of one pool, not counting draining ones

extern const struct machine target_machine; // states: enum target_health

// As instance_step. Adding what is there and removing what is draining are legal and change
// nothing.
int target_step(enum target_health health, enum target_event event, enum target_health *out);

// What `instance` (NULL: gone) means to a target.
enum target_event target_event_of(const struct instance *instance);

// Tells the target how its instance (TARGET_UP, _DOWN, _LOST) or check (_FAIL) is; returns whether
// anything changed.
bool target_tell(struct target *target, enum target_event event);

// The reason of a target whose transition a fault rule keeps, or has kept, from ending.
#define TARGET_HELD "held"
bool target_held(const struct target *target);
// The reason of a target that fails its health check.
#define TARGET_FAILED "health-check-failed"

// --- editing (sim/target_pool_edit.c): all keep r.transition_ns; the caller writes the record ---
// Adds the targets that are not there or are draining. Errors name "targets[n].…".
int target_pool_add(struct txn *t, struct target_pool *pool, const struct target_ref *refs,
                    size_t count, bool *changed, struct error *err);
// As target_pool_add; all the others start to drain.
int target_pool_replace(struct txn *t, struct target_pool *pool, const struct target_ref *refs,
                        size_t count, bool *changed, struct error *err);
// Starts to drain one; ERROR_NOT_FOUND.
int target_pool_remove(struct txn *t, struct target_pool *pool, const struct target_ref *ref,
                       bool *changed, struct error *err);
// A healthy one fails its health check from now on: until told so again, or until its instance
// comes up anew.
int target_pool_fail(struct txn *t, struct target_pool *pool, const struct target_ref *ref,
                     bool *changed, struct error *err);
// What fails its health check is as its instance is again.
int target_pool_heal(struct txn *t, struct target_pool *pool, const struct target_ref *ref,
                     bool *changed, struct error *err);
// Sets r.transition_ns to the earliest deadline of a target.
void target_pool_reschedule(struct target_pool *pool);
// Applies the deadlines that have passed.
int target_pool_fire(struct txn *t, struct target_pool *pool, struct error *err);
// The rule that held targets is gone: they are due now.
void target_pool_let_go(struct target_pool *pool, int64_t now_ns);

int target_pool_due(struct txn *t, struct resource *r, struct error *err); // kind_ops.due

#endif
