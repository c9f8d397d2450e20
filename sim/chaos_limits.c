// How much may be down at once, and who is spared.
//
// Whoever was struck counts until it runs again: from the notice, through the reboot, the outage of
// its zone, and until the one that takes its place is up.
#include "sim/chaos_internal.h"
#include "sim/cloud_internal.h"
#include "sim/fault_cloud.h"
#include "sim/notice.h"

#include <inttypes.h>
#include <string.h>

#define PROTECTED_TAG "chaos.mockcloud.dev/protected" // with any value

bool chaos_of_instance(const struct chaos_later *l)
{
    return l->remedy != REMEDY_END_FAULT && l->remedy != REMEDY_HEAL;
}

static int count_down(struct txn *t, const struct chaos *c, const char *zone)
{
    int count = 0;

    for (size_t i = 0; i < c->later_count; i++) {
        const struct chaos_later *l = &c->later[i];
        bool over = l->remedy == REMEDY_GONE && l->due_ns <= t->now_ns;

        count += chaos_of_instance(l) && !over && (!zone || strcmp(l->zone, zone) == 0);
    }
    return count;
}

static bool spares(const struct chaos *c, const struct store_tag *tag)
{
    if (strcmp(tag->key, PROTECTED_TAG) == 0)
        return true;
    for (size_t i = 0; i < c->set.protect_count; i++)
        if (strcmp(tag->key, c->set.protect[i].key) == 0 &&
            (!c->set.protect[i].value || strcmp(tag->value, c->set.protect[i].value) == 0))
            return true;
    return false;
}

bool chaos_is_protected(const struct chaos *c, const struct resource *r)
{
    for (size_t i = 0; i < r->tag_count; i++)
        if (spares(c, &r->tags[i]))
            return true;
    return false;
}

static bool is_down(const struct chaos *c, const char *id)
{
    for (size_t i = 0; i < c->later_count; i++)
        if (strcmp(c->later[i].id, id) == 0)
            return true;
    return false;
}

bool chaos_is_down(const struct chaos *c, const struct instance *i)
{
    for (size_t n = 0; n < c->later_count; n++)
        if (strcmp(c->later[n].id, i->r.id) == 0 ||
            (c->later[n].remedy == REMEDY_END_FAULT && strcmp(c->later[n].zone, i->zone) == 0))
            return true;
    return false;
}

bool chaos_may_strike(struct txn *t, const struct chaos *c, const struct instance *i)
{
    return !chaos_is_protected(c, &i->r) && !chaos_is_down(c, i) &&
           (c->set.max_down_per_zone == 0 || count_down(t, c, i->zone) < c->set.max_down_per_zone);
}

bool chaos_must_watch(const struct chaos *c, enum chaos_action action)
{
    return c->set.max_down > 0 || c->set.max_down_per_zone > 0 ||
           (c->set.min_running > 0 && (action == CHAOS_INTERRUPT || c->set.dry_run));
}

// On its way down, or up: what is stopped or in error by now, somebody else has left so, unless
// it is an outage that keeps it down.
static bool is_on_its_way(const struct instance *i)
{
    switch ((enum instance_state)i->r.state) {
    case INSTANCE_PENDING:
    case INSTANCE_STOPPING:
    case INSTANCE_REBOOTING:
    case INSTANCE_TERMINATING:
        return true;
    case INSTANCE_RUNNING:
        return notice_find(i, 1U << NOTICE_SPOT) != NULL;
    case INSTANCE_STOPPED:
    case INSTANCE_ERROR:
        return fault_outage_keeps(&i->r);
    default:
        return false;
    }
}

int chaos_watch(struct txn *t, struct chaos *c, struct error *err)
{
    size_t kept = 0;

    if (c->set.dry_run) {
        chaos_dry_watch(c, t->now_ns);
        return 0;
    }
    for (size_t i = 0; i < c->later_count; i++) {
        bool keep = c->later[i].remedy != REMEDY_NONE;
        struct resource *r;
        int rc = keep ? 0 : txn_find(t, KIND_INSTANCE, c->r.project, c->later[i].id, &r, err);

        if (rc < 0)
            return rc;
        if (keep || (rc == 1 && is_on_its_way((struct instance *)r)))
            c->later[kept++] = c->later[i];
    }
    c->later_count = kept;
    return 0;
}

