// The Engine's documents about containers and networks, read.
#include "backend/docker_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static struct ip ip_of(const json_t *network, const char *key)
{
    struct ip ip = {0};

    if (ip_parse(text_of(network, key), &ip, NULL) < 0)
        ip.family = 0;
    return ip;
}

// Nodes are on one network; the first one it is.
static void read_network(const json_t *networks, struct container *out, const char **out_name,
                         struct arena *arena)
{
    const char *name;
    json_t *network;

    json_object_foreach((json_t *)(uintptr_t)networks, name, network)
    {
        out->v4 = ip_of(network, "IPAddress");
        out->v6 = ip_of(network, "GlobalIPv6Address");
        if (out_name && !*out_name)
            *out_name = arena_strdup(arena, name);
        return;
    }
}

// Whether it is a node, and which. kind's load balancer before several control planes is none.
static bool read_role(const json_t *labels, struct container *out)
{
    const char *role = text_of(labels, LABEL_ROLE);

    out->role = strcmp(role, "control-plane") == 0 ? ROLE_CONTROL_PLANE : ROLE_WORKER;
    return out->role == ROLE_CONTROL_PLANE || strcmp(role, "worker") == 0;
}

// "running", "paused" and "restarting" containers are there; a paused one is a node that hangs.
static enum container_state state_of(const char *status)
{
    if (strcmp(status, "running") == 0 || strcmp(status, "paused") == 0)
        return CONTAINER_RUNNING;
    return strcmp(status, "removing") == 0 || strcmp(status, "dead") == 0 ? CONTAINER_ABSENT
                                                                          : CONTAINER_STOPPED;
}

// Why it is stopped.
static void read_exit(const json_t *state, struct container *out, struct arena *arena)
{
    int code = (int)json_integer_value(json_object_get(state, "ExitCode"));

    if (out->state != CONTAINER_STOPPED)
        return;
    out->reason_code = "container-stopped";
    out->reason_message = arena_printf(arena, "The container exited with code %d", code);
    if (json_is_true(json_object_get(state, "OOMKilled"))) {
        out->reason_code = "out-of-memory";
        out->reason_message = "The container was killed: out of memory";
    } else if (code == 137) {
        out->reason_code = "container-killed";
        out->reason_message = "The container was killed (exit code 137)";
    } else if (text_of(state, "Error")[0]) {
        out->reason_code = "container-failed";
        out->reason_message = arena_strdup(arena, text_of(state, "Error"));
    }
}

static int read_inspected(const json_t *document, const char *cluster, struct arena *arena,
                          struct container *out, const char **out_maker, struct error *err)
{
    const json_t *labels = json_object_get(json_object_get(document, "Config"), "Labels");
    const json_t *state = json_object_get(document, "State");
    const char *name = text_of(document, "Name");

    out->name = arena_strdup(arena, name[0] == '/' ? name + 1 : name);
    out->id = arena_strdup(arena, text_of(document, "Id"));
    if (strcmp(text_of(labels, LABEL_CLUSTER), cluster) != 0 || !read_role(labels, out))
        return error_set(err, ERROR_INVALID, NULL, "container %s is not a node of cluster %s",
                         out->name, cluster);
    *out_maker = arena_strdup(arena, text_of(labels, LABEL_INSTANCE));
    out->state = state_of(text_of(state, "Status"));
    out->started_at = arena_strdup(arena, text_of(state, "StartedAt"));
    read_exit(state, out, arena);
    read_network(json_object_get(json_object_get(document, "NetworkSettings"), "Networks"), out,
                 NULL, arena);
    return out->state == CONTAINER_ABSENT ? 0 : 1;
}

static int inspect(struct docker *d, const char *cluster, const char *ref, struct arena *arena,
                   struct container *out, const char **out_maker, struct error *err)
{
    struct engine_request request = {.method = "GET",
                                     .path = arena_printf(arena, "/containers/%s/json", ref)};
    json_t *document = NULL;
    int rc = engine_call(d->engine, &request, &document, err);

    memset(out, 0, sizeof(*out));
    if (rc == 200)
        rc = read_inspected(document, cluster, arena, out, out_maker, err);
    else if (rc >= 0)
        rc = rc == 404 ? 0
                       : error_set(err, ERROR_UNAVAILABLE, NULL, "the container engine: %s",
                                   engine_message(document));
    json_decref(document);
    return rc;
}

int docker_inspect(struct docker *d, const char *cluster, const char *ref, struct arena *arena,
                   struct container *out, struct error *err)
{
    const char *maker;

