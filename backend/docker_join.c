// Create = join: a new node container that joins its cluster with kubeadm.
//
//   find a control plane ─► make and start the container ─► wait for its containerd ─► copy images
//   that were loaded by hand ─► ask the control plane for a token and how its nodes are configured
//   ─► write the configuration, kubeadm join
//
// Each step may be done already: the effect begins at the first one again whenever it is retried.
// How far it is, is the instance's state reason.
#include "backend/docker_internal.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define READY_MS 90000
#define JOIN_MS 300000

struct join {
    struct docker *docker;
    const struct effect *effect;
    struct arena *arena;
    struct container control_plane, node;
    const char *api;      // kubeadm.k8s.io/v1beta4
    const char *endpoint; // of the API server
    const char *token;
    bool external; // cloud-provider: external
    bool v4, v6;   // families of the nodes' addresses
};

// --- commands in containers ---

static const char *last_line(struct arena *arena, const struct buffer *output)
{
    const char *text = arena_strndup(arena, output->data ? output->data : "", output->length);
    size_t end = output->length, start;

    while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == '\r'))
        end--;
    for (start = end; start > 0 && text[start - 1] != '\n'; start--)
        ;
    return arena_strndup(arena, text + start, end - start < 160 ? end - start : 160);
}

// Runs a script; `what` it is for is in the error.
static int run(struct join *j, const struct container *where, const char *script,
               const char *argument, long timeout_ms, struct buffer *out, const char *what,
               struct error *err)
{
    const char *const command[] = {"sh", "-c", script, "sh", argument ? argument : "", NULL};
    int code = 0;
    int rc = engine_exec(j->docker->engine, where->id, command, timeout_ms, out, &code, err);

    if (rc == 0 && code != 0)
        rc = error_set(err, ERROR_UNAVAILABLE, NULL, "%s failed (%d): %s", what, code,
                       last_line(j->arena, out));
    return rc;
}

static void tell(struct join *j, const char *step)
{
    struct error err = {0};

    if (cloud_report_progress(j->docker->cloud, j->effect, step, &err) < 0)
        log_line(LOG_DEBUG, "progress was not told", "error", err.message, NULL);
}

// --- steps ---

static int find_control_plane(struct join *j, const char **out_like, struct error *err)
{
    struct sighting seen;
    int rc = docker_list(j->docker, j->effect->cluster, j->arena, &seen, err);

    for (size_t n = 0; rc == 0 && n < seen.count; n++) {
        const struct container *c = &seen.containers[n];

        if (c->role == ROLE_CONTROL_PLANE && c->state == CONTAINER_RUNNING)
            j->control_plane = *c;
        else if (c->role == ROLE_WORKER && strcmp(c->name, j->effect->name) != 0)
            *out_like = c->id;
    }
    if (rc < 0)
        return rc;
    if (!j->control_plane.id)
        return error_set(err, ERROR_UNAVAILABLE, NULL, "cluster %s has no control plane that runs",
                         j->effect->cluster);
    if (!*out_like)
        *out_like = j->control_plane.id;
    return 0;
}

static int await_containerd(struct join *j, struct error *err)
{
    static const char script[] = "i=0; until [ -S /run/containerd/containerd.sock ]; do"
                                 " i=$((i + 1)); [ $i -lt 120 ] || exit 1; sleep 0.5; done";
    struct buffer out;
    int rc;

    buffer_init(&out);
    rc = run(j, &j->node, script, NULL, READY_MS, &out, "waiting for containerd", err);
    buffer_fini(&out);
    return rc;
}

// kind keeps on each node the configuration that kubeadm was given there.
static const char ask[] =
    "f=/kind/kubeadm.conf\n"
    "echo \"api $(sed -n 's/^apiVersion: *\\(kubeadm[^ ]*\\).*/\\1/p' $f | head -n1)\"\n"
    "echo \"endpoint $(sed -n 's/^controlPlaneEndpoint: *\"\\{0,1\\}\\([^\" ]*\\).*/\\1/p' $f"
    " | head -n1)\"\n"
    "echo \"external $(grep -c 'cloud-provider' $f)\"\n"
    "echo \"address $(sed -n '/node-ip/{N;s/\\n/ /;s/[^0-9a-f.:,]/ /g;p;q}' $f)\"\n"
    "t=$(kubeadm --kubeconfig /etc/kubernetes/admin.conf token create --ttl 15m) || exit 1\n"
    "echo \"token $t\"";

// The rest of the line that begins with `key` and a space; NULL: there is none.
static const char *answer_to(struct join *j, const char *text, const char *key)
{
    size_t length = strlen(key);

    for (; text; text = strchr(text, '\n'), text = text ? text + 1 : NULL) {
        if (strncmp(text, key, length) == 0 && text[length] == ' ')
            return arena_strndup(j->arena, text + length + 1, strcspn(text + length + 1, "\r\n"));
    }
    return NULL;
}

static void read_families(struct join *j, const char *words)
{
    char *copy = arena_strdup(j->arena, words), *rest = NULL;
    struct ip ip;

    for (char *word = strtok_r(copy, " ,", &rest); word; word = strtok_r(NULL, " ,", &rest)) {
        if (ip_parse(word, &ip, NULL) == 0) {
            j->v4 |= ip.family == IP_V4;
            j->v6 |= ip.family == IP_V6;
        }
    }
    j->v4 |= !j->v6;
}

