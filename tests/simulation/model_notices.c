// Notices of interruption.
#include "base/timefmt.h"
#include "sim/names.h"
#include "tests/simulation/model.h"

#include <inttypes.h>
#include <string.h>

#define ENDED_KEPT 8

void model_check_notices(const struct thing *x, json_t *document)
{
    json_t *list = json_object_get(document, "notices");

    if (json_array_size(list) != (size_t)x->notice_count)
        violated("instance %s has %zu notices, must have %d", x->id, json_array_size(list),
                 x->notice_count);
    for (int n = 0; n < x->notice_count; n++) {
        json_t *notice = json_array_get(list, (size_t)n);

        must_be(x, notice, "id", x->notices[n].id);
        must_be(x, notice, "kind", notice_kind_names[x->notices[n].kind]);
        must_be(x, notice, "action", notice_action_names[x->notices[n].action]);
        must_be(x, notice, "state", notice_state_names[x->notices[n].state]);
    }
}

// --- what they do ---

static bool is_open(const struct notice_of_model *n)
{
    return n->state == NOTICE_SCHEDULED || n->state == NOTICE_STARTED;
}

static bool is_up(const struct thing *x)
{
    return x->state == INSTANCE_PENDING || x->state == INSTANCE_RUNNING ||
           x->state == INSTANCE_REBOOTING;
}

// Nothing of what a notice began is still under way.
static bool is_settled(const struct thing *x)
{
    return x->state == INSTANCE_RUNNING || x->state == INSTANCE_STOPPED ||
           x->state == INSTANCE_TERMINATED || x->state == INSTANCE_ERROR;
}

void model_notices_follow(struct thing *x)
{
    for (int n = 0; n < x->notice_count; n++) {
        if (x->notices[n].state == NOTICE_STARTED && is_settled(x))
            x->notices[n].state = NOTICE_COMPLETED;
        else if (x->notices[n].state == NOTICE_SCHEDULED && !is_up(x))
            x->notices[n].state = NOTICE_CANCELED;
    }
}

// Whether its action can be begun now; *out_state: into which state, -1: none.
static bool is_possible(const struct thing *x, const struct notice_of_model *n, int *out_state)
{
    static const int states[] = {[NOTICE_NONE] = -1,
                                 [NOTICE_TERMINATE] = INSTANCE_TERMINATING,
                                 [NOTICE_STOP] = INSTANCE_STOPPING,
                                 [NOTICE_REBOOT] = INSTANCE_REBOOTING};

    *out_state = states[n->action];
    return n->action == NOTICE_NONE || n->action == NOTICE_TERMINATE ||
           x->state == INSTANCE_RUNNING;
}

static struct notice_of_model *first_due(struct thing *x, int64_t up_to, int *out_state)
{
    struct notice_of_model *found = NULL;
    int state;

    for (int k = 0; k < x->notice_count; k++) {
        struct notice_of_model *n = &x->notices[k];

        if (n->state != NOTICE_SCHEDULED || !n->deadline || n->deadline > up_to ||
            !is_possible(x, n, &state) || (found && found->deadline <= n->deadline))
            continue;
        found = n;
        *out_state = state;
    }
    return found;
}

void model_notices_reschedule(struct thing *x)
{
    int ignored;
    const struct notice_of_model *n = first_due(x, INT64_MAX, &ignored);

    x->due = x->state_due;
    if (n && (!x->due || n->deadline < x->due))
        x->due = n->deadline;
}

static void begin(struct model *m, struct thing *x, struct notice_of_model *n, int state)
{
    if (state < 0) {
        n->state = NOTICE_COMPLETED;
        model_notices_reschedule(x);
        model_written(m, x);
        return;
    }
    n->state = NOTICE_STARTED;
    model_instance_move(m, x, state);
}

void model_notice_fire(struct model *m, struct thing *x)
{
    static const char *const operations[] = {"notice.spot", "notice.rebalance",
                                             "notice.maintenance", "notice.preempt"};
    int state = -1;
    struct notice_of_model *n = first_due(x, m->now, &state);

    if (!n)
        violated("instance %s is due at %" PRId64 " for no reason", x->id, x->due);
    m->operation = operations[n->kind];
    begin(m, x, n, state);
}