// Those that run yet, but have notice, or would be down if it were no dry run.
static int count_noticed(struct txn *t, const struct chaos *c, int64_t *out, struct error *err)
{
    *out = 0;
    for (size_t i = 0; i < c->later_count; i++) {
        struct resource *r;
        int rc;

        if (!chaos_of_instance(&c->later[i]) || c->later[i].remedy == REMEDY_START)
            continue;
        rc = txn_find(t, KIND_INSTANCE, c->r.project, c->later[i].id, &r, err);
        if (rc < 0)
            return rc;
        *out += rc == 1 && r->state == INSTANCE_RUNNING;
    }
    return 0;
}

// Whether enough are left when so many go.
static int check_running(struct txn *t, const struct chaos *c, int64_t going, struct error *err)
{
    int64_t running, noticed, least = c->set.min_running;
    int rc = count_noticed(t, c, &noticed, err);

    if (rc == 0)
        rc = store_count_instances(t->store, c->r.project, INSTANCE_RUNNING,
                                   least + noticed + going, &running, err);
    if (rc == 0 && running - noticed - going < least)
        return error_set(err, ERROR_STATE, NULL, "only %" PRId64 " run", running - noticed);
    return rc;
}

int chaos_limits_check(struct txn *t, const struct chaos *c, struct error *err)
{
    int down = count_down(t, c, NULL);

    if (c->set.max_down > 0 && down >= c->set.max_down)
        return error_set(err, ERROR_STATE, NULL, "%d are down already", down);
    return c->set.min_running > 0 ? check_running(t, c, 1, err) : 0;
}

// --- outages ---

static int64_t room(int limit, int down)
{
    return limit == 0 ? INT64_MAX : limit - down;
}

// How many more may go down in this zone.
static int64_t room_in(struct txn *t, const struct chaos *c, const char *zone)
{
    int64_t anywhere = room(c->set.max_down, count_down(t, c, NULL));
    int64_t there = room(c->set.max_down_per_zone, count_down(t, c, zone));

    return anywhere < there ? anywhere : there;
}

static int add_fall(struct txn *t, const struct chaos *c, const char *id, struct chaos_fall *fall,
                    struct error *err)
{
    struct resource *r;
    int rc = txn_load(t, KIND_INSTANCE, c->r.project, id, &r, err);

    if (rc < 0)
        return rc;
    if (chaos_is_protected(c, r))
        return error_set(err, ERROR_STATE, NULL, "%s is protected", id);
    fall->ids[fall->count++] = id;
    fall->running += r->state == INSTANCE_RUNNING;
    return 0;
}

int chaos_outage_check(struct txn *t, const struct chaos *c, const char *zone,
                       struct chaos_fall *out, struct error *err)
{
    const struct store_match up = {.kind = KIND_INSTANCE,
                                   .project = c->r.project,
                                   .columns = {zone},
                                   .states = 1U << INSTANCE_PENDING | 1U << INSTANCE_RUNNING |
                                             1U << INSTANCE_REBOOTING};
    int64_t most = room_in(t, c, zone);
    struct chaos_fall fall = {0};
    size_t count;
    int rc = store_match_ids(t->store, &up, t->arena, &fall.ids, &count, err);

    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (is_down(c, fall.ids[i]))
            continue;
        if ((int64_t)fall.count >= most)
            return error_set(err, ERROR_STATE, NULL, "too many run in zone %s", zone);
        rc = add_fall(t, c, fall.ids[i], &fall, err);
    }
    if (rc == 0 && c->set.min_running > 0)
        rc = check_running(t, c, (int64_t)fall.running, err);
    if (rc == 0)
        *out = fall;
    return rc;
}
