#include "sim/fault_cloud.h"

#include "sim/instance.h"
#include "sim/notice.h"
#include "sim/target_pool.h"
#include "sim/txn.h"

#include <assert.h>
#include <string.h>

struct fault_target fault_target_of(const struct resource *r)
{
    const char *const *states = kind_ops_of(r->kind)->state_names;
    struct fault_target target = {
        .kind = (int)r->kind,
        .id = r->id,
        .name = r->name,
        .state = states ? states[r->state] : NULL,
        .tags = r->tags,
        .tag_count = r->tag_count,
    };

    if (r->kind == KIND_INSTANCE) {
        target.zone = ((const struct instance *)r)->zone;
        target.type = ((const struct instance *)r)->type;
    }
    return target;
}

static void decide(struct txn *t, enum fault_place place, const char *operation,
                   const struct resource *r, struct fault_verdict *out)
{
    struct fault_target target = fault_target_of(r);
    struct fault_call call = {
        .places = FAULT_BIT(place),
        .operation = operation,
        .project = r->project,
        .scope = -1,
        .target = &target,
        .txn = t,
    };

    fault_decide(t->cloud, &call, out);
}

// --- transitions ---

static int64_t earlier(int64_t a, int64_t b) // 0: never
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static int64_t held_until(const struct txn *t, const struct fault *f)
{
    int64_t end = f->effect.duration_ns ? t->now_ns + f->effect.duration_ns : 0;

    return earlier(end, f->when.until_ns);
}

static void give_reason(struct txn *t, struct resource *r, const char *transition,
                        const struct fault_effect *e)
{
    r->reason_code = arena_strdup(t->arena, e->code ? e->code : "transition_failed");
    r->reason_message = e->message ? arena_strdup(t->arena, e->message)
                                   : arena_printf(t->arena, "%s failed", transition);
}

// -1 when no rule has a say.
static int by_rule(struct txn *t, const struct machine *m, struct resource *r)
{
    const char *transition = m->timers[r->state];
    const struct fault_fired *held, *failed;
    struct fault_verdict verdict;
    int next = -1, failing;

    decide(t, FAULT_AT_TRANSITION, transition, r, &verdict);
    held = fault_verdict_find(&verdict, FAULT_STUCK_TRANSITION);
    failed = fault_verdict_find(&verdict, FAULT_FAILED_TRANSITION);
    if (held) {
        r->held_by = arena_strdup(t->arena, held->fault->r.id);
        r->transition_ns = held_until(t, held->fault);
        next = r->state;
    } else if (failed && m->fail != MACHINE_REFUSED &&
               machine_step(m, r->state, m->fail, &failing) == 0) {
        give_reason(t, r, transition, &failed->fault->effect);
        next = failing;
    }
    fault_verdict_fini(&verdict);
    return next;
}

int fault_transition(struct txn *t, const struct machine *m, struct resource *r)
{
    int next = r->held_by ? -1 : by_rule(t, m, r);

    if (next < 0 && machine_step(m, r->state, m->deadline, &next) < 0)
        assert(!"a timed state ends with its deadline");
    return next;
}

bool fault_holds_target(struct txn *t, const char *transition, struct resource *pool,
                        int64_t *out_until)
{
    const struct fault_fired *held;
    struct fault_verdict verdict;

    decide(t, FAULT_AT_TRANSITION, transition, pool, &verdict);
    held = fault_verdict_find(&verdict, FAULT_STUCK_TRANSITION);
    if (held) {
        *out_until = held_until(t, held->fault);
        if (!pool->held_by)
            pool->held_by = arena_strdup(t->arena, held->fault->r.id);
    }
    fault_verdict_fini(&verdict);
    return held != NULL;
}

// Its transition is due at once.
static void let_go(struct txn *t, struct resource *r)
{
    if (r->kind == KIND_TARGET_POOL) {
        target_pool_let_go((struct target_pool *)r, t->now_ns);
        return;
    }
    r->held_by = "";
    r->transition_ns = t->now_ns;
    if (r->kind == KIND_INSTANCE) {
        ((struct instance *)r)->due_ns = t->now_ns;
        notices_reschedule((struct instance *)r);
    }
}

static int let_go_all(struct txn *t, enum kind kind, const char *rule, struct error *err)
{
    struct owner *owners;
    size_t count;
    int rc = store_referrers(t->store, rule, kind, t->arena, &owners, &count, err);

    for (size_t n = 0; rc == 0 && n < count; n++) {
        struct resource *r;

        rc = txn_load(t, kind, 0, owners[n].id, &r, err);
        if (rc < 0 || !r->held_by || strcmp(r->held_by, rule) != 0)
            continue;
        let_go(t, r);
        rc = txn_put(t, r, err);
    }
    return rc;
}

// --- admission ---

static int refuse(const struct fault *f, const struct resource *r, struct error *err)
{
    const struct fault_effect *e = &f->effect;
    bool is_instance = r->kind == KIND_INSTANCE;
    const struct instance *i = (const struct instance *)r;

    if (e->type == FAULT_ZONE_OUTAGE)
        return error_set(err, ERROR_ZONE_UNAVAILABLE, "zone", "zone %s is unavailable", e->zone);
    if (e->message)
        return error_set(err, e->lack == FAULT_LACK_QUOTA ? ERROR_QUOTA : ERROR_CAPACITY, NULL,
                         "%s", e->message);
    if (e->lack == FAULT_LACK_QUOTA)
        return error_set(err, ERROR_QUOTA, NULL, "the quota of the project is used up");
    if (!is_instance)
        return error_set(err, ERROR_CAPACITY, NULL, "there is no capacity");
    return error_set(err, ERROR_CAPACITY, NULL, "there is no capacity for type %s in zone %s",
                     i->type, i->zone);
}

int fault_admit(struct txn *t, const struct resource *r, struct error *err)
{
    struct fault_verdict verdict;
    int rc = 0;

    if (!t->operation || t->cause == CAUSE_BACKEND || t->cause == CAUSE_SEED)
        return 0; // what is there already
    decide(t, FAULT_AT_CHANGE, t->operation, r, &verdict);
    for (size_t i = 0; rc == 0 && i < verdict.count; i++)
        rc = refuse(verdict.fired[i].fault, r, err);
    fault_verdict_fini(&verdict);
    return rc;
}

// --- rules that go ---

int fault_ends(struct txn *t, struct fault *f, struct error *err)
{
    if (f->effect.type == FAULT_ZONE_OUTAGE)
        return fault_outage_end(t, f, err);
    return f->effect.type == FAULT_STUCK_TRANSITION ? fault_let_go(t, f, err) : 0;
}

int fault_let_go(struct txn *t, const struct fault *f, struct error *err)
{
    static const enum kind kinds[] = {KIND_INSTANCE, KIND_LOAD_BALANCER, KIND_TARGET_POOL,
                                      KIND_ROUTE};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        rc = let_go_all(t, kinds[i], f->r.id, err);
    return rc;
}
