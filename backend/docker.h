// The docker backend: instances that are the nodes of kind clusters. Implements sim/backend.h.
//
// Only containers with kind's label are ever touched, and only those of the cluster that the effect
// names. What it sees, it reports cluster by cluster, as a whole: after every event of the Engine,
// when the set of clusters changes, and now and then. So a lost event only makes it late.
#ifndef BACKEND_DOCKER_H
#define BACKEND_DOCKER_H

#include "sim/cloud.h"

struct docker; // opaque

struct docker_config {
    const char *host;  // unix:///path or /path; NULL: DOCKER_HOST, else the usual places
    int64_t resync_ns; // 0: 30 s
};

// Attaches itself to the cloud. The Engine need not be there; nobody asks for it before a cluster
// is adopted.
int docker_start(const struct docker_config *config, struct cloud *cloud, struct docker **out,
                 struct error *err);
// Detaches; what is not done stays in the outbox. Before cloud_close. NULL allowed.
void docker_stop(struct docker *d);

#endif
