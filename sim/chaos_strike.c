// One misfortune: whom it strikes, what is done, and what will bring it back.
#include "base/timefmt.h"
#include "sim/actor.h"
#include "sim/chaos.h"
#include "sim/cloud_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STREAM_GAP, STREAM_ACTION, STREAM_DOWN, STREAM_ZONE, STREAM_VICTIM }; // of one ordinal
#define VICTIM_TRIES 8
#define RETRY_RESPAWN (300 * NS_PER_S)
#define NS_PER_HOUR (3600.0 * (double)NS_PER_S)

// --- time and kind ---

static int64_t total_rate(const struct chaos *c)
{
    int64_t total = 0;

    for (int i = 0; i < CHAOS_ACTION_COUNT; i++)
        total += c->set.rates[i];
    return total;
}

// The superposition of Poisson processes is one of their summed rate.
void chaos_plan(struct chaos *c, int64_t from_ns)
{
    double per_hour = (double)total_rate(c) / CHAOS_RATE_UNIT;
    double unit = random_unit((uint64_t)c->seed, c->ordinal + 1, STREAM_GAP);
    double gap = per_hour > 0 ? -log1p(-unit) / per_hour * NS_PER_HOUR : 0;

    c->next_ns = per_hour > 0 ? from_ns + 1 + (int64_t)fmin(gap, (double)DURATION_MAX) : 0;
    if (c->until_ns > 0 && (c->next_ns == 0 || c->next_ns > c->until_ns))
        c->next_ns = c->until_ns;
}

static uint64_t draw(const struct chaos *c, uint32_t stream)
{
    return random_u64((uint64_t)c->seed, c->ordinal, stream);
}

static enum chaos_action draw_action(const struct chaos *c)
{
    int64_t at = (int64_t)(draw(c, STREAM_ACTION) % (uint64_t)total_rate(c));
    int action = 0;

    while (action + 1 < CHAOS_ACTION_COUNT && at >= c->set.rates[action])
        at -= c->set.rates[action++];
    return (enum chaos_action)action;
}

static int64_t draw_down(const struct chaos *c)
{
    uint64_t range = (uint64_t)(c->set.max_down_ns - c->set.min_down_ns) + 1;

    return c->set.min_down_ns + (int64_t)(draw(c, STREAM_DOWN) % range);
}

// --- victims ---

// Ids are hashes: the next one after a random point is anybody, however old, and costs one look
// into an index.
static int pick(struct txn *t, const struct chaos *c, const char *lifecycle, struct instance **out,
                struct error *err)
{
    for (uint32_t n = 0; n < VICTIM_TRIES; n++) {
        struct resource *r;
        const char *id;
        char from[ID_MAX];
        int rc;

        snprintf(from, sizeof(from), "i-%016" PRIx64 "0", draw(c, STREAM_VICTIM + n));
        rc = store_pick_instance(t->store, c->r.project, INSTANCE_RUNNING, lifecycle, from,
                                 t->arena, &id, err);
        if (rc == 1)
            rc = txn_load(t, KIND_INSTANCE, c->r.project, id, &r, err) < 0 ? -(int)err->code : 1;
        if (rc < 0)
            return rc;
        if (rc == 1 && chaos_may_strike(c, (struct instance *)r)) {
            *out = (struct instance *)r;
            return 0;
        }
    }
    return error_set(err, ERROR_NOT_FOUND, NULL, "nobody was found who may be struck");
}

// --- remedies ---

static struct chaos_later *add_later(struct txn *t, struct chaos *c, enum chaos_remedy remedy,
                                     int64_t due_ns)
{
    struct chaos_later *all = arena_alloc(t->arena, (c->later_count + 1) * sizeof(*all));

    if (c->later_count > 0)
        memcpy(all, c->later, c->later_count * sizeof(*all));
    c->later = all;
    all[c->later_count] = (struct chaos_later){.due_ns = due_ns, .remedy = remedy};
    return &all[c->later_count++];
}

