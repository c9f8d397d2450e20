// The container of a node, made as kind v0.33 makes it (pkg/cluster/internal/providers/docker/
// provision.go), with the image and what depends on the machine taken from another node of the
// cluster.
#include "backend/docker_internal.h"

#include <string.h>

// The variables of the other node, but for those that are of its role.
static json_t *environment(const json_t *like)
{
    const json_t *given = json_object_get(json_object_get(like, "Config"), "Env");
    json_t *env = json_array();
    const json_t *item;
    size_t n;

    json_array_foreach(given, n, item)
    {
        const char *text = json_string_value(item);

        if (text && strncmp(text, "KUBECONFIG=", 11) != 0)
            json_array_append_new(env, json_string(text));
    }
    return env;
}

static bool has_bind(const json_t *host, const char *bind)
{
    const json_t *item;
    size_t n;

    json_array_foreach(json_object_get(host, "Binds"), n, item)
    {
        const char *text = json_string_value(item);

        if (text && strncmp(text, bind, strlen(bind)) == 0)
            return true;
    }
    return false;
}

static void copy_if_set(json_t *to, const json_t *from, const char *key)
{
    json_t *value = json_object_get(from, key);

    if (value && !json_is_null(value))
        json_object_set(to, key, value);
}

static json_t *host_config(const json_t *like, const char *network)
{
    const json_t *theirs = json_object_get(like, "HostConfig");
    json_t *binds = json_pack("[s]", "/lib/modules:/lib/modules:ro");
    json_t *host;

    if (has_bind(theirs, "/dev/mapper:")) // the Engine is on Btrfs or ZFS
        json_array_append_new(binds, json_string("/dev/mapper:/dev/mapper"));
    host = json_pack("{sb s[ss] s{ssss} so ss ss sb s{sssi}}", "Privileged", 1, "SecurityOpt",
                     "seccomp=unconfined", "apparmor=unconfined", "Tmpfs", "/tmp", "", "/run", "",
                     "Binds", binds, "NetworkMode", network, "CgroupnsMode", "private", "Init", 0,
                     "RestartPolicy", "Name", "on-failure", "MaximumRetryCount", 1);
    copy_if_set(host, theirs, "Sysctls"); // IPv6
    copy_if_set(host, theirs, "UsernsMode");
    copy_if_set(host, theirs, "Devices"); // fuse
    return host;
}

static const char *network_of(const json_t *like)
{
    json_t *networks = json_object_get(json_object_get(like, "NetworkSettings"), "Networks");
    void *first = json_object_iter(networks);

    return first ? json_object_iter_key(first) : "kind";
}

static json_t *node_of(const struct effect *e, const json_t *like)
{
    const char *image =
        json_string_value(json_object_get(json_object_get(like, "Config"), "Image"));

    return json_pack("{ss ss sb s{ssssss} s{s{}} so so}", "Hostname", e->name, "Image",
                     image ? image : "", "Tty", 1, "Labels", LABEL_CLUSTER, e->cluster, LABEL_ROLE,
                     "worker", LABEL_INSTANCE, e->instance_id, "Volumes", "/var", "Env",
                     environment(like), "HostConfig", host_config(like, network_of(like)));
}

static int inspect_json(struct docker *d, const char *ref, struct arena *arena, json_t **out,
                        struct error *err)
{
    struct engine_request request = {.method = "GET",
                                     .path = arena_printf(arena, "/containers/%s/json", ref)};

    return engine_call(d->engine, &request, out, err);
}

// Whether the container of that name is the one that an earlier run of this effect made.
static int check_ours(struct docker *d, const struct effect *e, struct arena *arena,
                      struct error *err)
{
    json_t *document = NULL;
    const char *instance;
    int rc = inspect_json(d, e->name, arena, &document, err);

    instance = json_string_value(json_object_get(
        json_object_get(json_object_get(document, "Config"), "Labels"), LABEL_INSTANCE));
    if (rc >= 0 && (!instance || strcmp(instance, e->instance_id) != 0))
        rc = error_set(err, ERROR_EXISTS, NULL, "there is another container named %s", e->name);
    json_decref(document);
    return rc < 0 ? rc : 0;
}

static int create(struct docker *d, const struct effect *e, const json_t *like, struct arena *arena,
                  struct error *err)
{
    json_t *node = node_of(e, like), *answer = NULL;
    struct engine_request request = {.method = "POST",
                                     .path =
                                         arena_printf(arena, "/containers/create?name=%s", e->name),
                                     .body = node,
                                     .timeout_ms = 60000};
    int rc = engine_call(d->engine, &request, &answer, err);

    if (rc == 409)
        rc = check_ours(d, e, arena, err);
    else if (rc >= 400) // no such image, a name that no container can have …
        rc = error_set(err, ERROR_INVALID, NULL, "the container was refused: %s",
                       engine_message(answer));
    json_decref(answer);
    json_decref(node);
    return rc < 0 ? rc : 0;
}

int docker_node_make(struct docker *d, const struct effect *e, const char *like,
                     struct arena *arena, struct container *out, struct error *err)
{
    struct engine_request start = {.method = "POST",
                                   .path = arena_printf(arena, "/containers/%s/start", e->name),
                                   .timeout_ms = 60000};
    json_t *document = NULL, *answer = NULL;
    int rc = inspect_json(d, like, arena, &document, err);

    if (rc >= 0)
        rc = create(d, e, document, arena, err);
    json_decref(document);
    if (rc < 0)
        return rc;
    rc = engine_call(d->engine, &start, &answer, err);
    if (rc >= 400)
        rc = error_set(err, ERROR_UNAVAILABLE, NULL, "the container was not started: %s",
                       engine_message(answer));
    json_decref(answer);
    return rc < 0 ? rc : docker_inspect(d, e->cluster, e->name, arena, out, err);
}
