// Quotas of projects and the capacity of zones.
#include "tests/simulation/model.h"

#include <stdio.h>
#include <string.h>

const char *const type_names[TYPES] = {"huge", "large", "medium", "small"};

// --- counting ---

static bool has_place(const struct thing *instance)
{
    return instance->state != INSTANCE_STOPPED && instance->state != INSTANCE_TERMINATING &&
           instance->state != INSTANCE_TERMINATED;
}

int64_t model_used(const struct model *m, int64_t project, enum kind kind)
{
    int64_t used = 0;

    for (size_t i = 0; i < m->things[kind].count; i++) {
        const struct thing *x = m->things[kind].items[i];
        used +=
            x->project == project && !(kind == KIND_INSTANCE && x->state == INSTANCE_TERMINATED);
    }
    return used;
}

int64_t model_placed(const struct model *m, const char *zone, const char *type)
{
    int64_t placed = 0;

    for (size_t i = 0; i < m->things[KIND_INSTANCE].count; i++) {
        const struct thing *x = m->things[KIND_INSTANCE].items[i];
        placed +=
            has_place(x) && strcmp(x->zone, zone) == 0 && (!type || strcmp(x->type, type) == 0);
    }
    return placed;
}

static struct thing *quota_of(const struct model *m, int64_t project)
{
    for (size_t i = 0; i < m->things[KIND_QUOTA].count; i++) {
        if (m->things[KIND_QUOTA].items[i]->project == project)
            return m->things[KIND_QUOTA].items[i];
    }
    return NULL;
}

enum error_code model_quota_left(const struct model *m, int64_t project, enum kind kind,
                                 int64_t more)
{
    const struct thing *quota = quota_of(m, project);
    int64_t limit = quota ? quota->limits[kind] : -1;

    return limit >= 0 && model_used(m, project, kind) + more > limit ? ERROR_QUOTA : ERROR_NONE;
}

static int type_index(const char *type)
{
    int n = 0;

    while (strcmp(type_names[n], type) != 0)
        n++;
    return n;
}

enum error_code model_place_left(const struct model *m, const char *zone, const char *type,
                                 int64_t more)
{
    const struct thing *z = model_find(m, KIND_ZONE, 0, zone);
    int64_t limit = z ? z->capacity[type_index(type)] : -1, total = z ? z->total : -1;

    if (limit >= 0 && model_placed(m, zone, type) + more > limit)
        return ERROR_CAPACITY;
    return total >= 0 && model_placed(m, zone, NULL) + more > total ? ERROR_CAPACITY : ERROR_NONE;
}

// --- changes ---

static struct thing *project_named(const struct model *m, const char *name)
{
    for (size_t i = 0; i < m->things[KIND_PROJECT].count; i++) {
        if (strcmp(m->things[KIND_PROJECT].items[i]->name, name) == 0)
            return m->things[KIND_PROJECT].items[i];
    }
    return NULL;
}

static struct thing *new_quota(struct model *m, const struct thing *project)
{
    struct change c = {.id = project->id};
    struct thing *x = model_new(m, KIND_QUOTA, &c, NULL);

    x->project = project->seq;
    snprintf(x->project_name, sizeof(x->project_name), "%s", project->name);
    return x;
}

static enum error_code write_quota(struct model *m, const struct change *c, bool replace)
{
    const struct quota_spec *spec = &c->request.quota;
    const struct thing *project = project_named(m, c->id);
    struct thing *x;

    if (!project)
        return ERROR_NOT_FOUND;
    x = quota_of(m, project->seq);
    if (!x)
        x = new_quota(m, project);
    for (int kind = 0; kind < QUOTAS; kind++) {
        if (replace || x->seq == 0)
            x->limits[kind] = -1;
        if (spec->limits[kind].given)
            x->limits[kind] = spec->limits[kind].limit;
    }
    model_written(m, x);
    return ERROR_NONE;
}

enum error_code model_quota_put(struct model *m, const struct change *c)
{
    return write_quota(m, c, true);
}

enum error_code model_quota_update(struct model *m, const struct change *c)
{
    return write_quota(m, c, false);
}

void model_quota_drop(struct model *m, const struct thing *project)
{
    struct thing *x = quota_of(m, project->seq);

    if (x)
        model_deleted(m, x);
}

enum error_code model_quota_delete(struct model *m, const struct change *c)
{
    const struct thing *project = project_named(m, c->id);

    if (!project)
        return ERROR_NOT_FOUND;
    model_quota_drop(m, project);
    return ERROR_NONE;
}
