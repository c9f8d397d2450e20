// The watcher: one thread that looks at the adopted clusters and reports what it sees.
#include "backend/docker_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/timefmt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECONNECT_FIRST_MS 100
#define RECONNECT_MAX_MS 5000
#define UNREACHABLE_MS 1000
#define STALE_MS 50 // before looking again at what was just being changed

struct names {
    struct name {
        struct name *next;
        const char *name;
    } * first;
};

// --- which clusters ---

static int read_names(struct docker *d, struct arena *arena, struct names *out, struct error *err)
{
    struct list_query query = {.kind = KIND_CLUSTER, .limit = 1000};
    struct buffer documents;
    int64_t next, revision;
    size_t count;
    int rc;

    buffer_init(&documents);
    buffer_append(&documents, "[", 1);
    rc = cloud_list(d->cloud, &query, &documents, &count, &next, &revision, err);
    buffer_append(&documents, "]", 1);
    if (rc == 0 && !documents.failed) {
        json_t *list = json_loadb(documents.data, documents.length, 0, NULL);

        for (size_t n = json_array_size(list); n-- > 0;) {
            struct name *name = arena_alloc(arena, sizeof(*name));

            name->name = arena_strdup(
                arena, json_string_value(json_object_get(json_array_get(list, n), "name")));
            name->next = out->first;
            out->first = name;
        }
        json_decref(list);
    }
    buffer_fini(&documents);
    return rc;
}

// --- looking at one ---

// Once per reason; an Engine that is back is worth a line too.
static void log_error(struct docker *d, const char *message)
{
    if (strcmp(d->last_error, message) == 0)
        return;
    snprintf(d->last_error, sizeof(d->last_error), "%s", message);
    if (message[0])
        log_line(LOG_WARN, "the container engine does not answer", "error", message, NULL);
    else
        log_line(LOG_INFO, "the container engine answers", "socket", engine_socket(d->engine),
                 NULL);
}

static int see(struct docker *d, const char *cluster, struct arena *arena,
               struct cluster_report *report, struct error *err)
{
    struct sighting seen;
    int rc = docker_list(d, cluster, arena, &seen, err);

    if (rc == 0 && seen.network)
        rc = docker_subnets(d, seen.network, arena, &report->subnet_v4, &report->subnet_v6, err);
    if (rc < 0)
        return rc;
    docker_route_all(d, cluster, seen.containers, seen.count);
    report->containers = seen.containers;
    report->count = seen.count;
    return 0;
}

// When it is to be looked at again, in ns.
static int64_t look_at(struct docker *d, const char *cluster, struct arena *arena)
{
    struct cluster_report report = {.cluster = cluster, .as_of = cloud_revision(d->cloud)};
    struct error why = {0}, err = {0};
    bool stale = false, unsettled = false;

    if (see(d, cluster, arena, &report, &why) < 0)
        report.unreachable = why.message;
    for (size_t n = 0; n < report.count; n++)
        unsettled |= report.containers[n].unsettled;
    log_error(d, why.message);
    if (cloud_report_cluster(d->cloud, &report, &stale, &err) < 0 && !d->stopping)
        log_line(LOG_WARN, "a report was refused", "cluster", cluster, "error", err.message, NULL);
    if (report.unreachable)
        return UNREACHABLE_MS * NS_PER_MS;
    return stale || unsettled || err.code ? STALE_MS * NS_PER_MS : d->resync_ns;
}

// *out_any: there are clusters. Returns when to look again.
static int64_t look_at_all(struct docker *d, bool *out_any)
{
    struct names names = {0};
    struct error err = {0};
    struct arena arena;
    int64_t soonest = d->resync_ns;

    arena_init(&arena);
    if (read_names(d, &arena, &names, &err) < 0)
        log_line(LOG_WARN, "clusters could not be read", "error", err.message, NULL);
    *out_any = names.first != NULL;
    for (struct name *name = names.first; name && !d->stopping; name = name->next) {
        int64_t again = look_at(d, name->name, &arena);

        soonest = again < soonest ? again : soonest;
    }
    arena_fini(&arena);
    return soonest;
}

// --- the thread ---

static int until(int64_t deadline)
{
    int64_t left = (deadline - clock_monotonic()) / NS_PER_MS + 1;

    return left < 0 ? 0 : (left > 60000 ? 60000 : (int)left);
}

// Opens the stream of events, or says when to try again.
static void connect_stream(struct docker *d, int64_t *retry_at, int *delay_ms)
{
    struct error err = {0};

    if (engine_stream_open(d->stream, &err) == 0) {
        *delay_ms = RECONNECT_FIRST_MS;
        log_error(d, "");
    } else {
        log_error(d, err.message);
        *retry_at = clock_monotonic() + *delay_ms * NS_PER_MS;
        *delay_ms = *delay_ms * 2 < RECONNECT_MAX_MS ? *delay_ms * 2 : RECONNECT_MAX_MS;
    }
    atomic_store(&d->look, true); // either way: what happened meanwhile, or that it is away
}

void *docker_watch(void *docker)
{
    struct docker *d = docker;
    int64_t retry_at = 0, look_at_ns = 0;
    int delay_ms = RECONNECT_FIRST_MS;
    bool any = false;

    while (!atomic_load(&d->stopping)) {
        if (any && !engine_stream_is_open(d->stream) && clock_monotonic() >= retry_at)
            connect_stream(d, &retry_at, &delay_ms);
        if (atomic_exchange(&d->look, false) || clock_monotonic() >= look_at_ns) {
            int64_t again = look_at_all(d, &any);

            if (any && !d->following)
                d->following = pthread_create(&d->follower, NULL, docker_follow_routes, d) == 0;
            look_at_ns = any ? clock_monotonic() + again : INT64_MAX;
            continue; // it may have become the first cluster: then the stream is wanted
        }
        engine_stream_wait(d->stream,
                           any && !engine_stream_is_open(d->stream) && retry_at < look_at_ns
                               ? until(retry_at)
                               : (any ? until(look_at_ns) : 60000));
    }
    return NULL;
}
