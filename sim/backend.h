// What a backend is: something outside this process that makes an instance real. The docker backend
// (backend/) implements it with the containers of kind clusters; tests/unit/fake_backend.h in
// memory.
//
// Effects are rows of the outbox (store/outbox.c), at most one per instance, written in the
// change's transaction. Workers (sim/outbox.c) run them outside it and retry what fails, with a
// growing delay, also after a restart; so every effect may run more than once and must be
// idempotent. What came of it, and whatever else is seen of the containers of a cluster, comes back
// through the funnel as a change with the cause `backend`.
#ifndef SIM_BACKEND_H
#define SIM_BACKEND_H

#include "base/arena.h"
#include "base/error.h"
#include "sim/records.h"

struct cloud;

// Values are stored: append only.
enum effect_action {
    EFFECT_CREATE, // make the container and have it join its cluster
    EFFECT_START,
    EFFECT_STOP,
    EFFECT_REBOOT,
    EFFECT_REMOVE, // stop it and remove it with its volumes
    EFFECT_RETIRE, // stop it for good, but keep it
    EFFECT_ACTIONS
};

struct effect {
    const char *instance_id;
    int64_t revision; // of the change that wants it
    enum effect_action action;
    const char *name; // of the instance and of the container
    const char *zone;
    const char *cluster;
    const char *container_id; // NULL: none known yet
    enum node_role role;
    enum provision provision;
};

enum container_state { CONTAINER_ABSENT, CONTAINER_STOPPED, CONTAINER_RUNNING };

// A container as it was seen. Strings belong to whoever made the report.
struct container {
    const char *name;
    const char *id;
    enum node_role role;
    enum container_state state;
    const char *reason_code; // why it is stopped; NULL: not known
    const char *reason_message;
    struct ip v4, v6;       // on the cluster's network; family 0: none
    const char *started_at; // another one after each start; NULL: not known
    bool unsettled;         // something must still be done in it: passed over, look again
};

// All containers of a cluster, as seen after the revision `as_of`: of an instance that has changed
// since, the next report will tell.
struct cluster_report {
    const char *cluster;
    int64_t as_of;
    const char *unreachable; // why nothing could be seen; NULL: it could
    struct container *containers;
    size_t count;
    const char *subnet_v4, *subnet_v6; // of its network; NULL: none or not known
};

// Runs the effect. 0 and what the container is then, its strings in `arena`. ERROR_INVALID,
// ERROR_NOT_FOUND, ERROR_EXISTS and ERROR_STATE: it can never be done, the instance turns `error`;
// any other error: later again.
typedef int effect_run(void *context, const struct effect *e, struct arena *arena,
                       struct container *out, struct error *err);

struct backend_ops {
    effect_run *run[EFFECT_ACTIONS];
    // The set of clusters has changed, or a report was stale: look again soon. Never waits.
    void (*look)(void *context);
    // Makes running effects return soon, with any error. Called once, before the end.
    void (*cancel)(void *context);
};

// One backend per cloud. Effects that wait in the outbox are run from now on.
int cloud_backend_attach(struct cloud *cloud, const struct backend_ops *ops, void *context,
                         struct error *err);
// Cancels what runs and waits for it; what is not done stays in the outbox. Harmless without one.
void cloud_backend_detach(struct cloud *cloud);
bool cloud_has_backend(struct cloud *cloud);
// Of a stepped cloud, which has no workers: runs the effect that has waited longest, without
// waiting for its next try. False: nothing is to be done.
bool cloud_run_effect(struct cloud *cloud);

// For the backend: what it saw. Waits until it is applied; *out_stale: look again soon.
int cloud_report_cluster(struct cloud *cloud, const struct cluster_report *report, bool *out_stale,
                         struct error *err);
// How far an effect is, as the instance's state reason ("provisioning").
int cloud_report_progress(struct cloud *cloud, const struct effect *e, const char *message,
                          struct error *err);

#endif
