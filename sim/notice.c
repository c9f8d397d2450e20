#include "sim/notice.h"

#include "base/timefmt.h"

// clang-format off
//
//   interrupt ─► scheduled ──deadline, acknowledge──► started ──the instance is there──► completed
//                   │  └──────────deadline, no action──────────────────────────────────────►┘
//                   └──cancel; the instance stops or ends otherwise──► canceled

#define ACTION(name) (1U << NOTICE_##name)

static const struct {
    unsigned actions;
    enum notice_action action; // by default
    int64_t notice_ns;         // by default
} kinds[NOTICE_KINDS] = {
    [NOTICE_SPOT]        = {ACTION(TERMINATE) | ACTION(STOP), NOTICE_TERMINATE, 120 * NS_PER_S},
    [NOTICE_REBALANCE]   = {ACTION(NONE), NOTICE_NONE, 0},
    [NOTICE_MAINTENANCE] = {ACTION(REBOOT) | ACTION(STOP) | ACTION(TERMINATE) | ACTION(NONE),
                            NOTICE_REBOOT, 900 * NS_PER_S},
    [NOTICE_PREEMPT]     = {ACTION(STOP) | ACTION(TERMINATE), NOTICE_STOP, 30 * NS_PER_S},
};
// clang-format on

bool notice_allows(enum notice_kind kind, enum notice_action action)
{
    return kinds[kind].actions & (1U << action);
}

enum notice_action notice_default_action(enum notice_kind kind)
{
    return kinds[kind].action;
}

int64_t notice_default_ns(enum notice_kind kind)
{
    return kinds[kind].notice_ns;
}

bool notice_open(const struct notice *n)
{
    return n->state == NOTICE_SCHEDULED || n->state == NOTICE_STARTED;
}

bool notice_deliverable(enum instance_state state)
{
    return state == INSTANCE_PENDING || state == INSTANCE_RUNNING || state == INSTANCE_REBOOTING;
}

// No deadline comes last.
static bool is_earlier(const struct notice *a, const struct notice *b)
{
    return a->deadline_ns && (!b->deadline_ns || a->deadline_ns < b->deadline_ns);
}

const struct notice *notice_find(const struct instance *i, unsigned wanted)
{
    const struct notice *found = NULL;

    for (size_t k = 0; k < i->notice_count; k++) {
        const struct notice *n = &i->notices[k];

        if (notice_open(n) && (wanted & (1U << n->kind)) && (!found || is_earlier(n, found)))
            found = n;
    }
    return found;
}

bool notice_event(enum notice_action action, enum instance_event *out)
{
    static const enum instance_event events[NOTICE_ACTIONS] = {
        [NOTICE_TERMINATE] = INSTANCE_TERMINATE,
        [NOTICE_STOP] = INSTANCE_STOP,
        [NOTICE_REBOOT] = INSTANCE_REBOOT,
    };

    if (action == NOTICE_NONE)
        return false;
    *out = events[action];
    return true;
}

// --- following the instance ---

void notice_end(struct instance *i, struct notice *n, enum notice_state how, int64_t now_ns)
{
    n->state = how;
    n->ended_ns = now_ns;
    i->notice_serial++;
}

size_t notices_cancel(struct instance *i, int64_t now_ns)
{
    size_t count = 0;

    for (size_t k = 0; k < i->notice_count; k++) {
        if (i->notices[k].state != NOTICE_SCHEDULED)
            continue;
        notice_end(i, &i->notices[k], NOTICE_CANCELED, now_ns);
        count++;
    }
    return count;
}

// Whether nothing of what was begun is still under way.
static bool is_settled(const struct instance *i)
{
    return !instance_machine.timers[i->r.state] || i->r.state == INSTANCE_TERMINATED;
}

void notices_follow(struct instance *i, int64_t now_ns)
{
    for (size_t k = 0; k < i->notice_count && is_settled(i); k++) {
        if (i->notices[k].state == NOTICE_STARTED)
            notice_end(i, &i->notices[k], NOTICE_COMPLETED, now_ns);
    }
    if (!notice_deliverable((enum instance_state)i->r.state))
        notices_cancel(i, now_ns);
}

// --- deadlines ---

static bool is_possible(const struct instance *i, const struct notice *n)
{
    enum instance_event event;
    enum instance_state next;

    return !notice_event(n->action, &event) ||
           instance_step((enum instance_state)i->r.state, event, &next) == 0;
}

static struct notice *first_due(const struct instance *i, int64_t up_to_ns)
{
    struct notice *found = NULL;

    for (size_t k = 0; k < i->notice_count; k++) {
        struct notice *n = &i->notices[k];

        if (n->state == NOTICE_SCHEDULED && n->deadline_ns && n->deadline_ns <= up_to_ns &&
            is_possible(i, n) && (!found || is_earlier(n, found)))
            found = n;
    }
    return found;
}

struct notice *notice_due(const struct instance *i, int64_t now_ns)
{
    return first_due(i, now_ns);
}

void notices_reschedule(struct instance *i)
{
    const struct notice *first = first_due(i, INT64_MAX);

    i->r.transition_ns = i->due_ns;
    if (first && (!i->due_ns || first->deadline_ns < i->due_ns))
        i->r.transition_ns = first->deadline_ns;
}
