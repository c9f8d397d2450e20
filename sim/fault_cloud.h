// What fault rules do to the cloud itself: transitions that do not end or fail, capacity and quotas
// that are used up, zones that go down. On the writer, through the funnel. Internal to sim/.
#ifndef SIM_FAULT_CLOUD_H
#define SIM_FAULT_CLOUD_H

#include "sim/fault.h"
#include "sim/machine.h"

// What rules can select a resource by, as it is now.
struct fault_target fault_target_of(const struct resource *r);

// The state that follows a timed one that is at its end: the machine's next, the one in which the
// machine fails, or the same when a rule holds it; r->transition_ns then says until when (0: as
// long as the rule stands). A transition is held once at most.
int fault_transition(struct txn *t, const struct machine *m, struct resource *r);

// As above, of one target of a pool: true when a rule holds it, *out_until 0 as long as the rule
// stands. The pool remembers the first rule that holds any of its targets.
bool fault_holds_target(struct txn *t, const char *transition, struct resource *pool,
                        int64_t *out_until);

// Whether the resource may be made or started now; ERROR_CAPACITY, ERROR_QUOTA or
// ERROR_ZONE_UNAVAILABLE of the rule that says no. What a backend reports and what a seed file
// lists is not asked about.
int fault_admit(struct txn *t, const struct resource *r, struct error *err);

// Whether an outage of the caller's project, or of all, refuses the operation in this zone whatever
// it is about: asked by whoever chooses a zone, so it counts as no match.
bool fault_zone_is_down(struct txn *t, const char *zone);

// A rule is about to be stored, new (`before` is NULL) or changed: refuses a zone that is named
// anew and does not exist, and schedules its outage (sim/fault_outage.c).
int fault_outage_schedule(struct txn *t, const struct fault *before, struct fault *f,
                          struct error *err);
// An outage was `before` and has been stored as it is now: it goes on, begins or ends.
int fault_outage_follow(struct txn *t, const struct fault *before, struct fault *f,
                        struct error *err);
// What the rule keeps from ending ends.
int fault_let_go(struct txn *t, const struct fault *f, struct error *err);
// It has been stored, its time has come, or it has gone.
int fault_begins(struct txn *t, struct fault *f, struct error *err);
int fault_due(struct txn *t, struct resource *r, struct error *err); // kind_ops.due
int fault_ends(struct txn *t, struct fault *f, struct error *err);
// Brings back what this outage, and no other one, keeps down.
int fault_outage_end(struct txn *t, const struct fault *f, struct error *err);
// Whether an outage has taken it down and it has not come back since.
bool fault_outage_keeps(const struct resource *r);

#endif
