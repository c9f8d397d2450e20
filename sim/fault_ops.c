// Operations on fault rules.
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

int fault_create(struct txn *t, struct change *c, struct error *err)
{
    const struct fault_spec *spec = &c->request.fault;
    struct resource *r = txn_new(t, KIND_FAULT, t->project != 0, NULL);
    struct fault *f = (struct fault *)r;
    int rc = 0;

    f->match = spec->match;
    f->when = spec->when;
    f->effect = spec->effect;
    f->when.from_ns = moment(t, spec->when.from_ns, spec->from_is_delay);
    f->when.until_ns = moment(t, spec->when.until_ns, spec->until_is_delay);
    if (f->when.until_ns != 0 && f->when.until_ns <= f->when.from_ns) {
        return error_set(err, ERROR_INVALID, "when.until", "is not after when.from");
    }
    if (spec->name != NULL) {
        r->name = spec->name;
        rc = txn_name_free(t, r, r->name, 0, err);
    }
    rc = rc < 0 ? rc : fault_outage_schedule(t, f, err);
    rc = rc < 0 ? rc : txn_put(t, r, err);
    if (rc < 0) {
        return rc;
    }
    faults_note_put(t->cloud->faults, f);
    change_answer(t, c, r);
    return fault_begins(t, f, err);
}

int fault_remove(struct txn *t, struct resource *r, struct error *err)
{
    int64_t times;

    faults_current(t->cloud->faults, r->id, &((struct fault *)r)->counts, &times);
    int rc = txn_delete(t, r, err);

    if (rc == 0) {
        faults_note_delete(t->cloud->faults, r->seq);
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
