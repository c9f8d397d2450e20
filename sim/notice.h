// Notices: what the cloud tells an instance it is about to do to it. Pure.
//
// An open notice is one that is scheduled or started; an instance has at most one of each kind. At
// its deadline its action goes through the instance's state machine, as a request would.
#ifndef SIM_NOTICE_H
#define SIM_NOTICE_H

#include "sim/instance.h"

#define NOTICES_ENDED_MAX 8 // that an instance remembers; the oldest are forgotten

// Whether the kind can announce the action: spot takes terminate and stop, preempt stop and
// terminate, maintenance reboot, stop, terminate and none, rebalance none.
bool notice_allows(enum notice_kind kind, enum notice_action action);
enum notice_action notice_default_action(enum notice_kind kind);
// From issue to deadline; 0: the kind has no deadline unless one is asked for.
int64_t notice_default_ns(enum notice_kind kind);

bool notice_open(const struct notice *n);
// States in which an instance is told: those of a machine that is there.
bool notice_deliverable(enum instance_state state);

// The open notice of one of these kinds (bits 1 << kind), the first by deadline; NULL: none.
const struct notice *notice_find(const struct instance *i, unsigned kinds);

// What action and deadline ask of the state machine; false: nothing.
bool notice_event(enum notice_action action, enum instance_event *out);

// The instance has entered its state: cancels what cannot be any more, completes what was started
// and has come to its end. Changes the document, not yet the row.
void notices_follow(struct instance *i, int64_t now_ns);
void notice_end(struct instance *i, struct notice *n, enum notice_state how, int64_t now_ns);
// Cancels every scheduled one; returns how many.
size_t notices_cancel(struct instance *i, int64_t now_ns);

// A scheduled notice whose deadline has passed and whose action the state allows, the first by
// deadline; NULL: none. One that the state does not allow yet waits for the state's own deadline.
struct notice *notice_due(const struct instance *i, int64_t now_ns);
// Sets r.transition_ns to the earliest of the state's own deadline and those of the notices.
void notices_reschedule(struct instance *i);

#endif
