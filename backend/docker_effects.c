// Starting, stopping and removing the container of a node.
#include "backend/docker_internal.h"

#include <stdio.h>
#include <string.h>

#define GRACE_S 10         // kind nodes shut down in order on their signal; then they are killed
#define STOP_TIMEOUT 60000 // ms: grace, and an Engine that is busy

// A POST about a container that answers no document; *out_status 404: it is not there.
static int act(struct docker *d, const char *method, const char *path, int *out_status,
               struct error *err)
{
    struct engine_request request = {.method = method, .path = path, .timeout_ms = STOP_TIMEOUT};
    json_t *answer = NULL;
    int rc = engine_call(d->engine, &request, &answer, err);

    if (rc >= 400 && rc != 404)
        rc = error_set(err, ERROR_UNAVAILABLE, NULL, "the container engine: %s",
                       engine_message(answer));
    json_decref(answer);
    if (rc >= 0)
        *out_status = rc;
    return rc < 0 ? rc : 0;
}

// Does it, unless the container is not there, and looks how it is then.
static int act_and_look(struct docker *d, const struct effect *e, const char *what,
                        struct arena *arena, struct container *out, struct error *err)
{
    int status = 0;
    int rc = docker_find(d, e, arena, out, err);

    if (rc <= 0)
        return rc;
    rc = act(d, "POST", arena_printf(arena, "/containers/%s/%s", out->id, what), &status, err);
    return rc < 0 ? rc : docker_inspect(d, e->cluster, out->id, arena, out, err);
}

// Its routes went with its last run: it runs when it has them again.
static int settle(struct docker *d, const struct effect *e, struct container *c, struct error *err)
{
    if (c->state != CONTAINER_RUNNING)
        return 0;
    docker_route_all(d, e->cluster, c, 1);
    return c->unsettled ? error_set(err, ERROR_UNAVAILABLE, NULL, "its routes could not be set yet")
                        : 0;
}

int docker_effect_start(void *context, const struct effect *e, struct arena *arena,
                        struct container *out, struct error *err)
{
    int rc = act_and_look(context, e, "start", arena, out, err);

    return rc < 0 ? rc : settle(context, e, out, err);
}

int docker_effect_stop(void *context, const struct effect *e, struct arena *arena,
                       struct container *out, struct error *err)
{
    int rc = act_and_look(context, e, arena_printf(arena, "stop?t=%d", GRACE_S), arena, out, err);

    if (rc == 1 && out->state == CONTAINER_RUNNING)
        return error_set(err, ERROR_UNAVAILABLE, NULL, "container %s runs again", out->name);
    return rc < 0 ? rc : 0;
}

int docker_effect_retire(void *context, const struct effect *e, struct arena *arena,
                         struct container *out, struct error *err)
{
    return docker_effect_stop(context, e, arena, out, err);
}

int docker_effect_reboot(void *context, const struct effect *e, struct arena *arena,
                         struct container *out, struct error *err)
{
    int rc =
        act_and_look(context, e, arena_printf(arena, "restart?t=%d", GRACE_S), arena, out, err);

    return rc < 0 ? rc : settle(context, e, out, err);
}

// With its anonymous volumes: kind's nodes have one each.
int docker_effect_remove(void *context, const struct effect *e, struct arena *arena,
                         struct container *out, struct error *err)
{
    struct docker *d = context;
    int status = 0;
    int rc = docker_effect_stop(context, e, arena, out, err);

    if (rc == 0 && out->id)
        rc = act(d, "DELETE", arena_printf(arena, "/containers/%s?v=1&force=1", out->id), &status,
                 err);
    if (rc == 0)
        *out = (struct container){.state = CONTAINER_ABSENT};
    return rc;
}
