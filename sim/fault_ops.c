// Operations on fault rules.
#include "base/timefmt.h"
#include "sim/cloud_internal.h"
#include "sim/fault_cloud.h"
#include "sim/fault_internal.h"

#include <string.h>

static int64_t moment(const struct txn *t, int64_t ns, bool is_delay)
{
    if (!is_delay) {
        return ns;
    }
    return ns > CLOCK_END - t->now_ns ? CLOCK_END : t->now_ns + ns;
}

static void set_times(const struct txn *t, struct fault *f, const struct fault_spec *spec)
{
    f->when = spec->when;
    f->when.from_ns = moment(t, spec->when.from_ns, spec->from_is_delay);
    f->when.until_ns = moment(t, spec->when.until_ns, spec->until_is_delay);
}

static int check_times(const struct fault *f, struct error *err)
{
    if (f->when.until_ns != 0 && f->when.until_ns <= f->when.from_ns) {
        return error_set(err, ERROR_INVALID, "when.until", "is not after when.from");
    }
    return 0;
}

int fault_create(struct txn *t, struct change *c, struct error *err)
{
    const struct fault_spec *spec = &c->request.fault;
    struct resource *r = txn_new(t, KIND_FAULT, t->project != 0, NULL);
    struct fault *f = (struct fault *)r;
    int rc;

    set_times(t, f, spec);
    f->match = spec->match;
    f->effect = spec->effect;
    f->off = spec->off;
    rc = check_times(f, err);
    if (rc == 0 && spec->name != NULL) {
        r->name = spec->name;
        rc = txn_name_free(t, r, r->name, 0, err);
    }
    rc = rc < 0 ? rc : fault_outage_schedule(t, NULL, f, err);
    rc = rc < 0 ? rc : txn_put(t, r, err);
    if (rc < 0) {
        return rc;
    }
    faults_note_put(t->cloud->faults, f);
    change_answer(t, c, r);
    return fault_begins(t, f, err);
}

// --- changing one ---

static int merge(struct txn *t, const struct change *c, const struct resource *r,
                 struct fault_spec *out, struct error *err)
{
    const struct fault_patch *patch = &c->request.fault_patch;
    struct buffer document;
    struct json_writer w;

    buffer_init(&document);
    jw_init(&w, &document);
    fault_kind.encode(r, &w);
    int rc = document.failed
                 ? error_set(err, ERROR_INTERNAL, NULL, "out of memory")
                 : patch->merge(patch->text, (struct bytes){document.data, document.length},
                                t->arena, out, err);
    buffer_fini(&document);
    return rc;
}

// Documents have milliseconds: a time that was not changed keeps what it has beyond them.
static int64_t kept_time(int64_t before, int64_t now)
{
    return before / NS_PER_MS == now / NS_PER_MS ? before : now;
}

static int check_same(const struct fault *f, const struct fault_spec *spec, struct error *err)
{
    const char *project = f->r.project_name == NULL ? "" : f->r.project_name;

    if (strcmp(project, spec->project == NULL ? "" : spec->project) != 0) {
        return error_set(err, ERROR_INVALID, "match.project", "a rule stays in its project");
    }
    if (spec->effect.type != f->effect.type) {
        return error_set(err, ERROR_INVALID, "effect",
                         "a rule keeps its effect, %s: remove it and add another one",
                         fault_effect_names[f->effect.type]);
    }
    return 0;
}

static int set_name(struct txn *t, struct fault *f, const char *name, struct error *err)
{
    name = name == NULL ? f->r.id : name;
    if (strcmp(name, f->r.name) == 0) {
        return 0;
    }
    f->r.name = name;
    return txn_name_free(t, &f->r, name, 0, err);
}

static int change_rule(struct txn *t, struct fault *f, const struct fault_spec *spec,
                       struct error *err)
{
    struct fault before = *f;
    int rc = check_same(f, spec, err);

    set_times(t, f, spec);
    f->when.from_ns = kept_time(before.when.from_ns, f->when.from_ns);
    f->when.until_ns = kept_time(before.when.until_ns, f->when.until_ns);
    rc = rc < 0 ? rc : check_times(f, err);
    rc = rc < 0 ? rc : set_name(t, f, spec->name, err);
    f->match = spec->match;
    f->effect = spec->effect;
    f->off = spec->off;
    return rc < 0 ? rc : fault_outage_schedule(t, &before, f, err);
}

int fault_update(struct txn *t, struct change *c, struct error *err)
{
    struct fault_spec spec = {.name = NULL};
    struct resource *r;
    int rc = txn_load(t, KIND_FAULT, 0, c->id, &r, err);

    rc = rc < 0 ? rc : change_check_match(c, r, err);
    rc = rc < 0 ? rc : merge(t, c, r, &spec, err);
    if (rc < 0) {
        return rc;
    }
    struct fault *f = (struct fault *)r, before = *f;
    rc = change_rule(t, f, &spec, err);
    rc = rc < 0 ? rc : txn_put(t, r, err);
    if (rc < 0) {
        return rc;
    }
    faults_note_put(t->cloud->faults, f);
    change_answer(t, c, r);
    if (f->off && f->effect.type == FAULT_STUCK_TRANSITION) {
        return fault_let_go(t, f, err);
    }
    return fault_outage_follow(t, &before, f, err);
}

// --- removing ---

// Its counts are those of its last firing, as in every event: calls that have only matched since
// are not recorded, and a replay gives the same events.
int fault_remove(struct txn *t, struct resource *r, struct error *err)
{
    int rc = txn_delete(t, r, err);

    if (rc == 0) {
        faults_note_delete(t->cloud->faults, r->seq);
        rc = fault_forget_matched(t, r->seq, err);
    }
    if (rc == 0) {
        rc = fault_ends(t, (struct fault *)r, err);
    }
    return rc;
}

int fault_delete(struct txn *t, struct change *c, struct error *err)
{
    struct resource *r;

    int rc = txn_load(t, KIND_FAULT, 0, c->id, &r, err);
    if (rc == 0) {
        rc = change_check_match(c, r, err);
    }
    return rc < 0 ? rc : fault_remove(t, r, err);
}

// --- all of them ---

struct ids {
    struct arena *arena;
    struct id_link {
        struct id_link *next;
        const char *id;
    } * first, **last;
};

static int collect(void *context, const struct row *row, struct error *err)
{
    struct ids *ids = context;
    struct id_link *link = arena_alloc(ids->arena, sizeof(*link));

    (void)err;
    link->id = arena_strdup(ids->arena, row->id);
    *ids->last = link;
    ids->last = &link->next;
    return 0;
}

int faults_clear(struct txn *t, struct change *c, struct error *err)
{
    struct ids ids = {.arena = t->arena, .last = &ids.first};
    struct resource *r;

    (void)c;
    int rc = store_each(t->store, KIND_FAULT, t->project, collect, &ids, err);
    for (struct id_link *link = ids.first; rc == 0 && link != NULL; link = link->next) {
        rc = txn_load(t, KIND_FAULT, 0, link->id, &r, err);
        rc = rc < 0 ? rc : fault_remove(t, r, err);
    }
    return rc;
}
