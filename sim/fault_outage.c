// The outage of a zone. While it lasts, nothing is made or started there (sim/fault_cloud.c), and
// the instances that ran are stopped or in error; all of them come back when it is over: at its
// `until`, or when its rule goes. An outage of all projects also shows in the zone's own state.
#include "sim/cloud_internal.h"
#include "sim/fault_cloud.h"
#include "sim/instance.h"
#include "sim/txn.h"

#include <string.h>

// clang-format off
//
//   create ─┬─► ahead ──from──► on ──until──► over
//           └──────────────────►
//
// A change of the rule leads to any of them, switched off to `over`.
// Kept in the rule's state, its deadline in transition_ns.
enum outage { OUTAGE_AHEAD, OUTAGE_ON, OUTAGE_OVER };
// clang-format on

#define REASON "zone-outage"

static bool is_outage(const struct fault *f)
{
    return f->effect.type == FAULT_ZONE_OUTAGE;
}

static int check_zone(struct txn *t, const struct fault *f, struct error *err)
{
    struct resource *zone;
    int rc = txn_find(t, KIND_ZONE, 0, f->effect.zone, &zone, err);

    return rc != 0 ? rc
                   : error_set(err, ERROR_INVALID, "effect.zone_outage.zone",
                               "zone %s does not exist", f->effect.zone);
}

int fault_outage_schedule(struct txn *t, const struct fault *before, struct fault *f,
                          struct error *err)
{
    const struct fault_when *when = &f->when;
    int rc = 0;

    if (!is_outage(f))
        return 0;
    if (!before || strcmp(before->effect.zone, f->effect.zone) != 0)
        rc = check_zone(t, f, err);
    if (rc < 0)
        return rc;
    f->r.state = when->from_ns > t->now_ns ? OUTAGE_AHEAD : OUTAGE_ON;
    f->r.transition_ns = f->r.state == OUTAGE_AHEAD ? when->from_ns : when->until_ns;
    if (f->off || (when->until_ns != 0 && when->until_ns <= t->now_ns)) {
        f->r.state = OUTAGE_OVER;
        f->r.transition_ns = 0;
    }
    return 0;
}

// --- the zone itself ---

bool fault_outage_keeps(const struct resource *r)
{
    return r->reason_code && strcmp(r->reason_code, REASON) == 0;
}

static void mark(struct txn *t, struct resource *r, const struct fault *f)
{
    r->reason_code = REASON;
    r->reason_message = arena_printf(t->arena, "zone %s is down", f->effect.zone);
}

static int set_zone(struct txn *t, const struct fault *f, bool up, struct error *err)
{
    enum zone_state from = up ? ZONE_UNAVAILABLE : ZONE_AVAILABLE;
    struct resource *zone;
    int rc = txn_find(t, KIND_ZONE, 0, f->effect.zone, &zone, err);

    if (rc <= 0 || f->r.project != 0 || zone->state != (int)from ||
        (up && !fault_outage_keeps(zone)))
        return rc < 0 ? rc : 0;
    zone->state = up ? ZONE_AVAILABLE : ZONE_UNAVAILABLE;
    zone->reason_code = zone->reason_message = NULL;
    if (!up)
        mark(t, zone, f);
    return txn_put(t, zone, err);
}

// --- its instances ---

struct found { // ids, gathered before anything is written
    struct arena *arena;
    const char *zone;
    struct link {
        struct link *next;
        const char *id;
    } * first, **last;
};

static int gather(void *context, const struct row *row, struct error *err)
{
    struct found *found = context;
    struct link *link;

    (void)err;
    if (strcmp(row->columns[0], found->zone) != 0)
        return 0;
    link = arena_alloc(found->arena, sizeof(*link));
    link->id = arena_strdup(found->arena, row->id);
    *found->last = link;
    found->last = &link->next;
    return 0;
}

static int take_down(struct txn *t, struct instance *i, const struct fault *f, struct error *err)
{
    struct fault_target target = fault_target_of(&i->r);
    enum instance_event event = i->backend == BACKEND_DOCKER ? INSTANCE_STOP : INSTANCE_OUTAGE;
    enum instance_state next;

    if (f->effect.outage == FAULT_OUTAGE_KEEP || !fault_selects(f, &target) ||
        instance_step((enum instance_state)i->r.state, event, &next) < 0 ||
        instance_may_go_down(t, i, false, NULL) < 0)
        return 0;
    next = f->effect.outage == FAULT_OUTAGE_ERROR ? INSTANCE_ERROR : next;
    mark(t, &i->r, f);
    return instance_move(t, i, (int)next, err);
}

struct others { // outages of the same zone that are on
    struct arena *arena;
    const struct fault *ended;
    struct other {
        struct other *next;
        int64_t project; // 0: all
    } * first;
};

