#include "sim/usage.h"

#include "sim/cloud_internal.h"
#include "sim/usage_cells.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *const quota_names[QUOTA_KINDS] = {
    [KIND_INSTANCE] = "instances",
    [KIND_LOAD_BALANCER] = "load_balancers",
    [KIND_TARGET_POOL] = "target_pools",
    [KIND_ADDRESS] = "addresses",
    [KIND_ROUTE] = "routes",
};

// --- what counts ---

static bool counts(enum kind kind, int state)
{
    static const uint32_t dead[QUOTA_KINDS] = {
        [KIND_INSTANCE] = 1U << INSTANCE_TERMINATED,
        [KIND_LOAD_BALANCER] = 1U << LB_DELETED,
        [KIND_ROUTE] = 1U << ROUTE_DELETED,
    };

    return state >= 0 && ((dead[kind] >> state) & 1) == 0;
}

static bool takes_place(int state)
{
    static const uint32_t out =
        1U << INSTANCE_STOPPED | 1U << INSTANCE_TERMINATING | 1U << INSTANCE_TERMINATED;

    return state >= 0 && ((out >> state) & 1) == 0;
}

static bool exceeded(const struct cell *cell)
{
    return cell->limit != UNLIMITED && cell->used > cell->limit;
}

static bool refuses(const struct txn *t)
{
    return t->cause != CAUSE_TIMER && t->cause != CAUSE_BACKEND;
}

static int note_quota(struct txn *t, const struct resource *r, int delta, struct error *err)
{
    struct place place = {.project = r->project, .kind = r->kind};
    struct cell *cell = cell_touch(t->cloud->usage, &place);

    cell->used += delta;
    if (delta > 0 && exceeded(cell) && refuses(t)) {
        return error_set(err, ERROR_QUOTA, NULL,
                         "quota %s of project %s is exceeded: at most %" PRId64,
                         quota_names[r->kind], r->project_name, cell->limit);
    }
    return 0;
}

static int no_capacity(const struct cell *cell, const struct instance *i, struct error *err)
{
    return error_set(err, ERROR_CAPACITY, cell->of_type ? "type" : "zone",
                     "zone %.80s has no capacity left for type %.80s: at most %" PRId64 "%s",
                     i->zone, i->type, cell->limit, cell->of_type ? "" : " of all types");
}

static int note_place(struct txn *t, const struct instance *i, int delta, struct error *err)
{
    const char *const types[] = {i->type, NULL};

    for (size_t k = 0; k < 2; k++) {
        struct place place = {.zone = i->zone, .type = types[k]};
        struct cell *cell = cell_touch(t->cloud->usage, &place);
        cell->used += delta;
        if (delta > 0 && exceeded(cell) && refuses(t)) {
            return no_capacity(cell, i, err);
        }
    }
    return 0;
}

// --- limits ---

static void set_limit(struct usage *u, const struct place *place, int64_t limit)
{
    cell_touch(u, place)->limit = limit;
}

static void note_quota_limits(struct usage *u, const struct quota *q, bool removed)
{
    for (enum kind kind = 0; kind < QUOTA_KINDS; kind++) {
        struct place place = {.project = q->r.project, .kind = kind};
        set_limit(u, &place, removed ? UNLIMITED : q->limits[kind]);
    }
}

// Types that the zone does not limit any more are found among the cells.
static void clear_capacity(struct usage *u, const char *zone)
{
    pthread_mutex_lock(&u->lock);
    for (size_t i = 0; i < u->bucket_count; i++) {
        for (struct cell *c = u->buckets[i]; c != NULL; c = c->next) {
            if (c->project == 0 && c->limit != UNLIMITED && strcmp(c->zone, zone) == 0) {
                cell_note(u, c);
                c->limit = UNLIMITED;
            }
        }
    }
    pthread_mutex_unlock(&u->lock);
}

static void note_capacity(struct usage *u, const struct zone *z, bool removed)
{
    clear_capacity(u, z->r.id);
    if (removed) {
        return;
    }
    for (size_t i = 0; i < z->capacity_count; i++) {
        struct place place = {.zone = z->r.id, .type = z->capacity[i].type};
        set_limit(u, &place, z->capacity[i].limit);
    }
    if (z->capacity_total != UNLIMITED) {
        struct place place = {.zone = z->r.id};
        set_limit(u, &place, z->capacity_total);
    }
}

