// A backend in memory: containers by name, and orders about what goes wrong.
#ifndef TESTS_UNIT_FAKE_BACKEND_H
#define TESTS_UNIT_FAKE_BACKEND_H

#include "sim_fixture.h"

#include <pthread.h>

#define FAKE_MAX 16

struct fake {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct fake_container {
        char name[64];
        enum container_state state;
    } containers[FAKE_MAX];
    size_t count;
    int runs[EFFECT_ACTIONS];
    enum error_code refuse; // every effect ends with it
    bool hold;              // effects wait
    bool cancelled;
    int looks;
};

static inline struct fake_container *fake_find(struct fake *f, const char *name)
{
    for (size_t n = 0; n < f->count; n++) {
        if (strcmp(f->containers[n].name, name) == 0)
            return &f->containers[n];
    }
    return NULL;
}

static inline void fake_set(struct fake *f, const char *name, enum container_state state)
{
    struct fake_container *c = fake_find(f, name);

    if (!c) {
        assert_true(f->count < FAKE_MAX);
        c = &f->containers[f->count++];
        snprintf(c->name, sizeof(c->name), "%s", name);
    }
    c->state = state;
}

static inline int fake_run(struct fake *f, const struct effect *e, struct container *out,
                           enum container_state then, struct error *err)
{
    int rc = 0;

    pthread_mutex_lock(&f->lock);
    f->runs[e->action]++;
    pthread_cond_broadcast(&f->changed);
    while (f->hold && !f->cancelled)
        pthread_cond_wait(&f->changed, &f->lock);
    if (f->cancelled)
        rc = error_set(err, ERROR_UNAVAILABLE, NULL, "cancelled");
    else if (f->refuse)
        rc = error_set(err, f->refuse, NULL, "the fake was told to refuse");
    else
        fake_set(f, e->name, then);
    *out = (struct container){.name = e->name, .id = e->name, .state = then};
    pthread_mutex_unlock(&f->lock);
    return rc;
}

#define FAKE_EFFECT(name, then)                                                        \
    static inline int name(void *context, const struct effect *e, struct arena *arena, \
                           struct container *out, struct error *err)                   \
    {                                                                                  \
        (void)arena;                                                                   \
        return fake_run(context, e, out, then, err);                                   \
    }
FAKE_EFFECT(fake_start, CONTAINER_RUNNING)
FAKE_EFFECT(fake_stop, CONTAINER_STOPPED)
FAKE_EFFECT(fake_remove, CONTAINER_ABSENT)

static inline void fake_look(void *context)
{
    struct fake *f = context;

    pthread_mutex_lock(&f->lock);
    f->looks++;
    pthread_mutex_unlock(&f->lock);
}

static inline void fake_cancel(void *context)
{
    struct fake *f = context;

    pthread_mutex_lock(&f->lock);
    f->cancelled = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static const struct backend_ops fake_ops = {
    .run = {fake_start, fake_start, fake_stop, fake_start, fake_remove, fake_stop},
    .look = fake_look,
    .cancel = fake_cancel,
};

static inline void fake_init(struct fake *f)
{
    memset(f, 0, sizeof(*f));
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
}

static inline void fake_attach(struct fake *f, struct cloud *cloud)
{
    f->cancelled = false;
    assert_int_equal(cloud_backend_attach(cloud, &fake_ops, f, NULL), 0);
}

static inline void fake_order(struct fake *f, bool hold, enum error_code refuse)
{
    pthread_mutex_lock(&f->lock);
    f->hold = hold;
    f->refuse = refuse;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

// Waits until the effect has been begun so many times.
static inline void fake_await(struct fake *f, enum effect_action action, int runs)
{
    pthread_mutex_lock(&f->lock);
    while (f->runs[action] < runs)
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

// Reports all containers that are there, as seen now or at an earlier revision; returns staleness.
static inline bool fake_report(struct fake *f, struct cloud *cloud, const char *cluster,
                               int64_t as_of)
{
    struct container list[FAKE_MAX] = {0};
    struct cluster_report report = {
        .cluster = cluster, .as_of = as_of ? as_of : cloud_revision(cloud), .containers = list};
    bool stale = false;

    pthread_mutex_lock(&f->lock);
    for (size_t n = 0; n < f->count; n++) {
        if (f->containers[n].state == CONTAINER_ABSENT)
            continue;
        list[report.count] = (struct container){
            .name = f->containers[n].name,
            .id = f->containers[n].name,
            .role =
                strstr(f->containers[n].name, "control-plane") ? ROLE_CONTROL_PLANE : ROLE_WORKER,
            .state = f->containers[n].state,
            .reason_code = "container-stopped",
            .reason_message = "The container exited with code 1"};
        ip_parse(n == 0 ? "172.18.0.2" : (n == 1 ? "172.18.0.3" : "172.18.0.4"),
                 &list[report.count].v4, NULL);
        report.count++;
    }
    pthread_mutex_unlock(&f->lock);
    assert_int_equal(cloud_report_cluster(cloud, &report, &stale, NULL), 0);
    return stale;
}

#endif
