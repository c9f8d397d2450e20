#include "sim/target_pool.h"

#include "sim/names.h"
#include "sim/operation.h"

#include <string.h>

// clang-format off
//
//                                 ┌────────fail─────────┐
//                                 │                     ▼
//   add ─► initial ─deadline─► healthy ──down, lost──► unhealthy
//             │ lost              ▲                     ▲   │
//             │                   └─────────up──────────┼───┘
//             └─────────────────────────────────────────┘
//
//   any of these ─remove─► draining ─deadline─► gone
//                             └────add────► initial
//
// An initial target takes no notice of its instance but for its end: on its deadline it becomes healthy
// and is then told at once how the instance is.

enum {
    NO = MACHINE_REFUSED,
    INITIAL = TARGET_INITIAL, WELL = TARGET_HEALTHY, SICK = TARGET_UNHEALTHY,
    DRAINING = TARGET_DRAINING, GONE = TARGET_GONE
};

static const short moves[TARGET_HEALTHS][TARGET_EVENTS] = {
    //            up        down      lost      add      remove    deadline fail
    [INITIAL]  = {INITIAL,  INITIAL,  SICK,     INITIAL, DRAINING, WELL,    NO},
    [WELL]     = {WELL,     SICK,     SICK,     WELL,    DRAINING, NO,      SICK},
    [SICK]     = {WELL,     SICK,     SICK,     SICK,    DRAINING, NO,      NO},
    [DRAINING] = {DRAINING, DRAINING, DRAINING, INITIAL, DRAINING, GONE,    NO},
};
// clang-format on

static const char *const timers[TARGET_HEALTHS] = {
    [INITIAL] = "target.initial",
    [DRAINING] = "target.draining",
};

const struct machine target_machine = {
    .noun = "target",
    .states = TARGET_HEALTHS,
    .events = TARGET_EVENTS,
    .moves = &moves[0][0],
    .state_names = target_health_names,
    .timers = timers,
    .deadline = TARGET_DEADLINE,
    .gone = TARGET_GONE,
    .fail = MACHINE_REFUSED,
};

int target_step(enum target_health health, enum target_event event, enum target_health *out)
{
    int next;
    int rc = machine_step(&target_machine, (int)health, (int)event, &next);

    if (rc == 0)
        *out = (enum target_health)next;
    return rc;
}

enum target_event target_event_of(const struct instance *instance)
{
    if (!instance || instance->r.state == INSTANCE_TERMINATED)
        return TARGET_LOST;
    return instance->r.state == INSTANCE_RUNNING ? TARGET_UP : TARGET_DOWN;
}

bool target_held(const struct target *target)
{
    return target->health_reason && strcmp(target->health_reason, TARGET_HELD) == 0;
}

bool target_tell(struct target *target, enum target_event event)
{
    static const char *const reasons[TARGET_EVENTS] = {
        [TARGET_DOWN] = "instance-not-running",
        [TARGET_LOST] = "instance-terminated",
        [TARGET_FAIL] = TARGET_FAILED,
    };
    enum target_health next = target->health;
    const char *reason;

    if (target_step(target->health, event, &next) < 0)
        return false;
    reason = next == TARGET_UNHEALTHY ? reasons[event] : NULL;
    if (next == target->health &&
        (target_held(target) || operation_same(reason, target->health_reason)))
        return false;
    target->health = next;
    target->health_reason = reason;
    target->due_ns = 0; // only `initial` moves here, and its deadline is void then
    return true;
}
