// State machines as data: a table of states × events, pure. The tables, each under its diagram, are
// in instance.c, load_balancer.c, route.c and target_pool.c.
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include "base/error.h"

#define MACHINE_REFUSED (-1) // in a table: the event is illegal in the state

struct machine {
    const char *noun; // in errors: "load balancer"
    int states;
    int events;
    const short *moves;             // states × events: the state that follows
    const char *const *state_names; // as in documents
    const char *const *timers;      // per state: the timed transition that ends it; NULL: none
    int deadline;                   // the event with which a timed state ends
    int gone;                       // entering it removes the resource
    int fail; // the event of a transition that fails; MACHINE_REFUSED: none can
};

// 0 and the state that follows, or -ERROR_STATE when the event is illegal in `state`.
int machine_step(const struct machine *m, int state, int event, int *out);

#endif