static int look_at(void *context, const struct row *row, struct error *err)
{
    struct others *others = context;
    const struct fault *ended = others->ended;
    const struct fault *f =
        (const struct fault *)record_from_row(KIND_FAULT, row, others->arena, err);
    struct other *other;

    if (!f)
        return -ERROR_INTERNAL;
    if (!is_outage(f) || f->r.seq == ended->r.seq || f->r.state != OUTAGE_ON ||
        strcmp(f->effect.zone, ended->effect.zone) != 0)
        return 0;
    other = arena_alloc(others->arena, sizeof(*other));
    *other = (struct other){others->first, f->r.project};
    others->first = other;
    return 0;
}

// Whether one of them keeps the project down; project 0: all of them.
static bool keeps_down(const struct others *others, int64_t project)
{
    for (const struct other *other = others->first; other; other = other->next)
        if (other->project == 0 || other->project == project)
            return true;
    return false;
}

static int bring_back(struct txn *t, struct instance *i, const struct others *others,
                      struct error *err)
{
    enum instance_state next;

    if (!fault_outage_keeps(&i->r) || keeps_down(others, i->r.project) ||
        instance_step((enum instance_state)i->r.state, INSTANCE_RECOVER, &next) < 0)
        return 0;
    i->r.reason_code = i->r.reason_message = NULL;
    return instance_move(t, i, (int)next, err);
}

// `others` NULL: takes them down.
static int each_instance(struct txn *t, const struct fault *f, const struct others *others,
                         struct error *err)
{
    struct found found = {.arena = t->arena, .zone = f->effect.zone, .last = &found.first};
    int rc = store_each(t->store, KIND_INSTANCE, f->r.project, gather, &found, err);

    for (struct link *link = found.first; rc == 0 && link; link = link->next) {
        struct resource *r;

        rc = txn_load(t, KIND_INSTANCE, 0, link->id, &r, err);
        if (rc < 0)
            return rc;
        rc = others ? bring_back(t, (struct instance *)r, others, err)
                    : take_down(t, (struct instance *)r, f, err);
    }
    return rc;
}

// --- beginning and ending ---

// What an outage does is the cloud's own doing: no limit refuses it.
static void nobody_asks(struct txn *t, const char *operation)
{
    t->operation = operation;
    t->cause = CAUSE_TIMER;
}

int fault_begins(struct txn *t, struct fault *f, struct error *err)
{
    struct txn asked = *t;
    int rc;

    if (!is_outage(f) || f->r.state != OUTAGE_ON)
        return 0;
    nobody_asks(t, "zone.outage");
    rc = set_zone(t, f, false, err);
    if (rc == 0)
        rc = each_instance(t, f, NULL, err);
    t->operation = asked.operation;
    t->cause = asked.cause;
    return rc;
}

int fault_outage_end(struct txn *t, const struct fault *f, struct error *err)
{
    struct others others = {.arena = t->arena, .ended = f};
    struct txn asked = *t;
    int rc;

    if (f->r.state != OUTAGE_ON)
        return 0;
    nobody_asks(t, "zone.recovery");
    rc = store_each(t->store, KIND_FAULT, 0, look_at, &others, err);
    if (rc == 0 && !keeps_down(&others, 0))
        rc = set_zone(t, f, true, err);
    if (rc == 0)
        rc = each_instance(t, f, &others, err);
    t->operation = asked.operation;
    t->cause = asked.cause;
    return rc;
}

// Whether they differ in no more than their times.
static bool does_the_same(const struct fault *a, const struct fault *b)
{
    struct fault same_times = *b;
    struct buffer one, other;
    bool same;

    same_times.when = a->when;
    same_times.counts = a->counts;
    buffer_init(&one);
    buffer_init(&other);
    fault_kind.pack(&a->r, &one);
    fault_kind.pack(&same_times.r, &other);
    same = one.length == other.length && memcmp(one.data, other.data, one.length) == 0;
    buffer_fini(&one);
    buffer_fini(&other);
    return same;
}

int fault_outage_follow(struct txn *t, const struct fault *before, struct fault *f,
                        struct error *err)
{
    bool was_on = before->r.state == OUTAGE_ON, is_on = f->r.state == OUTAGE_ON;
    int rc = 0;

    if (!is_outage(f) || (was_on && is_on && does_the_same(before, f)))
        return 0;
    if (was_on)
        rc = fault_outage_end(t, before, err);
    return rc == 0 && is_on ? fault_begins(t, f, err) : rc;
}

int fault_due(struct txn *t, struct resource *r, struct error *err)
{
    struct fault *f = (struct fault *)r;
    struct fault before = *f;
    bool begins = r->state == OUTAGE_AHEAD;
    int rc;

    r->state = begins ? OUTAGE_ON : OUTAGE_OVER;
    r->transition_ns = begins ? f->when.until_ns : 0;
    rc = txn_put(t, r, err);
    if (rc < 0)
        return rc;
    return begins ? fault_begins(t, f, err) : fault_outage_end(t, &before, err);
}
