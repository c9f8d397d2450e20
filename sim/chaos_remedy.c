// What brings back what was taken down, and how chaos acts on the cloud.
#include "base/timefmt.h"
#include "sim/actor.h"
#include "sim/chaos_internal.h"
#include "sim/cloud_internal.h"
#include "sim/notice.h"

#include <string.h>

#define RETRY (300 * NS_PER_S)

struct chaos_later *chaos_later_add(struct txn *t, struct chaos *c, size_t count,
                                    enum chaos_remedy remedy, int64_t due_ns)
{
    size_t before = c->later_count;
    struct chaos_later *all = arena_alloc(t->arena, (before + count) * sizeof(*all) + 1);

    if (before > 0)
        memcpy(all, c->later, before * sizeof(*all));
    for (size_t i = 0; i < count; i++)
        all[before + i] = (struct chaos_later){.due_ns = due_ns, .remedy = remedy};
    c->later = all;
    c->later_count += count;
    return all + before;
}

int chaos_change(struct txn *t, const struct chaos *c, const char *operation, change_apply *apply,
                 struct change *change, const char *id, struct error *err)
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
    rc = chaos_change(t, c, "instances.create", instance_create, &change, NULL, err);
    if (rc == 0)
        l->id = change.result_id;
    return rc;
}

int chaos_call(struct txn *t, const struct chaos *c, struct actor_call *request, struct error *err)
{
    struct actor_answer answer = {0};
    struct txn inner = *t;

    if (!t->cloud->actor)
        return error_set(err, ERROR_UNAVAILABLE, NULL, "this cloud has no API to act through");
    request->project = c->r.project;
    request->project_name = c->r.project_name;
    return t->cloud->actor->apply(t->cloud->actor, &inner, request, &answer, err);
}

// Whether who was to be ended is there to stay: its notice was cancelled, by an outage for one.
static int survives(struct txn *t, const struct chaos *c, const char *id, struct error *err)
{
    struct resource *r;
    int rc = txn_find(t, KIND_INSTANCE, c->r.project, id, &r, err);

    if (rc <= 0)
        return rc;
    return r->state != INSTANCE_TERMINATING && r->state != INSTANCE_TERMINATED &&
           r->state != INSTANCE_ERROR && !notice_find((struct instance *)r, 1U << NOTICE_SPOT);
}

static int replace(struct txn *t, const struct chaos *c, struct chaos_later *l, struct error *err)
{
    int rc = survives(t, c, l->id, err);

    return rc == 0 ? respawn(t, c, l, err) : rc < 0 ? rc : 0;
}

static int apply_remedy(struct txn *t, const struct chaos *c, struct chaos_later *l,
                        struct error *err)
{
    struct change change = {0};

    if (l->remedy == REMEDY_START)
        return chaos_change(t, c, "instances.start", instance_start, &change, l->id, err);
    if (l->remedy == REMEDY_HEAL)
        return chaos_heal(t, c, l, err);
    if (l->remedy == REMEDY_RESPAWN)
        return replace(t, c, l, err);
    return chaos_call(t, c, &(struct actor_call){.operation = "faults.delete", .id = l->id}, err);
}

// What is still stopping can be started once it has stopped: says when to try. Three-way.
static int wait_for_stop(struct txn *t, const struct chaos *c, struct chaos_later *l,
                         struct error *err)
{
    struct resource *r;
    int rc = txn_find(t, KIND_INSTANCE, c->r.project, l->id, &r, err);

    if (rc <= 0 || r->state != INSTANCE_STOPPING)
        return rc < 0 ? rc : 0;
    l->due_ns = r->transition_ns > t->now_ns ? r->transition_ns + 1 : t->now_ns + RETRY;
    return 1;
}

// In a savepoint of its own. Whoever finds no place tries again later, even after the end; whom
// somebody else has started or ended meanwhile needs no remedy.
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
    *out_again =
        rc < 0 && (failed.code == ERROR_ZONE_UNAVAILABLE || failed.code == ERROR_CAPACITY ||
                   (l->remedy == REMEDY_RESPAWN && !last));
    if (rc < 0 && l->remedy == REMEDY_START && failed.code == ERROR_STATE) {
        rc = wait_for_stop(t, c, l, err);
        *out_again = rc == 1;
        return rc < 0 ? rc : 0;
    }
    if (*out_again)
        l->due_ns = t->now_ns + RETRY;
    else if (rc == 0 && !last && chaos_of_instance(l) && chaos_must_watch(c, CHAOS_STOP)) {
        *l = (struct chaos_later){.remedy = REMEDY_NONE, .id = l->id, .zone = l->zone};
        *out_again = true; // not yet up
    }
    return 0;
}

// Of outages and other fault rules, or of all else.
static int apply_due(struct txn *t, struct chaos *c, bool faults, bool all, struct error *err)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->later_count; i++) {
        struct chaos_later l = c->later[i];
        bool watched = l.remedy == REMEDY_NONE, again = !(watched && all);
        int rc = 0;

        if (!watched && (l.remedy == REMEDY_END_FAULT) == faults && (all || l.due_ns <= t->now_ns))
            rc = remedy(t, c, &l, all || c->r.state != CHAOS_RUNNING, &again, err);
        if (rc < 0)
            return rc;
        if (again)
            c->later[kept++] = l;
    }
    c->later_count = kept;
    return 0;
}

int chaos_remedy_due(struct txn *t, struct chaos *c, bool all, struct error *err)
{
    int rc;

    if (c->set.dry_run) { // nothing was taken
        c->later_count = all ? 0 : c->later_count;
        return 0;
    }
    rc = apply_due(t, c, true, all, err); // first: nothing starts in a zone that is down
    return rc < 0 ? rc : apply_due(t, c, false, all, err);
}
