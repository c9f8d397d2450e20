// Between the files of chaos. Internal to sim/.
#ifndef SIM_CHAOS_INTERNAL_H
#define SIM_CHAOS_INTERNAL_H

#include "sim/change.h"
#include "sim/chaos.h"
#include "sim/txn.h"

struct actor_call;

int chaos_due(struct txn *t, struct resource *r, struct error *err); // kind_ops.due

// --- strikes (sim/chaos_strike.c) ---
void chaos_plan(struct chaos *c, int64_t from_ns); // when the next one is
// One misfortune; what cannot be is counted as skipped. 0 or ERROR_STORAGE.
int chaos_strike(struct txn *t, struct chaos *c, struct error *err);

// One that fails its health check is no instance that is down: of the limits, only `protect` is
// asked (sim/chaos_target.c).
int chaos_strike_target(struct txn *t, struct chaos *c, int64_t down_ns, struct error *err);
int chaos_heal(struct txn *t, const struct chaos *c, const struct chaos_later *l,
               struct error *err);
uint64_t chaos_draw(const struct chaos *c, uint32_t stream);
enum { // two streams of one misfortune are far enough apart for its tries
    STREAM_GAP,
    STREAM_ACTION,
    STREAM_DOWN,
    STREAM_ZONE,
    STREAM_VICTIM,
    STREAM_POOL = 32,
    STREAM_TARGET = 64
};

// --- limits (sim/chaos_limits.c) ---
struct chaos_fall { // those that the outage of a zone takes down and that were not down before
    const char **ids;
    size_t count, running;
};
// Forgets those that it watched and that run again, or are gone.
int chaos_watch(struct txn *t, struct chaos *c, struct error *err);
// Whether the limits need to know when the victim of such an action runs again.
bool chaos_must_watch(const struct chaos *c, enum chaos_action action);
// Whether one more may go down; ERROR_STATE says what forbids it.
int chaos_limits_check(struct txn *t, const struct chaos *c, struct error *err);
bool chaos_is_protected(const struct chaos *c, const struct resource *r);
// Whether what is to come refers to an instance, not to a rule or target.
bool chaos_of_instance(const struct chaos_later *l);
// Whether it is down, or its zone is.
bool chaos_is_down(const struct chaos *c, const struct instance *i);
bool chaos_may_strike(struct txn *t, const struct chaos *c, const struct instance *i);
// Whether the zone may go down, and who goes with it; ERROR_STATE says what forbids it.
int chaos_outage_check(struct txn *t, const struct chaos *c, const char *zone,
                       struct chaos_fall *out, struct error *err);

// --- dry runs (sim/chaos_dry.c): what is planned in place of what is done ---
int chaos_dry_strike(struct txn *t, struct chaos *c, enum chaos_action action,
                     const struct instance *i, int64_t down_ns, struct error *err);
void chaos_dry_outage(struct txn *t, struct chaos *c, const struct chaos_fall *fall, int64_t until);
void chaos_dry_watch(struct chaos *c, int64_t now_ns); // forgets what would be over

// --- remedies (sim/chaos_remedy.c) ---
// Room for `count` more, zeroed but for remedy and due time: the first of them.
struct chaos_later *chaos_later_add(struct txn *t, struct chaos *c, size_t count,
                                    enum chaos_remedy remedy, int64_t due_ns);
// Applies the remedies that are due, or all of them.
int chaos_remedy_due(struct txn *t, struct chaos *c, bool all, struct error *err);
// An operation on an instance, as a change of its own.
int chaos_change(struct txn *t, const struct chaos *c, const char *operation, change_apply *apply,
                 struct change *change, const char *id, struct error *err);
// An operation of the API; ERROR_UNAVAILABLE: this cloud has none.
int chaos_call(struct txn *t, const struct chaos *c, struct actor_call *request, struct error *err);

#endif
