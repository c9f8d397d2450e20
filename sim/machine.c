#include "sim/machine.h"

#include <assert.h>

int machine_step(const struct machine *m, int state, int event, int *out)
{
    int next;

    assert(state >= 0 && state < m->states && event >= 0 && event < m->events);
    next = m->moves[state * m->events + event];
    if (next == MACHINE_REFUSED)
        return -ERROR_STATE;
    *out = next;
    return 0;
}
