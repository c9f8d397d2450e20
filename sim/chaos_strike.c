// One misfortune: whom it strikes, what is done, and what will bring it back.
#include "base/timefmt.h"
#include "sim/actor.h"
#include "sim/chaos_internal.h"
#include "sim/cloud_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define VICTIM_TRIES 8
#define DRY_WINDOW 64
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

uint64_t chaos_draw(const struct chaos *c, uint32_t stream)
{
    return random_u64((uint64_t)c->seed, c->ordinal, stream);
}

static enum chaos_action draw_action(const struct chaos *c)
{
    int64_t at = (int64_t)(chaos_draw(c, STREAM_ACTION) % (uint64_t)total_rate(c));
    int action = 0;

    while (action + 1 < CHAOS_ACTION_COUNT && at >= c->set.rates[action])
        at -= c->set.rates[action++];
    return (enum chaos_action)action;
}

static int64_t draw_down(const struct chaos *c)
{
    uint64_t range = (uint64_t)(c->set.max_down_ns - c->set.min_down_ns) + 1;

    return c->set.min_down_ns + (int64_t)(chaos_draw(c, STREAM_DOWN) % range);
}

// --- victims ---

// The next one that runs, at or after an id. Those that a dry run has down are passed over like
// those that are down. Three-way.
static int next_running(struct txn *t, const struct chaos *c, const char *lifecycle,
                        const char *from, struct instance **out, struct error *err)
{
    for (int n = 0; n < DRY_WINDOW; n++) {
        struct resource *r;
        const char *id;
        int rc = store_pick_instance(t->store, c->r.project, INSTANCE_RUNNING, lifecycle, from,
                                     t->arena, &id, err);

        if (rc <= 0)
            return rc;
        rc = txn_load(t, KIND_INSTANCE, c->r.project, id, &r, err);
        if (rc < 0)
            return rc;
        *out = (struct instance *)r;
        if (!c->set.dry_run || !chaos_is_down(c, *out))
            return 1;
        from = arena_printf(t->arena, "%s0", id); // what follows it
    }
    return 0;
}

// Ids are hashes: the next one after a random point is anybody, however old, and costs one look
// into an index.
static int pick(struct txn *t, const struct chaos *c, const char *lifecycle, struct instance **out,
                struct error *err)
{
    for (uint32_t n = 0; n < VICTIM_TRIES; n++) {
        struct instance *i = NULL;
        char from[ID_MAX];
        int rc;

        snprintf(from, sizeof(from), "i-%016" PRIx64 "0", chaos_draw(c, STREAM_VICTIM + n));
        rc = next_running(t, c, lifecycle, from, &i, err);
        if (rc < 0)
            return rc;
        if (rc == 1 && chaos_may_strike(t, c, i)) {
            *out = i;
            return 0;
        }
    }
    return error_set(err, ERROR_NOT_FOUND, NULL, "nobody was found who may be struck");
}

// --- what happens ---

static void add_respawn(struct txn *t, struct chaos *c, const struct instance *i, int64_t due_ns)
{
    struct chaos_later *later = chaos_later_add(t, c, 1, REMEDY_RESPAWN, due_ns);

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
    later = chaos_later_add(t, c, 1, REMEDY_NONE, 0);
    later->id = i->r.id;
    later->zone = i->zone;
}

static int strike_instance(struct txn *t, struct chaos *c, enum chaos_action action,
                           struct instance *i, struct error *err)
{
    struct change change = {0};
    struct chaos_later *later;
    int rc;

    switch (action) {
    case CHAOS_TERMINATE:
        rc = chaos_change(t, c, "instances.terminate", instance_terminate, &change, i->r.id, err);
        if (rc == 0 && c->set.respawn)
            add_respawn(t, c, i, t->now_ns + draw_down(c));
        else if (rc == 0)
            add_watch(t, c, action, i);
        return rc;
    case CHAOS_STOP:
        rc = chaos_change(t, c, "instances.stop", instance_stop, &change, i->r.id, err);
        if (rc < 0)
            return rc;
        later = chaos_later_add(t, c, 1, REMEDY_START, t->now_ns + draw_down(c));
        later->id = i->r.id;
        later->zone = i->zone;
        return 0;
    case CHAOS_REBOOT:
        rc = chaos_change(t, c, "instances.reboot", instance_reboot, &change, i->r.id, err);
        if (rc == 0)
            add_watch(t, c, action, i);
        return rc;
    default:
        change.request.notice = (struct notice_spec){
            .kind = NOTICE_SPOT, .has_notice = true, .notice_ns = c->set.notice_ns};
        rc = chaos_change(t, c, "instances.interrupt", instance_interrupt, &change, i->r.id, err);
        if (rc == 0 && c->set.respawn)
            add_respawn(t, c, i, t->now_ns + c->set.notice_ns + draw_down(c));
        else if (rc == 0)
            add_watch(t, c, action, i);
        return rc;
    }
}

static const char *outage_body(struct txn *t, const struct chaos *c, const char *zone)
{
    return arena_printf(t->arena,
                        "{\"match\":{\"operations\":[\"*\"],\"project\":\"%s\"},\"effect\":"
                        "{\"zone_outage\":{\"zone\":\"%s\",\"instances\":\"stop\"}}}",
                        c->r.project_name, zone);
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
    int rc = chaos_call(t, c, &request, err);

    if (rc < 0)
        return rc;
    later = chaos_later_add(t, c, 1, REMEDY_END_FAULT, t->now_ns + draw_down(c));
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
        *out = ids[chaos_draw(c, STREAM_ZONE) % count];
    return rc;
}

// The rule brings all of them back; until they run again, they are down.
static int strike_zone(struct txn *t, struct chaos *c, struct error *err)
{
    struct chaos_later *later;
    struct chaos_fall fall;
    int rc = draw_zone(t, c, &c->last_zone, err);

    if (rc < 0)
        return rc;
    rc = chaos_outage_check(t, c, c->last_zone, &fall, err);
    if (rc < 0)
        return rc;
    if (c->set.dry_run) {
        chaos_dry_outage(t, c, &fall, t->now_ns + draw_down(c));
        return 0;
    }
    rc = strike_api(t, c, outage_body(t, c, c->last_zone), err);
    if (rc < 0 || !chaos_must_watch(c, CHAOS_ZONE_OUTAGE))
        return rc;
    later = chaos_later_add(t, c, fall.count, REMEDY_NONE, 0);
    for (size_t i = 0; i < fall.count; i++) {
        later[i].id = fall.ids[i];
        later[i].zone = c->last_zone;
    }
    return 0;
}

static int strike(struct txn *t, struct chaos *c, enum chaos_action action, struct error *err)
{
    struct instance *victim = NULL;
    int rc = 0;

    if (action == CHAOS_ZONE_OUTAGE)
        return strike_zone(t, c, err);
    if (action == CHAOS_TARGET_FAILURE)
        return chaos_strike_target(t, c, draw_down(c), err);
    if (action > CHAOS_ZONE_OUTAGE)
        return c->set.dry_run ? 0 : strike_api(t, c, api_body(t, c, action), err);
    rc = chaos_limits_check(t, c, err);
    if (rc == 0)
        rc = pick(t, c, action == CHAOS_INTERRUPT ? "spot" : NULL, &victim, err);
    if (rc < 0 || !victim)
        return rc;
    c->last_id = victim->r.id;
    c->last_zone = victim->zone;
    return c->set.dry_run ? chaos_dry_strike(t, c, action, victim, draw_down(c), err)
                          : strike_instance(t, c, action, victim, err);
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
