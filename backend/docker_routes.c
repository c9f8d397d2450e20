// Routes made real: the cloud's routes whose next hop is an instance of a cluster are kernel routes
// in the containers of its other nodes.
//
// They carry a protocol number of ours, by which those that are no longer wanted are known; others
// (kind's, the kernel's, a fallback to `unreachable`) are left alone. A container that was started
// again has lost them: what is remembered of it goes by its id and the time of its start.
#include "backend/docker_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/timefmt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUTES_MAX 1000
#define AT_A_TIME 8
#define TRIES 20 // before a container counts as running without its routes
#define EXEC_MS 15000

struct routed {
    struct routed *next;
    char id[80];
    char started_at[64];
    uint64_t programmed; // digest of the routes; 0: never done
    int failures;
};

struct wanted_route {
    const char *instance; // its next hop
    const char *text;     // "10.244.1.0/24=172.18.0.3"
};

struct wanted {
    struct arena *arena;
    struct wanted_route routes[ROUTES_MAX];
    size_t count;
};

// --- what is wanted ---

static json_t *get(struct docker *d, enum kind kind, int64_t project, const char *id)
{
    struct buffer out;
    int64_t revision;
    json_t *document = NULL;

    buffer_init(&out);
    if (cloud_get(d->cloud, kind, project, id, &out, &revision, NULL) == 0)
        document = json_loadb(out.data, out.length, 0, NULL);
    buffer_fini(&out);
    return document;
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

// The address of an instance of the cluster in the family of the destination; NULL: none.
static const char *gateway(struct wanted *w, const json_t *instance, const char *cluster,
                           const char *destination)
{
    const char *family = strchr(destination, ':') ? "ipv6" : "ipv4";
    const json_t *address;
    size_t n;

    if (strcmp(text_at(json_object_get(instance, "container"), "cluster"), cluster) != 0)
        return NULL;
    json_array_foreach(json_object_get(instance, "addresses"), n, address)
    {
        if (strcmp(text_at(address, "type"), "internal") == 0 &&
            strcmp(text_at(address, "family"), family) == 0)
            return arena_strdup(w->arena, text_at(address, "address"));
    }
    return NULL;
}

static void want(struct docker *d, struct wanted *w, const char *cluster, const json_t *route)
{
    const char *hop = text_at(json_object_get(route, "next_hop"), "instance_id");
    const char *to = text_at(route, "destination_cidr"), *via;
    json_t *instance;

    if (!hop[0] || strcmp(text_at(route, "state"), "active") != 0 || w->count == ROUTES_MAX)
        return;
    instance = get(d, KIND_INSTANCE, 0, hop);
    via = gateway(w, instance, cluster, to);
    if (via)
        w->routes[w->count++] =
            (struct wanted_route){.instance = arena_strdup(w->arena, text_at(instance, "name")),
                                  .text = arena_printf(w->arena, "%s=%s", to, via)};
    json_decref(instance);
}

static int read_routes(struct docker *d, struct wanted *w, const char *cluster, int64_t project,
                       struct error *err)
{
    struct list_query query = {.kind = KIND_ROUTE, .project = project, .limit = ROUTES_MAX};
    struct buffer out;
    int64_t next, revision;
    size_t count, n;
    json_t *list, *route;
    int rc;

    buffer_init(&out);
    buffer_append(&out, "[", 1);
    rc = cloud_list(d->cloud, &query, &out, &count, &next, &revision, err);
    buffer_append(&out, "]", 1);
    list = rc == 0 ? json_loadb(out.data, out.length, 0, NULL) : NULL;
    json_array_foreach(list, n, route) want(d, w, cluster, route);
    json_decref(list);
    buffer_fini(&out);
    return rc;
}

// 1 the cluster's routes are to be programmed, 0 they are not, or an error.
static int read_wanted(struct docker *d, struct wanted *w, const char *cluster, struct error *err)
{
    json_t *document = get(d, KIND_CLUSTER, 0, cluster);
    bool programmed = json_is_true(json_object_get(document, "routes"));
    int64_t project;
    int rc = programmed ? cloud_project(d->cloud, text_at(document, "project"), &project, err) : 0;

    json_decref(document);
    if (rc == 0 && programmed)
        rc = read_routes(d, w, cluster, project, err);
    return rc < 0 ? rc : programmed;
}

// --- in one container ---

// Arguments: DESTINATION=GATEWAY each.
static const char script[] =
    "bad=0\n"
    "for r; do case $r in *:*=*) f=-6;; *) f=-4;; esac\n"
    "  ip $f route replace \"${r%%=*}\" via \"${r#*=}\" proto 177 || bad=1; done\n"
    "for f in -4 -6; do ip -o $f route show proto 177 2>/dev/null | while read -r to rest; do\n"
    "  keep=; for r; do r=${r%%=*}; [ \"$r\" = \"$to\" ] || [ \"$r\" = \"$to/32\" ] ||"
    " [ \"$r\" = \"$to/128\" ] || continue; keep=1; done\n"
    "  [ \"$keep\" ] || ip $f route del \"$to\" proto 177; done; done\n"
    "exit $bad";

struct job {
    struct docker *docker;
    const struct wanted *wanted;
    struct container *container;
};

static uint64_t digest(const struct wanted *w, const char *node)
{
    uint64_t hash = HASH_START;

    for (size_t n = 0; n < w->count; n++) {
        if (strcmp(w->routes[n].instance, node) == 0)
            continue;
        hash = hash_text(hash, w->routes[n].text);
    }
    return hash ? hash : 1;
}

static int program(struct docker *d, const struct wanted *w, const struct container *c,
                   struct error *err)
{
    const char *command[ROUTES_MAX + 5] = {"sh", "-c", script, "sh"};
    struct buffer out;
    size_t count = 4;
    int code = 0, rc;

    for (size_t n = 0; n < w->count; n++) {
        if (strcmp(w->routes[n].instance, c->name) != 0)
            command[count++] = w->routes[n].text;
    }
    buffer_init(&out);
    rc = engine_exec(d->engine, c->id, command, EXEC_MS, &out, &code, err);
    if (rc == 0 && code != 0)
        rc = error_set(err, ERROR_UNAVAILABLE, NULL, "routes of %s: %.*s", c->name,
                       (int)(out.length < 120 ? out.length : 120), out.data ? out.data : "");
    buffer_fini(&out);
    return rc;
}

// What is remembered of the container as it was started last; under the lock.
static struct routed *remember(struct docker *d, const struct container *c)
{
    struct routed *r = d->routed;

    while (r && strcmp(r->id, c->id) != 0)
        r = r->next;
    if (!r) {
        r = calloc(1, sizeof(*r));
        if (!r)
            return NULL;
        snprintf(r->id, sizeof(r->id), "%s", c->id);
        r->next = d->routed;
        d->routed = r;
    }
    if (strcmp(r->started_at, c->started_at) != 0) {
        snprintf(r->started_at, sizeof(r->started_at), "%s", c->started_at);
        r->programmed = 0;
        r->failures = 0;
    }
    return r;
}

static bool is_programmed(struct docker *d, const struct container *c, uint64_t what)
{
    struct routed *r;
    bool is;

    pthread_mutex_lock(&d->routes_lock);
    r = remember(d, c);
    is = !r || r->programmed == what;
    pthread_mutex_unlock(&d->routes_lock);
    return is;
}

static void note(struct docker *d, struct container *c, uint64_t what, bool done)
{
    struct routed *r;

    pthread_mutex_lock(&d->routes_lock);
    r = remember(d, c);
    if (r && done)
        r->programmed = what;
    else if (r)
        c->unsettled = r->programmed == 0 && ++r->failures < TRIES;
    pthread_mutex_unlock(&d->routes_lock);
}

static void *run_job(void *argument)
{
    struct job *job = argument;
    struct container *c = job->container;
    uint64_t what = digest(job->wanted, c->name);
    struct error err = {0};
    int rc;

    if (is_programmed(job->docker, c, what))
        return NULL;
    rc = program(job->docker, job->wanted, c, &err);
    note(job->docker, c, what, rc == 0);
    if (rc < 0 && !job->docker->stopping)
        log_line(LOG_WARN, "routes could not be programmed", "container", c->name, "error",
                 err.message, NULL);
    return NULL;
}

// --- in all of them ---

static void run_some(struct job *jobs, size_t count)
{
    pthread_t threads[AT_A_TIME];
    bool started[AT_A_TIME] = {false};

    for (size_t n = 1; n < count; n++)
        started[n] = pthread_create(&threads[n], NULL, run_job, &jobs[n]) == 0;
    for (size_t n = 0; n < count; n++) {
        if (!started[n])
            run_job(&jobs[n]);
    }
    for (size_t n = 1; n < count; n++) {
        if (started[n])
            pthread_join(threads[n], NULL);
    }
}

void docker_route_all(struct docker *d, const char *cluster, struct container *list, size_t count)
{
    struct job jobs[AT_A_TIME];
    struct error err = {0};
    struct arena arena;
    struct wanted *w;
    size_t waiting = 0;

    arena_init(&arena);
    w = arena_alloc(&arena, sizeof(*w));
    w->arena = &arena;
    if (read_wanted(d, w, cluster, &err) != 1)
        count = 0;
    for (size_t n = 0; n < count; n++) {
        if (list[n].state == CONTAINER_RUNNING)
            jobs[waiting++] = (struct job){.docker = d, .wanted = w, .container = &list[n]};
        if (waiting == AT_A_TIME || n + 1 == count) {
            run_some(jobs, waiting);
            waiting = 0;
        }
    }
    arena_fini(&arena);
}

void docker_routes_free(struct docker *d)
{
    while (d->routed) {
        struct routed *r = d->routed;

        d->routed = r->next;
        free(r);
    }
    pthread_mutex_destroy(&d->routes_lock);
}

// --- following ---

static int note_event(void *context, const struct event *event, struct bytes envelope)
{
    bool *any = context;

    (void)event, (void)envelope;
    *any = true;
    return 0;
}

void *docker_follow_routes(void *docker)
{
    struct docker *d = docker;
    int64_t seen = cloud_revision(d->cloud);

    while (!atomic_load(&d->stopping)) {
        struct event_query query = {.since = seen, .kind = KIND_ROUTE, .limit = 1};
        int64_t newest = cloud_wait_revision(d->cloud, seen, clock_monotonic() + NS_PER_S), unused;
        bool any = newest > seen;

        if (any &&
            cloud_events(d->cloud, &query, note_event, (any = false, &any), &unused, NULL) < 0)
            any = true; // gone from the log already: there may have been some
        seen = newest;
        if (any) {
            atomic_store(&d->look, true);
            engine_stream_wake(d->stream);
        }
    }
    return NULL;
}