static void add_respawn(struct txn *t, struct chaos *c, const struct instance *i, int64_t due_ns)
{
    struct chaos_later *later = add_later(t, c, REMEDY_RESPAWN, due_ns);

    later->id = i->r.id;
    later->zone = i->zone;
    later->type = i->type;
    later->lifecycle = (int)i->lifecycle;
    later->backend = (int)i->backend;
    later->tags = i->r.tags;
    later->tag_count = i->r.tag_count;
}

// Nothing is to be done, but it counts as down until it runs again, or is gone.
static void add_watch(struct txn *t, struct chaos *c, enum chaos_action action,
                      const struct instance *i)
{
    struct chaos_later *later;

    if (!chaos_must_watch(c, action))
        return;
    later = add_later(t, c, REMEDY_NONE, 0);
    later->id = i->r.id;
    later->zone = i->zone;
}

// An operation on an instance, as a change of its own.
static int change_instance(struct txn *t, const struct chaos *c, const char *operation,
                           change_apply *apply, struct change *change, const char *id,
                           struct error *err)
{
    const char *before = t->operation;
    int rc;

    arena_init(&change->arena);
    buffer_init(&change->document);
    change->id = id;
    change->project = c->r.project;
    change->project_name = c->r.project_name;
    change->cause = t->cause;
    change->operation = operation;
    t->operation = operation;
    rc = apply(t, change, err);
    t->operation = before;
    buffer_fini(&change->document);
    arena_fini(&change->arena);
    return rc;
}

static int respawn(struct txn *t, const struct chaos *c, struct chaos_later *l, struct error *err)
{
    struct change change = {.request.instance = {.zone = l->zone,
                                                 .type = l->type,
                                                 .lifecycle = (enum instance_lifecycle)l->lifecycle,
                                                 .backend = (enum instance_backend)l->backend,
                                                 .families = {IP_V4},
                                                 .family_count = 1,
                                                 .external_ip = true}};
    struct tags_spec *tags = &change.request.instance.tags;
    int rc;

    tags->count = l->tag_count;
    tags->items = arena_alloc(t->arena, l->tag_count * sizeof(*tags->items) + 1);
    for (size_t i = 0; i < l->tag_count; i++)
        tags->items[i] = (struct tag_patch){l->tags[i].key, l->tags[i].value};
    rc = change_instance(t, c, "instances.create", instance_create, &change, NULL, err);
    if (rc == 0)
        l->id = change.result_id;
    return rc;
}

static int call(struct txn *t, const struct chaos *c, struct actor_call *request, struct error *err)
{
    struct actor_answer answer = {0};
    struct txn inner = *t;

    if (!t->cloud->actor)
        return error_set(err, ERROR_UNAVAILABLE, NULL, "this cloud has no API to act through");
    request->project = c->r.project;
    request->project_name = c->r.project_name;
    return t->cloud->actor->apply(t->cloud->actor, &inner, request, &answer, err);
}

static int apply_remedy(struct txn *t, const struct chaos *c, struct chaos_later *l,
                        struct error *err)
{
    struct change change = {0};

    if (l->remedy == REMEDY_START)
        return change_instance(t, c, "instances.start", instance_start, &change, l->id, err);
    if (l->remedy == REMEDY_RESPAWN)
        return respawn(t, c, l, err);
    return call(t, c, &(struct actor_call){.operation = "faults.delete", .id = l->id}, err);
}

// What is still stopping can be started once it has stopped: says when to try. Three-way.
static int wait_for_stop(struct txn *t, const struct chaos *c, struct chaos_later *l,
                         struct error *err)
{
    struct resource *r;
    int rc = txn_find(t, KIND_INSTANCE, c->r.project, l->id, &r, err);

    if (rc <= 0 || r->state != INSTANCE_STOPPING)
        return rc < 0 ? rc : 0;
    l->due_ns = r->transition_ns > t->now_ns ? r->transition_ns + 1 : t->now_ns + RETRY_RESPAWN;
    return 1;
}

