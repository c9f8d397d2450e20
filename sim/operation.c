#include "sim/operation.h"

#include "sim/fault_cloud.h"

#include <string.h>

int operation_load(struct txn *t, const struct change *c, enum kind kind, struct resource **out,
                   struct error *err)
{
    int rc = txn_load(t, kind, c->project, c->id, out, err);

    if (rc < 0)
        return rc;
    return change_check_match(c, *out, err);
}

int operation_head(struct txn *t, struct resource *r, const char *name, uint32_t dead,
                   const struct tags_spec *tags, struct error *err)
{
    int rc;

    r->name = name ? name : r->id;
    rc = txn_name_free(t, r, r->name, dead, err);
    if (rc == 0 && tags->count > 0)
        rc = resource_tags_patch(t, r, tags->items, tags->count, err);
    return rc < 0 ? rc : fault_admit(t, r, err);
}

bool operation_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static const char *tag_value(const struct resource *r, const char *key)
{
    for (size_t i = 0; i < r->tag_count; i++) {
        if (strcmp(r->tags[i].key, key) == 0)
            return r->tags[i].value;
    }
    return NULL;
}

static bool tags_differ(const struct resource *r, const struct tags_spec *tags)
{
    for (size_t i = 0; i < tags->count; i++) {
        if (!operation_same(tag_value(r, tags->items[i].key), tags->items[i].value))
            return true;
    }
    return false;
}

int operation_patch_head(struct txn *t, struct resource *r, const char *name, uint32_t dead,
                         const struct tags_spec *tags, bool *changed, struct error *err)
{
    int rc;

    if (name && strcmp(name, r->name) != 0) {
        rc = txn_name_free(t, r, name, dead, err);
        if (rc < 0)
            return rc;
        r->name = name;
        *changed = true;
    }
    if (!tags_differ(r, tags))
        return 0;
    *changed = true;
    return resource_tags_patch(t, r, tags->items, tags->count, err);
}

int operation_refuse(const struct machine *m, const struct resource *r, struct error *err)
{
    return error_set(err, ERROR_STATE, NULL, "%s %s is %s", m->noun, r->id,
                     m->state_names[r->state]);
}

bool operation_enter(struct txn *t, const struct machine *m, struct resource *r, int state)
{
    r->transition_ns = 0;
    r->held_by = NULL;
    for (;;) {
        int64_t duration;
        int next;

        if (state < m->states)
            r->state = state;
        if (state == m->gone)
            return true;
        if (!m->timers[state])
            return false;
        duration = txn_latency(t, m->timers[state]);
        if (duration > 0) {
            r->transition_ns = t->now_ns + duration;
            return false;
        }
        next = fault_transition(t, m, r);
        if (next == state)
            return false;
        state = next;
    }
}

int operation_write(struct txn *t, struct resource *r, bool gone, struct error *err)
{
    return gone ? txn_delete(t, r, err) : txn_put(t, r, err);
}

int operation_due(struct txn *t, const struct machine *m, struct resource *r)
{
    t->operation = m->timers[r->state];
    return fault_transition(t, m, r);
}
