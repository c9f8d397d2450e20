#include "backend/docker_internal.h"

#include "base/timefmt.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESYNC (30 * NS_PER_S)

// --- what the cloud asks ---

static void look(void *context)
{
    struct docker *d = context;

    atomic_store(&d->look, true);
    engine_stream_wake(d->stream);
}

static void cancel(void *context)
{
    struct docker *d = context;

    engine_cancel(d->engine);
}

static const struct backend_ops ops = {
    .run = {[EFFECT_CREATE] = docker_effect_create,
            [EFFECT_START] = docker_effect_start,
            [EFFECT_STOP] = docker_effect_stop,
            [EFFECT_REBOOT] = docker_effect_reboot,
            [EFFECT_REMOVE] = docker_effect_remove,
            [EFFECT_RETIRE] = docker_effect_retire},
    .look = look,
    .cancel = cancel,
};

// --- life ---

static void on_event(void *context, const json_t *event)
{
    (void)event;
    look(context);
}

// Docker's own socket, else Podman's.
static const char *usual_host(void)
{
    static const char *const places[] = {"/var/run/docker.sock", "/run/podman/podman.sock"};
    const char *host = getenv("DOCKER_HOST");

    if (host && (strncmp(host, "unix://", 7) == 0 || host[0] == '/'))
        return host;
    for (size_t n = 0; n < sizeof(places) / sizeof(places[0]); n++) {
        if (access(places[n], F_OK) == 0)
            return places[n];
    }
    return places[0];
}

static int start_watching(struct docker *d, struct error *err)
{
    atomic_store(&d->look, true);
    d->watching = pthread_create(&d->watcher, NULL, docker_watch, d) == 0;
    return d->watching ? 0 : error_set(err, ERROR_INTERNAL, NULL, "no more threads");
}

int docker_start(const struct docker_config *config, struct cloud *cloud, struct docker **out,
                 struct error *err)
{
    struct docker *d = calloc(1, sizeof(*d));
    int rc;

    if (!d)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    pthread_mutex_init(&d->routes_lock, NULL);
    d->cloud = cloud;
    d->resync_ns = config->resync_ns ? config->resync_ns : RESYNC;
    d->engine = engine_new(config->host ? config->host : usual_host(), err);
    d->stream = d->engine ? engine_stream_new(d->engine, on_event, d) : NULL;
    if (!d->stream) {
        docker_stop(d);
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    rc = cloud_backend_attach(cloud, &ops, d, err);
    if (rc == 0)
        rc = start_watching(d, err);
    if (rc < 0) {
        docker_stop(d);
        return rc;
    }
    *out = d;
    return 0;
}

void docker_stop(struct docker *d)
{
    if (!d)
        return;
    atomic_store(&d->stopping, true);
    if (d->engine)
        engine_cancel(d->engine);
    cloud_backend_detach(d->cloud);
    if (d->watching) {
        engine_stream_wake(d->stream);
        pthread_join(d->watcher, NULL);
    }
    if (d->following) {
        cloud_wake(d->cloud);
        pthread_join(d->follower, NULL);
    }
    docker_routes_free(d);
    engine_stream_free(d->stream);
    engine_free(d->engine);
    free(d);
}
