// kind clusters: adopted by name, so that their nodes are instances.
#include "sim/cloud_internal.h"
#include "sim/instance.h"
#include "sim/names.h"
#include "sim/operation.h"
#include "sim/pack.h"

#include <string.h>

// --- record ---

static void pack(const struct resource *r, struct buffer *out)
{
    const struct cluster *cluster = (const struct cluster *)r;

    pack_int(out, cluster->terminate);
    pack_int(out, cluster->protect_control_plane);
    pack_int(out, cluster->program_routes);
    pack_string(out, cluster->subnet_v4);
    pack_string(out, cluster->subnet_v6);
}

static void unpack(struct resource *r, struct unpacker *in, struct arena *arena)
{
    struct cluster *cluster = (struct cluster *)r;

    (void)arena;
    cluster->terminate = (enum terminate_policy)unpack_enum(in, TERMINATE_STOP + 1);
    cluster->protect_control_plane = unpack_enum(in, 2);
    cluster->program_routes = unpack_enum(in, 2);
    cluster->subnet_v4 = unpack_string(in);
    cluster->subnet_v6 = unpack_string(in);
}

static void encode_bool(struct json_writer *w, const char *name, bool value)
{
    jw_key(w, name);
    jw_bool(w, value);
}

static void encode(const struct resource *r, struct json_writer *w)
{
    const struct cluster *cluster = (const struct cluster *)r;

    jw_object_begin(w);
    encode_head(r, w);
    encode_state(r, w);
    jw_field_string(w, "terminate", terminate_policy_names[cluster->terminate]);
    encode_bool(w, "protect_control_plane", cluster->protect_control_plane);
    encode_bool(w, "routes", cluster->program_routes);
    if (cluster->subnet_v4)
        jw_field_string(w, "subnet_v4", cluster->subnet_v4);
    if (cluster->subnet_v6)
        jw_field_string(w, "subnet_v6", cluster->subnet_v6);
    encode_tail(r, w);
    jw_object_end(w);
}

const struct kind_ops cluster_kind = {
    .kind = KIND_CLUSTER,
    .size = sizeof(struct cluster),
    .state_names = cluster_state_names,
    .pack = pack,
    .unpack = unpack,
    .encode = encode,
};

// --- operations ---

static int write(struct txn *t, struct change *c, struct cluster *cluster, struct error *err)
{
    int rc = txn_put(t, &cluster->r, err);

    if (rc < 0)
        return rc;
    t->cloud->ledger.clusters_changed = true;
    change_answer(t, c, &cluster->r);
    return 0;
}

int cluster_create(struct txn *t, struct change *c, struct error *err)
{
    const struct cluster_spec *spec = &c->request.cluster;
    struct cluster *cluster;
    struct resource *found;
    int rc;

    if (!cloud_has_backend(t->cloud))
        return error_set(err, ERROR_INVALID, NULL, "this server runs without a docker backend");
    rc = txn_find(t, KIND_CLUSTER, 0, spec->name, &found, err);
    if (rc == 1)
        return error_set(err, ERROR_EXISTS, "name", "cluster %s is adopted by project %s",
                         spec->name, found->project_name);
    if (rc < 0)
        return rc;
    cluster = (struct cluster *)txn_new(t, KIND_CLUSTER, true, spec->name);
    cluster->terminate = spec->terminate;
    cluster->protect_control_plane = spec->protect_control_plane;
    cluster->program_routes = spec->program_routes;
    return write(t, c, cluster, err);
}

// Forgets the cluster and the instances of its nodes; their containers stay as they are.
int cluster_delete(struct txn *t, struct change *c, struct error *err)
{
    struct owner *owners;
    struct resource *r;
    size_t count;
    int rc = operation_load(t, c, KIND_CLUSTER, &r, err);

    if (rc == 0)
        rc = store_referrers(t->store, r->id, KIND_INSTANCE, t->arena, &owners, &count, err);
    if (rc < 0)
        return rc;
    for (size_t n = 0; rc == 0 && n < count; n++)
        rc = instance_forget(t, owners[n].id, err);
    t->cloud->ledger.clusters_changed = true;
    return rc < 0 ? rc : txn_delete(t, r, err);
}