static int read_answers(struct join *j, const char *text, struct error *err)
{
    const char *external = answer_to(j, text, "external"), *words = answer_to(j, text, "address");

    j->api = answer_to(j, text, "api");
    j->endpoint = answer_to(j, text, "endpoint");
    j->token = answer_to(j, text, "token");
    j->external = external && strcmp(external, "0") != 0;
    read_families(j, words ? words : "");
    if (!j->api || !j->api[0] || !j->token || strlen(j->token) != 23)
        return error_set(err, ERROR_UNAVAILABLE, NULL,
                         "%s gave no token, or lacks /kind/kubeadm.conf", j->control_plane.name);
    if (!j->endpoint || !j->endpoint[0])
        j->endpoint = arena_printf(j->arena, "%s:6443", j->control_plane.name);
    return 0;
}

static int ask_control_plane(struct join *j, struct error *err)
{
    struct buffer out;
    int rc;

    buffer_init(&out);
    rc = run(j, &j->control_plane, ask, NULL, 60000, &out, "kubeadm token create", err);
    if (rc == 0)
        rc = read_answers(j, arena_strndup(j->arena, out.data ? out.data : "", out.length), err);
    buffer_fini(&out);
    return rc;
}

// --- the configuration ---

// Before v1beta4 the arguments were a map.
static void argument(struct join *j, struct buffer *out, const char *name, const char *value)
{
    if (strcmp(j->api, "kubeadm.k8s.io/v1beta3") == 0 ||
        strcmp(j->api, "kubeadm.k8s.io/v1beta2") == 0)
        buffer_printf(out, "    %s: \"%s\"\n", name, value);
    else
        buffer_printf(out, "    - name: \"%s\"\n      value: \"%s\"\n", name, value);
}

static const char *node_ip(struct join *j)
{
    char v4[IP_TEXT_MAX] = "", v6[IP_TEXT_MAX] = "";

    if (j->v4 && j->node.v4.family)
        ip_format(&j->node.v4, v4);
    if (j->v6 && j->node.v6.family)
        ip_format(&j->node.v6, v6);
    return arena_printf(j->arena, "%s%s%s", v4, v4[0] && v6[0] ? "," : "", v6);
}

static const char *configuration(struct join *j)
{
    const struct effect *e = j->effect;
    struct buffer out;
    const char *made;

    buffer_init(&out);
    buffer_printf(&out,
                  "# made by mockcloud\napiVersion: %s\nkind: JoinConfiguration\n"
                  "nodeRegistration:\n  name: \"%s\"\n"
                  "  criSocket: \"unix:///run/containerd/containerd.sock\"\n"
                  "  kubeletExtraArgs:\n",
                  j->api, e->name);
    argument(j, &out, "node-ip", node_ip(j));
    argument(j, &out, "provider-id",
             arena_printf(j->arena, "mockcloud://%s/%s", e->zone, e->instance_id));
    if (j->external)
        argument(j, &out, "cloud-provider", "external");
    buffer_printf(&out,
                  "discovery:\n  bootstrapToken:\n    apiServerEndpoint: \"%s\"\n"
                  "    token: \"%s\"\n    unsafeSkipCAVerification: true\n",
                  j->endpoint, j->token);
    made = arena_strndup(j->arena, out.data, out.length);
    buffer_fini(&out);
    return made;
}

// A node that has joined has the credentials that it was given then.
static int join(struct join *j, struct error *err)
{
    static const char script[] =
        "[ -e /etc/kubernetes/kubelet.conf ] && exit 0\n"
        "mkdir -p /kind && umask 077 && printf %s \"$1\" >/kind/kubeadm.conf &&"
        " kubeadm join --config /kind/kubeadm.conf --skip-phases=preflight 2>&1";
    struct buffer out;
    int rc;

    buffer_init(&out);
    rc = run(j, &j->node, script, configuration(j), JOIN_MS, &out, "kubeadm join", err);
    buffer_fini(&out);
    return rc;
}

int docker_effect_create(void *context, const struct effect *e, struct arena *arena,
                         struct container *out, struct error *err)
{
    struct join j = {.docker = context, .effect = e, .arena = arena};
    const char *like = NULL;
    int rc = find_control_plane(&j, &like, err);

    if (rc == 0) {
        tell(&j, "1/5: starting the container");
        rc = docker_node_make(j.docker, e, like, arena, &j.node, err);
        rc = rc < 0 ? rc : 0;
    }
    if (rc == 0) {
        tell(&j, "2/5: waiting for containerd");
        rc = await_containerd(&j, err);
    }
    if (rc == 0) {
        tell(&j, "3/5: copying images");
        rc = docker_images_copy(j.docker, like, j.node.id, arena, err);
    }
    if (rc == 0) {
        tell(&j, "4/5: asking the control plane for a token");
        rc = ask_control_plane(&j, err);
    }
    if (rc == 0) {
        tell(&j, "5/5: kubeadm join");
        rc = join(&j, err);
    }
    return rc < 0 ? rc : docker_effect_start(context, e, arena, out, err); // with its routes
}