int usage_note(struct txn *t, const struct resource *r, bool removed, struct error *err)
{
    int before = r->stored_state, after = removed ? -1 : r->state;
    int rc = 0;

    if (r->kind == KIND_QUOTA) {
        note_quota_limits(t->cloud->usage, (const struct quota *)r, removed);
    } else if (r->kind == KIND_ZONE) {
        note_capacity(t->cloud->usage, (const struct zone *)r, removed);
    }
    if (r->kind >= QUOTA_KINDS) {
        return 0;
    }
    int delta = counts(r->kind, after) - counts(r->kind, before);
    if (delta != 0) {
        rc = note_quota(t, r, delta, err);
    }
    if (rc == 0 && r->kind == KIND_INSTANCE && takes_place(after) != takes_place(before)) {
        rc = note_place(t, (const struct instance *)r, takes_place(after) ? 1 : -1, err);
    }
    return rc;
}

// --- loading ---

static int load_limits(void *context, const struct row *row, struct error *err)
{
    struct txn *t = context;
    struct resource *r =
        record_from_row(row->project != 0 ? KIND_QUOTA : KIND_ZONE, row, t->arena, err);

    return r == NULL ? -ERROR_INTERNAL : usage_note(t, r, false, err);
}

struct counting {
    struct usage *usage;
    enum kind kind;
};

static int load_count(void *context, const struct row *row, int64_t count)
{
    const struct counting *c = context;
    struct place place = {.project = row->project, .kind = c->kind};

    if (counts(c->kind, row->state)) {
        cell_touch(c->usage, &place)->used += count;
    }
    if (c->kind == KIND_INSTANCE && takes_place(row->state)) {
        place = (struct place){.zone = row->columns[0], .type = row->columns[1]};
        cell_touch(c->usage, &place)->used += count;
        place.type = NULL;
        cell_touch(c->usage, &place)->used += count;
    }
    return 0;
}

int usage_load(struct cloud *cloud, struct error *err)
{
    struct arena arena;
    struct txn t = {.cloud = cloud, .store = cloud->store, .arena = &arena, .cause = CAUSE_TIMER};
    int rc = 0;

    pthread_mutex_lock(&cloud->usage->lock);
    cells_forget(cloud->usage);
    pthread_mutex_unlock(&cloud->usage->lock);
    arena_init(&arena);
    for (enum kind kind = 0; rc == 0 && kind < QUOTA_KINDS; kind++) {
        struct counting counting = {cloud->usage, kind};
        rc = store_tally(cloud->store, kind, kind == KIND_INSTANCE ? 2 : 0, load_count, &counting,
                         err);
        usage_commit(cloud->usage);
    }
    rc = rc < 0 ? rc : store_each(cloud->store, KIND_ZONE, 0, load_limits, &t, err);
    rc = rc < 0 ? rc : store_each(cloud->store, KIND_QUOTA, 0, load_limits, &t, err);
    usage_commit(cloud->usage);
    arena_fini(&arena);
    return rc;
}

// --- what is shown ---

static struct usage_figures figures(struct usage *u, const struct place *place)
{
    struct usage_figures shown = {0, UNLIMITED};
    struct cell *cell;

    pthread_mutex_lock(&u->lock);
    cell = cell_find(u, place);
    if (cell != NULL) {
        shown = cell->shown;
    }
    pthread_mutex_unlock(&u->lock);
    return shown;
}

struct usage_figures usage_of_quota(struct usage *u, int64_t project, enum kind kind)
{
    return figures(u, &(struct place){.project = project, .kind = kind});
}

struct usage_figures usage_of_capacity(struct usage *u, const char *zone, const char *type)
{
    return figures(u, &(struct place){.zone = zone, .type = type});
}

static int by_type(const void *a, const void *b)
{
    return strcmp(((const struct usage_place *)a)->type, ((const struct usage_place *)b)->type);
}

static bool is_place_of(const struct cell *c, const char *zone)
{
    return c->project == 0 && c->of_type && strcmp(c->zone, zone) == 0 &&
           (c->shown.used > 0 || c->shown.limit != UNLIMITED);
}

size_t usage_places(struct usage *u, const char *zone, struct arena *arena,
                    struct usage_place **out)
{
    size_t count = 0;

    pthread_mutex_lock(&u->lock);
    *out = arena_alloc(arena, (u->cell_count + 1) * sizeof(**out));
    for (size_t i = 0; i < u->bucket_count; i++) {
        for (struct cell *c = u->buckets[i]; c != NULL; c = c->next) {
            if (is_place_of(c, zone)) {
                (*out)[count++] = (struct usage_place){arena_strdup(arena, c->type), c->shown};
            }
        }
    }
    pthread_mutex_unlock(&u->lock);
    qsort(*out, count, sizeof(**out), by_type);
    return count;
}