    return inspect(d, cluster, ref, arena, out, &maker, err);
}

int docker_find(struct docker *d, const struct effect *e, struct arena *arena,
                struct container *out, struct error *err)
{
    const char *maker = "";
    struct error other = {0};
    int rc;

    if (e->container_id)
        return docker_inspect(d, e->cluster, e->container_id, arena, out, err);
    rc = inspect(d, e->cluster, e->name, arena, out, &maker, &other);
    if (rc == -ERROR_INVALID) // of that name, but no node of the cluster
        rc = 0;
    if (rc == 1 && (maker[0] || e->provision == PROVISION_JOIN) &&
        strcmp(maker, e->instance_id) != 0)
        rc = 0;
    if (rc == 0)
        *out = (struct container){.state = CONTAINER_ABSENT};
    return rc < 0 ? error_set(err, other.code, other.field, "%s", other.message) : rc;
}

// --- lists ---

// One of a list. Lists lag behind the events that they are asked for after (seen with
// Docker 20.10), so each is inspected.
static int read_listed(struct docker *d, const char *cluster, const json_t *item,
                       struct arena *arena, struct sighting *out, struct error *err)
{
    struct container *c = &out->containers[out->count], unused = {0};
    const json_t *networks = json_object_get(json_object_get(item, "NetworkSettings"), "Networks");
    int rc;

    if (!read_role(json_object_get(item, "Labels"), &unused))
        return 0;
    read_network(networks, &unused, &out->network, arena);
    if (!out->image)
        out->image = arena_strdup(arena, text_of(item, "Image"));
    rc = docker_inspect(d, cluster, arena_strdup(arena, text_of(item, "Id")), arena, c, err);
    if (rc == 1)
        out->count++;
    return rc < 0 ? rc : 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct container *)a)->name, ((const struct container *)b)->name);
}

static const char *list_path(const char *cluster, struct arena *arena)
{
    json_t *filters = json_pack("{s[o]}", "label", json_sprintf("%s=%s", LABEL_CLUSTER, cluster));
    char *text = json_dumps(filters, JSON_COMPACT);
    struct buffer path;
    const char *made;

    buffer_init(&path);
    buffer_append_string(&path, "/containers/json?all=1&filters=");
    url_escape(&path, text ? text : "{}");
    made = arena_strndup(arena, path.data, path.length);
    buffer_fini(&path);
    free(text);
    json_decref(filters);
    return made;
}

int docker_list(struct docker *d, const char *cluster, struct arena *arena, struct sighting *out,
                struct error *err)
{
    struct engine_request request = {.method = "GET", .path = list_path(cluster, arena)};
    json_t *list = NULL;
    int rc = engine_call(d->engine, &request, &list, err);

    memset(out, 0, sizeof(*out));
    if (rc >= 0 && (rc != 200 || !json_is_array(list)))
        rc = error_set(err, ERROR_UNAVAILABLE, NULL, "the container engine: %s",
                       engine_message(list));
    if (rc >= 0) {
        out->containers =
            arena_alloc(arena, (json_array_size(list) + 1) * sizeof(*out->containers));
        rc = 0;
    }
    for (size_t n = 0; rc == 0 && n < json_array_size(list); n++)
        rc = read_listed(d, cluster, json_array_get(list, n), arena, out, err);
    if (rc == 0) // so that adoption does not depend on the Engine's order
        qsort(out->containers, out->count, sizeof(*out->containers), by_name);
    json_decref(list);
    return rc;
}

// --- networks ---

static void read_subnet(const json_t *config, struct arena *arena, const char **out_v4,
                        const char **out_v6)
{
    const char *text = text_of(config, "Subnet");
    struct cidr cidr;

    if (cidr_parse(text, &cidr, NULL) < 0)
        return;
    *(cidr.base.family == IP_V4 ? out_v4 : out_v6) = arena_strdup(arena, text);
}

int docker_subnets(struct docker *d, const char *network, struct arena *arena, const char **out_v4,
                   const char **out_v6, struct error *err)
{
    struct engine_request request = {.method = "GET",
                                     .path = arena_printf(arena, "/networks/%s", network)};
    json_t *document = NULL, *configs;
    int rc = engine_call(d->engine, &request, &document, err);

    *out_v4 = *out_v6 = NULL;
    configs = json_object_get(json_object_get(document, "IPAM"), "Config");
    for (size_t n = 0; rc == 200 && n < json_array_size(configs); n++)
        read_subnet(json_array_get(configs, n), arena, out_v4, out_v6);
    json_decref(document);
    return rc < 0 ? rc : 0;
}
