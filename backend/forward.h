// A plain TCP path for load balancers: listens on their addresses and forwards each connection to a
// target of the listener's pool, in turn. It is what makes a Service of a kind cluster answer,
// where the addresses are this machine's (scripts/kind-up); a data plane proper (UDP, source
// ranges, PROXY protocol, affinity, health checks of its own) is another matter.
//
// One thread follows the cloud, one moves the bytes. At most FORWARD_CONNECTIONS at a time; one
// that is silent for the listener's idle time-out is closed.
#ifndef BACKEND_FORWARD_H
#define BACKEND_FORWARD_H

#include "base/arena.h"
#include "sim/cloud.h"

#define FORWARD_CONNECTIONS 4096
#define FORWARD_LISTENERS 1000

struct forward; // opaque

// ERROR_INTERNAL when the system has no more threads or files. An address that cannot be listened
// on is logged and tried again when the cloud changes, and every few seconds.
int forward_start(struct cloud *cloud, struct forward **out, struct error *err);
void forward_stop(struct forward *f); // closes all connections. Before cloud_close. NULL allowed.

// --- what is to be forwarded (backend/forward_table.c) ---
struct forward_endpoint {
    struct ip ip;
    int port;
};

struct forward_listener {
    struct forward_endpoint at;
    int64_t idle_ns;
    struct forward_endpoint *targets; // healthy ones whose instance runs
    size_t target_count;
};

struct forward_table {
    struct arena arena; // of all in it
    struct forward_listener *listeners;
    size_t count;
};

// Reads the load balancers of all projects. The caller frees the table with forward_table_free.
int forward_table_read(struct cloud *cloud, struct forward_table *out, struct error *err);
void forward_table_free(struct forward_table *table);

#endif
