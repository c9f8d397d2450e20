#include "sim/instance.h"

#include "sim/names.h"

#include <stddef.h>

// clang-format off
//
//                ┌──────────────────────── start ─────────────────────────┐
//                ▼                                                        │
//   create ─► pending ─deadline─► running ─stop─► stopping ─deadline─► stopped
//                                 │    ▲
//                           reboot│    │deadline
//                                 ▼    │
//                                rebooting
//
//   any of these, error ──terminate──► terminating ──deadline──► terminated ──deadline──► gone
//   any of these ──fail──► error
//   pending, running, rebooting ──outage──► stopped;  stopped, error ──recover──► pending
//
// One with a backend has no deadlines but one that leads to `error`; the backend says up, down or lost:
//
//   pending, rebooting, stopped, error ──up──► running        any ──lost──► terminated
//   pending, running, rebooting, stopping, error ──down──► stopped     terminating ──down──► terminated
//
// Terminating once more changes nothing.

enum {
    NO = MACHINE_REFUSED,
    PENDING = INSTANCE_PENDING, RUNNING = INSTANCE_RUNNING, STOPPING = INSTANCE_STOPPING,
    STOPPED = INSTANCE_STOPPED, REBOOTING = INSTANCE_REBOOTING, ENDING = INSTANCE_TERMINATING,
    ENDED = INSTANCE_TERMINATED, FAILED = INSTANCE_ERROR, GONE = INSTANCE_GONE
};

static const short moves[INSTANCE_STATES][INSTANCE_EVENTS] = {
    //             start    stop      reboot     terminate deadline fail    up        down     lost   outage   recover
    [PENDING]   = {NO,      NO,       NO,        ENDING,   RUNNING, FAILED, RUNNING,  STOPPED, ENDED, STOPPED, NO},
    [RUNNING]   = {NO,      STOPPING, REBOOTING, ENDING,   NO,      FAILED, RUNNING,  STOPPED, ENDED, STOPPED, NO},
    [STOPPING]  = {NO,      NO,       NO,        ENDING,   STOPPED, FAILED, STOPPING, STOPPED, ENDED, NO,      NO},
    [STOPPED]   = {PENDING, NO,       NO,        ENDING,   NO,      FAILED, RUNNING,  STOPPED, ENDED, NO,      PENDING},
    [REBOOTING] = {NO,      NO,       NO,        ENDING,   RUNNING, FAILED, RUNNING,  STOPPED, ENDED, STOPPED, NO},
    [ENDING]    = {NO,      NO,       NO,        ENDING,   ENDED,   FAILED, ENDING,   ENDED,   ENDED, NO,      NO},
    [ENDED]     = {NO,      NO,       NO,        ENDED,    GONE,    NO,     ENDED,    ENDED,   ENDED, NO,      NO},
    [FAILED]    = {NO,      NO,       NO,        ENDING,   NO,      NO,     RUNNING,  STOPPED, ENDED, NO,      PENDING},
};
// clang-format on

static const char *const timers[INSTANCE_STATES] = {
    [PENDING] = "instance.pending",     [STOPPING] = "instance.stopping",
    [REBOOTING] = "instance.rebooting", [ENDING] = "instance.terminating",
    [ENDED] = "instance.terminated",
};

const struct machine instance_machine = {
    .noun = "instance",
    .states = INSTANCE_STATES,
    .events = INSTANCE_EVENTS,
    .moves = &moves[0][0],
    .state_names = instance_state_names,
    .timers = timers,
    .deadline = INSTANCE_DEADLINE,
    .gone = INSTANCE_GONE,
    .fail = INSTANCE_FAIL,
};

int instance_step(enum instance_state state, enum instance_event event, enum instance_state *out)
{
    int next;
    int rc = machine_step(&instance_machine, (int)state, (int)event, &next);

    if (rc == 0)
        *out = (enum instance_state)next;
    return rc;
}