// In a savepoint of its own. A respawn that finds no place tries again later; whom somebody else
// has started or ended meanwhile needs no remedy.
static int remedy(struct txn *t, const struct chaos *c, struct chaos_later *l, bool last,
                  bool *out_again, struct error *err)
{
    struct error failed = {0};
    struct txn_mark mark;
    int rc = txn_mark_set(t->cloud, &mark, err);

    if (rc < 0)
        return rc;
    rc = txn_mark_end(t->cloud, &mark, apply_remedy(t, c, l, &failed), &failed);
    if (failed.code == ERROR_STORAGE)
        return error_set(err, ERROR_STORAGE, NULL, "%s", failed.message);
    *out_again = rc < 0 && !last &&
                 (l->remedy == REMEDY_RESPAWN || failed.code == ERROR_ZONE_UNAVAILABLE ||
                  failed.code == ERROR_CAPACITY);
    if (rc < 0 && l->remedy == REMEDY_START && failed.code == ERROR_STATE) {
        rc = wait_for_stop(t, c, l, err);
        *out_again = rc == 1;
        return rc < 0 ? rc : 0;
    }
    if (*out_again)
        l->due_ns = t->now_ns + RETRY_RESPAWN;
    else if (rc == 0 && !last && l->remedy != REMEDY_END_FAULT && chaos_must_watch(c, CHAOS_STOP)) {
        *l = (struct chaos_later){.remedy = REMEDY_NONE, .id = l->id, .zone = l->zone};
        *out_again = true; // not yet up
    }
    return 0;
}

int chaos_remedy_due(struct txn *t, struct chaos *c, bool all, struct error *err)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->later_count; i++) {
        struct chaos_later l = c->later[i];
        bool watched = l.remedy == REMEDY_NONE, again = !(watched && all);
        int rc = 0;

        if (!watched && (all || l.due_ns <= t->now_ns))
            rc = remedy(t, c, &l, all || c->r.state == CHAOS_STOPPED, &again, err);
        if (rc < 0)
            return rc;
        if (again)
            c->later[kept++] = l;
    }
    c->later_count = kept;
    return 0;
}

// --- what happens ---

static int strike_instance(struct txn *t, struct chaos *c, enum chaos_action action,
                           struct instance *i, struct error *err)
{
    struct change change = {0};
    struct chaos_later *later;
    int rc;

    switch (action) {
    case CHAOS_TERMINATE:
        rc =
            change_instance(t, c, "instances.terminate", instance_terminate, &change, i->r.id, err);
        if (rc == 0 && c->set.respawn)
            add_respawn(t, c, i, t->now_ns + draw_down(c));
        else if (rc == 0)
            add_watch(t, c, action, i);
        return rc;
    case CHAOS_STOP:
        rc = change_instance(t, c, "instances.stop", instance_stop, &change, i->r.id, err);
        if (rc < 0)
            return rc;
        later = add_later(t, c, REMEDY_START, t->now_ns + draw_down(c));
        later->id = i->r.id;
        later->zone = i->zone;
        return 0;
    case CHAOS_REBOOT:
        rc = change_instance(t, c, "instances.reboot", instance_reboot, &change, i->r.id, err);
        if (rc == 0)
            add_watch(t, c, action, i);
        return rc;
    default:
        change.request.notice = (struct notice_spec){
            .kind = NOTICE_SPOT, .has_notice = true, .notice_ns = c->set.notice_ns};
        rc =
            change_instance(t, c, "instances.interrupt", instance_interrupt, &change, i->r.id, err);
        if (rc == 0 && c->set.respawn)
            add_respawn(t, c, i, t->now_ns + c->set.notice_ns + draw_down(c));
        else if (rc == 0)
            add_watch(t, c, action, i);
        return rc;
    }
}

