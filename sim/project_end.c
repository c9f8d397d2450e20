// The end of a project: everything of it goes with it. Its events stay until they are trimmed, but
// nobody can read them: a project's number is never used again.
#include "sim/cloud_internal.h"
#include "sim/instance.h"

#include <string.h>

// What refers to others goes before them.
static const enum kind in_order[] = {
    KIND_ROUTE, KIND_LOAD_BALANCER, KIND_TARGET_POOL, KIND_ADDRESS, KIND_INSTANCE,
    KIND_FAULT, KIND_SCENARIO,      KIND_CHAOS,       KIND_CLUSTER, KIND_QUOTA,
};

struct ids {
    struct txn *txn;
    struct id_link {
        struct id_link *next;
        const char *id;
    } * first;
};

static int collect(void *context, const struct row *row, struct error *err)
{
    struct ids *ids = context;
    struct id_link *link = arena_alloc(ids->txn->arena, sizeof(*link));

    (void)err;
    link->id = arena_strdup(ids->txn->arena, row->id);
    link->next = ids->first;
    ids->first = link;
    return 0;
}

static int remove_all(struct txn *t, enum kind kind, int64_t project, struct error *err)
{
    const struct kind_ops *ops = kind_ops_of(kind);
    struct ids ids = {.txn = t};
    struct resource *r;

    if (ops == NULL) {
        return 0;
    }
    int rc = store_each(t->store, kind, project, collect, &ids, err);
    for (struct id_link *link = ids.first; rc == 0 && link != NULL; link = link->next) {
        rc = txn_load(t, kind, project, link->id, &r, err);
        if (rc == 0) {
            rc = ops->remove != NULL ? ops->remove(t, r, err) : txn_delete(t, r, err);
        }
    }
    return rc;
}

int project_end(struct txn *t, struct resource *project, struct error *err)
{
    struct ledger *ledger = &t->cloud->ledger;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(in_order) / sizeof(in_order[0]); i++) {
        rc = remove_all(t, in_order[i], project->seq, err);
    }
    rc = rc < 0 ? rc : store_tokens_delete(t->store, project->seq, err);
    rc = rc < 0 ? rc : store_idempotent_delete(t->store, project->seq, err);
    rc = rc < 0 ? rc : txn_delete(t, project, err);
    if (rc == 0) {
        ledger->tokens_changed = ledger->project_ended = true;
    }
    return rc;
}

// A container that we have made goes, too; an adopted one is let go.
int instance_remove(struct txn *t, struct resource *r, struct error *err)
{
    struct instance *i = (struct instance *)r;
    int before = r->state, rc = 0;

    if (i->backend == BACKEND_DOCKER && i->provision == PROVISION_JOIN &&
        before != INSTANCE_TERMINATED) {
        r->state = INSTANCE_TERMINATING;
        rc = instance_want(t, i, before, err);
    }
    rc = rc < 0 ? rc : instance_addresses_release(t, i, err);
    return rc < 0 ? rc : txn_delete(t, r, err);
}
