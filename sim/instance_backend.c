// Instances that a backend makes real: what they want of it, and what a request may say about their
// container.
#include "sim/cloud_internal.h"
#include "sim/instance.h"
#include "sim/names.h"
#include "sim/operation.h"

#include <string.h>

#define CLUSTER_TAG "mockcloud/cluster" // by which the plugin knows its own

static bool is_backed(const struct instance *i)
{
    return i->backend == BACKEND_DOCKER;
}

// --- states ---

// Whether a backend brings the state to its end.
static bool is_brought_about(int state)
{
    return state == INSTANCE_PENDING || state == INSTANCE_STOPPING || state == INSTANCE_REBOOTING ||
           state == INSTANCE_TERMINATING;
}

bool instance_enter_state(struct txn *t, struct instance *i, int next)
{
    if (!is_backed(i) || !is_brought_about(next))
        return operation_enter(t, &instance_machine, &i->r, next);
    i->r.state = next;
    i->r.transition_ns = t->now_ns + t->cloud->backend_deadline_ns;
    return false;
}

int instance_overdue(struct txn *t, struct instance *i, int *out_next, struct error *err)
{
    if (!is_backed(i) || !is_brought_about(i->r.state)) {
        *out_next = operation_due(t, &instance_machine, &i->r);
        return 0;
    }
    t->operation = "backend.deadline";
    i->r.reason_message =
        arena_printf(t->arena, "The backend did not bring it from %s further in time%s%s",
                     instance_state_names[i->r.state], i->r.reason_message ? ": " : "",
                     i->r.reason_message ? i->r.reason_message : "");
    i->r.reason_code = "backend-timeout";
    *out_next = INSTANCE_ERROR;
    return outbox_forget(t, i->r.id, err);
}

// --- effects ---

static int effect_of(struct txn *t, const struct instance *i, bool is_new, enum effect_action *out,
                     struct error *err)
{
    struct resource *cluster;
    int rc;

    switch (i->r.state) {
    case INSTANCE_PENDING:
        *out = is_new ? EFFECT_CREATE : EFFECT_START;
        return !is_new || i->provision == PROVISION_JOIN;
    case INSTANCE_STOPPING:
        *out = EFFECT_STOP;
        return 1;
    case INSTANCE_REBOOTING:
        *out = EFFECT_REBOOT;
        return 1;
    case INSTANCE_TERMINATING:
        rc = txn_find(t, KIND_CLUSTER, 0, i->cluster, &cluster, err);
        if (rc < 0)
            return rc;
        *out = rc == 1 && ((struct cluster *)cluster)->terminate == TERMINATE_STOP ? EFFECT_RETIRE
                                                                                   : EFFECT_REMOVE;
        return 1;
    default:
        return 0;
    }
}

int instance_want(struct txn *t, const struct instance *i, int before, struct error *err)
{
    struct effect e = {.instance_id = i->r.id,
                       .name = i->r.name,
                       .zone = i->zone,
                       .cluster = i->cluster,
                       .container_id = i->container_id,
                       .role = i->role,
                       .provision = i->provision};
    int rc;

    if (!is_backed(i) || i->r.state == before)
        return 0;
    rc = effect_of(t, i, before < 0, &e.action, err);
    if (rc <= 0)
        return rc;
    return outbox_put(t, &e, err);
}

// --- requests ---

static int find_cluster(struct txn *t, const char *name, struct cluster **out, struct error *err)
{
    struct resource *r;
    int rc;

    if (!name)
        return error_set(err, ERROR_INVALID, "container.cluster",
                         "an instance of the docker backend needs a cluster");
    rc = txn_find(t, KIND_CLUSTER, t->project, name, &r, err);
    if (rc == 0)
        return error_set(err, ERROR_INVALID, "container.cluster", "cluster %s has not been adopted",
                         name);
    *out = (struct cluster *)r;
    return rc < 0 ? rc : 0;
}

static int tag_with_cluster(struct txn *t, struct instance *i, struct error *err)
{
    struct tag_patch patch = {.key = CLUSTER_TAG, .value = i->cluster};

    for (size_t n = 0; n < i->r.tag_count; n++) {
        if (strcmp(i->r.tags[n].key, CLUSTER_TAG) == 0)
            return 0;
    }
    return resource_tags_patch(t, &i->r, &patch, 1, err);
}

int instance_container(struct txn *t, struct instance *i, const struct instance_spec *spec,
                       struct error *err)
{
    struct cluster *cluster;
    int rc = find_cluster(t, spec->container.cluster, &cluster, err);

    if (rc < 0)
        return rc;
    if (spec->has_addresses)
        return error_set(err, ERROR_INVALID, "addresses",
                         "the Engine gives a container its addresses");
    if (spec->container.role == ROLE_CONTROL_PLANE && spec->container.provision == PROVISION_JOIN)
        return error_set(err, ERROR_INVALID, "container.role", "only workers can join");
    i->cluster = cluster->r.id;
    i->role = spec->container.role;
    i->provision = spec->container.provision;
    return tag_with_cluster(t, i, err);
}

int instance_may_go_down(struct txn *t, const struct instance *i, bool force, struct error *err)
{
    struct resource *cluster;
    int rc;

    if (!is_backed(i) || i->role != ROLE_CONTROL_PLANE || force)
        return 0;
    rc = txn_find(t, KIND_CLUSTER, 0, i->cluster, &cluster, err);
    if (rc == 1 && ((struct cluster *)cluster)->protect_control_plane)
        return error_set(err, ERROR_IN_USE, NULL,
                         "%s is a control plane of cluster %s and protected; force it", i->r.name,
                         i->cluster);
    return rc < 0 ? rc : 0;
}