// Down with all that runs there if the limits allow that, else closed only for what is new.
static const char *outage_body(struct txn *t, const struct chaos *c, const char *zone)
{
    bool limited = c->set.max_down > 0 || c->set.max_down_per_zone > 0 || c->set.min_running > 0 ||
                   c->set.protect_count > 0;

    return arena_printf(t->arena,
                        "{\"match\":{\"operations\":[\"*\"],\"project\":\"%s\"},\"effect\":"
                        "{\"zone_outage\":{\"zone\":\"%s\",\"instances\":\"%s\"}}}",
                        c->r.project_name, zone, limited ? "keep" : "stop");
}

static const char *api_body(struct txn *t, const struct chaos *c, enum chaos_action action)
{
    return arena_printf(
        t->arena, "{\"match\":{\"operations\":[\"*\"],\"project\":\"%s\"},%s}", c->r.project_name,
        action == CHAOS_SLOW_API
            ? "\"effect\":{\"latency\":{\"distribution\":\"uniform\",\"min\":\"50ms\","
              "\"max\":\"2s\"}}"
            : "\"when\":{\"probability\":0.3},\"effect\":{\"error\":{\"status\":503}}");
}

static int strike_api(struct txn *t, struct chaos *c, const char *body, struct error *err)
{
    struct actor_save id = {0};
    struct actor_call request = {
        .operation = "faults.create", .body = body, .saves = &id, .save_count = 1};
    struct chaos_later *later;
    int rc = call(t, c, &request, err);

    if (rc < 0)
        return rc;
    later = add_later(t, c, REMEDY_END_FAULT, t->now_ns + draw_down(c));
    later->id = id.value;
    later->zone = "";
    return 0;
}

static int draw_zone(struct txn *t, const struct chaos *c, const char **out, struct error *err)
{
    const struct store_match open = {.kind = KIND_ZONE, .states = 1U << ZONE_AVAILABLE};
    const char **ids;
    size_t count = 0;
    int rc = store_match_ids(t->store, &open, t->arena, &ids, &count, err);

    if (rc == 0 && count == 0)
        return error_set(err, ERROR_NOT_FOUND, NULL, "no zone is available");
    if (rc == 0)
        *out = ids[draw(c, STREAM_ZONE) % count];
    return rc;
}

static int strike(struct txn *t, struct chaos *c, enum chaos_action action, struct error *err)
{
    struct instance *victim = NULL;
    int rc = 0;

    if (action == CHAOS_ZONE_OUTAGE) {
        rc = draw_zone(t, c, &c->last_zone, err);
        return rc < 0 || c->set.dry_run ? rc
                                        : strike_api(t, c, outage_body(t, c, c->last_zone), err);
    }
    if (action > CHAOS_ZONE_OUTAGE)
        return c->set.dry_run ? 0 : strike_api(t, c, api_body(t, c, action), err);
    rc = chaos_limits_check(t, c, err);
    if (rc == 0)
        rc = pick(t, c, action == CHAOS_INTERRUPT ? "spot" : NULL, &victim, err);
    if (rc < 0 || !victim)
        return rc;
    c->last_id = victim->r.id;
    c->last_zone = victim->zone;
    return c->set.dry_run ? 0 : strike_instance(t, c, action, victim, err);
}

int chaos_strike(struct txn *t, struct chaos *c, struct error *err)
{
    enum chaos_action action;
    struct error failed = {0};
    struct chaos before;
    struct txn_mark mark;
    int rc = txn_mark_set(t->cloud, &mark, err);

    if (rc < 0)
        return rc;
    c->ordinal++;
    action = draw_action(c);
    c->last_id = c->last_zone = c->last_message = NULL;
    c->last_action = (int)action;
    before = *c;
    rc = txn_mark_end(t->cloud, &mark, strike(t, c, action, &failed), &failed);
    if (failed.code == ERROR_STORAGE)
        return error_set(err, ERROR_STORAGE, NULL, "%s", failed.message);
    if (rc < 0) {
        *c = before;
        c->last_message = arena_strdup(t->arena, failed.message);
    }
    c->last_outcome = rc < 0 ? OUTCOME_SKIPPED : c->set.dry_run ? OUTCOME_DRY : OUTCOME_DONE;
    (rc < 0 ? c->skipped : c->done)[action]++;
    return 0;
}
