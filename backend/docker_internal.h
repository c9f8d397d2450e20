// What the files of the docker backend share.
#ifndef BACKEND_DOCKER_INTERNAL_H
#define BACKEND_DOCKER_INTERNAL_H

#include "backend/docker.h"
#include "backend/engine.h"

#include <pthread.h>
#include <stdatomic.h>

#define LABEL_CLUSTER "io.x-k8s.kind.cluster"
#define LABEL_ROLE "io.x-k8s.kind.role"
#define LABEL_INSTANCE "mockcloud.instance" // on containers that we made

struct docker {
    struct engine *engine;
    struct cloud *cloud;
    int64_t resync_ns;
    pthread_t watcher;
    bool watching; // the thread runs
    struct engine_stream *stream;
    atomic_bool stopping;
    atomic_bool look; // at all clusters, soon
    pthread_t follower;
    bool following; // started by the watcher, with the first cluster
    pthread_mutex_t routes_lock;
    struct routed *routed; // what was programmed where
    char last_error[256];  // logged, the watcher's
};

// --- looking (backend/docker_containers.c) ---
// The containers of a kind cluster, with the Engine's network of theirs. Strings in `arena`.
struct sighting {
    struct container *containers;
    size_t count;
    const char *network; // NULL: none seen
    const char *image;   // of a node; NULL: none seen
};
int docker_list(struct docker *d, const char *cluster, struct arena *arena, struct sighting *out,
                struct error *err);
// A container by id or name. Three-way; ERROR_INVALID when it is a
// container but not a node of the cluster.
int docker_inspect(struct docker *d, const char *cluster, const char *ref, struct arena *arena,
                   struct container *out, struct error *err);
// The container of the effect's instance: by its id or, when none is known yet, by its name, unless
// somebody else made it. Three-way.
int docker_find(struct docker *d, const struct effect *e, struct arena *arena,
                struct container *out, struct error *err);
// Subnets of a network, NULL where it has none.
int docker_subnets(struct docker *d, const char *network, struct arena *arena, const char **out_v4,
                   const char **out_v6, struct error *err);

// --- doing (backend/docker_effects.c) ---
effect_run docker_effect_start, docker_effect_stop, docker_effect_reboot, docker_effect_remove,
    docker_effect_retire;
// Making a node as kind does, and having it join (backend/docker_join.c).
effect_run docker_effect_create;
// The container of a node like that of another one (backend/docker_node.c), and started. Three-way:
// 1 made or there already (*out is how it is), 0 gone meanwhile.
int docker_node_make(struct docker *d, const struct effect *e, const char *like,
                     struct arena *arena, struct container *out, struct error *err);

// Gives a node the images that another one has beyond its own (backend/docker_images.c).
int docker_images_copy(struct docker *d, const char *from, const char *to, struct arena *arena,
                       struct error *err);

// --- routes (backend/docker_routes.c) ---
// Programs the routes of the cluster's instances in the kernels of those containers that do not
// have them, several at a time; those that could not be done and never were are then `unsettled`.
void docker_route_all(struct docker *d, const char *cluster, struct container *list, size_t count);
void *docker_follow_routes(void *docker); // a thread: looks when routes have changed
void docker_routes_free(struct docker *d);

void *docker_watch(void *docker); // backend/docker_watch.c

#endif
