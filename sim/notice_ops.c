// What can be done with notices: issue, cancel, acknowledge; and their deadlines.
#include "sim/names.h"
#include "sim/notice.h"
#include "sim/operation.h"

#include <string.h>

static const char *const reason_codes[NOTICE_KINDS] = {
    [NOTICE_SPOT] = "spot-interruption",
    [NOTICE_REBALANCE] = "rebalance",
    [NOTICE_MAINTENANCE] = "maintenance",
    [NOTICE_PREEMPT] = "preemption",
};
static const char *const reason_messages[NOTICE_KINDS] = {
    [NOTICE_SPOT] = "Interrupted: the cloud took its spot capacity back",
    [NOTICE_REBALANCE] = "Moved to rebalance capacity",
    [NOTICE_MAINTENANCE] = "Scheduled maintenance of its host",
    [NOTICE_PREEMPT] = "Preempted by the cloud",
};

// --- deadlines ---

static int begin(struct txn *t, struct instance *i, struct notice *n, struct error *err)
{
    enum instance_state next = (enum instance_state)i->r.state;
    enum instance_event event;

    if (!notice_event(n->action, &event)) {
        notice_end(i, n, NOTICE_COMPLETED, t->now_ns);
        notices_reschedule(i);
        return txn_put(t, &i->r, err);
    }
    if (instance_step(next, event, &next) < 0)
        return operation_refuse(&instance_machine, &i->r, err);
    n->state = NOTICE_STARTED;
    i->notice_serial++;
    i->r.reason_code = reason_codes[n->kind];
    i->r.reason_message = reason_messages[n->kind];
    return instance_move(t, i, (int)next, err);
}

int notice_fire(struct txn *t, struct instance *i, struct error *err)
{
    static const char *const operations[NOTICE_KINDS] = {
        [NOTICE_SPOT] = "notice.spot",
        [NOTICE_REBALANCE] = "notice.rebalance",
        [NOTICE_MAINTENANCE] = "notice.maintenance",
        [NOTICE_PREEMPT] = "notice.preempt",
    };
    struct notice *n = notice_due(i, t->now_ns);

    if (!n) { // postponed by the writer, and something else has happened since
        notices_reschedule(i);
        return txn_put(t, &i->r, err);
    }
    t->operation = operations[n->kind];
    return begin(t, i, n, err);
}

// --- issue ---

static int check_request(const struct instance *i, enum notice_kind kind, enum notice_action action,
                         struct error *err)
{
    if (!notice_allows(kind, action))
        return error_set(err, ERROR_INVALID, "action", "a notice of kind %s does not %s",
                         notice_kind_names[kind],
                         action == NOTICE_NONE ? "leave the instance alone"
                                               : notice_action_names[action]);
    if (!notice_deliverable((enum instance_state)i->r.state))
        return operation_refuse(&instance_machine, &i->r, err);
    if (notice_find(i, 1U << kind))
        return error_set(err, ERROR_EXISTS, "kind", "instance %s has a notice of kind %s already",
                         i->r.id, notice_kind_names[kind]);
    return 0;
}

// The list with room for one more, without the oldest of those that have ended beyond the limit.
static void make_room(struct txn *t, struct instance *i)
{
    struct notice *list = arena_alloc(t->arena, (i->notice_count + 1) * sizeof(*list));
    size_t ended = 0, kept = 0;

    for (size_t k = 0; k < i->notice_count; k++)
        ended += !notice_open(&i->notices[k]);
    for (size_t k = 0; k < i->notice_count; k++) {
        if (!notice_open(&i->notices[k]) && ended-- > NOTICES_ENDED_MAX)
            continue;
        list[kept++] = i->notices[k];
    }
    i->notices = list;
    i->notice_count = kept;
}

static void add(struct txn *t, struct instance *i, const struct notice_spec *spec,
                enum notice_action action)
{
    int64_t notice_ns = spec->has_notice ? spec->notice_ns : notice_default_ns(spec->kind);
    bool timed = spec->has_notice || notice_ns > 0;

    make_room(t, i);
    i->notices[i->notice_count++] = (struct notice){
        .id = txn_id(t, "nt"),
        .kind = spec->kind,
        .action = action,
        .issued_ns = t->now_ns,
        .deadline_ns = timed ? t->now_ns + notice_ns : 0,
    };
    i->notice_serial++;
}

int instance_interrupt(struct txn *t, struct change *c, struct error *err)
{
    const struct notice_spec *spec = &c->request.notice;
    enum notice_action action = spec->has_action ? spec->action : notice_default_action(spec->kind);
    struct instance *i;
    struct resource *r;
    int rc = operation_load(t, c, KIND_INSTANCE, &r, err);

    if (rc < 0)
        return rc;
    i = (struct instance *)r;
    rc = check_request(i, spec->kind, action, err);
    if (rc < 0)
        return rc;
    add(t, i, spec, action);
    notices_reschedule(i);
    rc = txn_put(t, r, err);
    if (rc == 0)
        change_answer(t, c, r);
    return rc;
}

// --- cancel, acknowledge ---

int instance_cancel_notices(struct txn *t, struct change *c, struct error *err)
{
    struct instance *i;
    struct resource *r;
    int rc = operation_load(t, c, KIND_INSTANCE, &r, err);

    if (rc < 0)
        return rc;
    i = (struct instance *)r;
    if (notices_cancel(i, t->now_ns) > 0) {
        notices_reschedule(i);
        rc = txn_put(t, r, err);
    }
    if (rc == 0)
        change_answer(t, c, r);
    return rc;
}

static struct notice *find_by_id(const struct instance *i, const char *id)
{
    for (size_t k = 0; k < i->notice_count; k++) {
        if (notice_open(&i->notices[k]) && strcmp(i->notices[k].id, id) == 0)
            return &i->notices[k];
    }
    return NULL;
}

int instance_acknowledge(struct txn *t, struct change *c, struct error *err)
{
    const char *id = c->request.acknowledge.notice_id;
    struct notice *n;
    struct resource *r;
    int rc = operation_load(t, c, KIND_INSTANCE, &r, err);

    if (rc < 0)
        return rc;
    n = find_by_id((struct instance *)r, id);
    if (!n)
        return error_set(err, ERROR_NOT_FOUND, "EventId", "instance %s has no open notice %s",
                         r->id, id);
    if (n->state == NOTICE_SCHEDULED) {
        struct instance *i = (struct instance *)r;

        n->deadline_ns = t->now_ns;
        if (notice_due(i, t->now_ns) == n)
            rc = begin(t, i, n, err);
        else { // its state does not allow it yet: as soon as it does
            i->notice_serial++;
            notices_reschedule(i);
            rc = txn_put(t, r, err);
        }
    }
    if (rc == 0)
        change_answer(t, c, r);
    return rc;
}