// --- changes ---

static bool allows(enum notice_kind kind, enum notice_action action)
{
    switch (kind) {
    case NOTICE_REBALANCE:
        return action == NOTICE_NONE;
    case NOTICE_MAINTENANCE:
        return true;
    default:
        return action == NOTICE_TERMINATE || action == NOTICE_STOP;
    }
}

static void forget_old(struct thing *x)
{
    int ended = 0;

    for (int n = 0; n < x->notice_count; n++)
        ended += !is_open(&x->notices[n]);
    for (int n = 0; n < x->notice_count && ended > ENDED_KEPT; n++) {
        if (is_open(&x->notices[n]))
            continue;
        x->notice_count--;
        memmove(&x->notices[n], &x->notices[n + 1],
                (size_t)(x->notice_count - n) * sizeof(x->notices[0]));
        n--;
        ended--;
    }
}

enum error_code model_interrupt(struct model *m, const struct change *c)
{
    static const int64_t by_default[] = {120 * NS_PER_S, 0, 900 * NS_PER_S, 30 * NS_PER_S};
    static const enum notice_action actions[] = {NOTICE_TERMINATE, NOTICE_NONE, NOTICE_REBOOT,
                                                 NOTICE_STOP};
    const struct notice_spec *spec = &c->request.notice;
    enum notice_action action = spec->has_action ? spec->action : actions[spec->kind];
    int64_t after = spec->has_notice ? spec->notice_ns : by_default[spec->kind];
    struct notice_of_model *n;
    struct thing *x;
    enum error_code code = model_load(m, KIND_INSTANCE, c, &x);

    if (code != ERROR_NONE)
        return code;
    if (!allows(spec->kind, action))
        return ERROR_INVALID;
    if (!is_up(x))
        return ERROR_STATE;
    for (int k = 0; k < x->notice_count; k++) {
        if (is_open(&x->notices[k]) && x->notices[k].kind == spec->kind)
            return ERROR_EXISTS;
    }
    forget_old(x);
    n = &x->notices[x->notice_count++];
    *n = (struct notice_of_model){.kind = spec->kind, .action = action};
    id_make(n->id, "nt", m->seed, m->revision + 1);
    n->deadline = spec->has_notice || after > 0 ? m->now + after : 0;
    model_notices_reschedule(x);
    model_written(m, x);
    return ERROR_NONE;
}

enum error_code model_cancel_notices(struct model *m, const struct change *c)
{
    bool changed = false;
    struct thing *x;
    enum error_code code = model_load(m, KIND_INSTANCE, c, &x);

    if (code != ERROR_NONE)
        return code;
    for (int n = 0; n < x->notice_count; n++) {
        if (x->notices[n].state != NOTICE_SCHEDULED)
            continue;
        x->notices[n].state = NOTICE_CANCELED;
        changed = true;
    }
    model_notices_reschedule(x);
    if (changed)
        model_written(m, x);
    return ERROR_NONE;
}

enum error_code model_acknowledge(struct model *m, const struct change *c)
{
    struct notice_of_model *n = NULL;
    struct thing *x;
    int state = -1;
    enum error_code code = model_load(m, KIND_INSTANCE, c, &x);

    if (code != ERROR_NONE)
        return code;
    for (int k = 0; k < x->notice_count && !n; k++) {
        if (is_open(&x->notices[k]) &&
            strcmp(x->notices[k].id, c->request.acknowledge.notice_id) == 0)
            n = &x->notices[k];
    }
    if (!n)
        return ERROR_NOT_FOUND;
    if (n->state != NOTICE_SCHEDULED)
        return ERROR_NONE;
    n->deadline = m->now;
    if (first_due(x, m->now, &state) == n) {
        begin(m, x, n, state);
        return ERROR_NONE;
    }
    model_notices_reschedule(x);
    model_written(m, x);
    return ERROR_NONE;
}
