#include "sim/load_balancer.h"

#include "sim/names.h"

#include <stddef.h>

// clang-format off
//
//   create ─► provisioning ─deadline─► active ─update─► updating ─┐ update
//                                        ▲ └───deadline────┘ ▲    │ (starts again)
//                                        │                   └────┘
//   error ─update─► updating
//   any of these, error ─delete─► deleting ─deadline─► deleted
//   any of these, deleting ─fail─► error
//
// Deleting once more changes nothing; `deleted` is shown in the last event only.

enum {
    NO = MACHINE_REFUSED,
    PROVISIONING = LB_PROVISIONING, ACTIVE = LB_ACTIVE, UPDATING = LB_UPDATING,
    DELETING = LB_DELETING, DELETED = LB_DELETED, FAILED = LB_ERROR
};

static const short moves[LB_STATES][LB_EVENTS] = {
    //                update    delete    deadline fail
    [PROVISIONING] = {NO,       DELETING, ACTIVE,  FAILED},
    [ACTIVE]       = {UPDATING, DELETING, NO,      FAILED},
    [UPDATING]     = {UPDATING, DELETING, ACTIVE,  FAILED},
    [DELETING]     = {NO,       DELETING, DELETED, FAILED},
    [DELETED]      = {NO,       NO,       NO,      NO},
    [FAILED]       = {UPDATING, DELETING, NO,      NO},
};
// clang-format on

static const char *const timers[LB_STATES] = {
    [PROVISIONING] = "load_balancer.provisioning",
    [UPDATING] = "load_balancer.updating",
    [DELETING] = "load_balancer.deleting",
};

const struct machine load_balancer_machine = {
    .noun = "load balancer",
    .states = LB_STATES,
    .events = LB_EVENTS,
    .moves = &moves[0][0],
    .state_names = load_balancer_state_names,
    .timers = timers,
    .deadline = LB_DEADLINE,
    .gone = LB_DELETED,
    .fail = LB_FAIL,
};

int load_balancer_step(enum load_balancer_state state, enum load_balancer_event event,
                       enum load_balancer_state *out)
{
    int next;
    int rc = machine_step(&load_balancer_machine, (int)state, (int)event, &next);

    if (rc == 0)
        *out = (enum load_balancer_state)next;
    return rc;
}
