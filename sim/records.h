// The records of the cloud: plain visible structs. Strings and arrays live in the arena they were
// loaded into or built in; nothing here is freed one by one.
#ifndef SIM_RECORDS_H
#define SIM_RECORDS_H

#include "base/arena.h"
#include "base/ip.h"
#include "base/json_writer.h"
#include "base/random.h"
#include "store/store.h"

struct txn;      // sim/txn.h
struct unpacker; // sim/pack.h

// What every resource has; the first member of each record.
struct resource {
    enum kind kind;
    int64_t seq; // 0: not stored yet
    const char *id;
    int64_t project;          // 0: belongs to none
    const char *project_name; // NULL: belongs to none
    const char *name;
    int state;               // of the kind's own enum
    int stored_state;        // as its row has it, -1 while it has none; the funnel's
    const char *reason_code; // NULL: none
    const char *reason_message;
    struct store_tag *tags; // sorted by key; replaced, never changed in place
    size_t tag_count;
    const struct store_tag *stored_tags; // as its row has them; the funnel's
    int64_t created_ns;
    int64_t updated_ns;
    int64_t transition_ns;        // 0: none
    int64_t stored_transition_ns; // as its row has it; the funnel's
    int64_t revision;
    // Id of the fault rule that keeps the state's transition from ending; "": it has been kept and
    // is now let go; NULL: nothing keeps it.
    const char *held_by;
    bool stored_held; // its row has a rule there; the funnel's
};

// One change of a tag map.
struct tag_patch {
    const char *key;
    const char *value; // NULL: delete
};

enum instance_state {
    INSTANCE_PENDING,
    INSTANCE_RUNNING,
    INSTANCE_STOPPING,
    INSTANCE_STOPPED,
    INSTANCE_REBOOTING,
    INSTANCE_TERMINATING,
    INSTANCE_TERMINATED,
    INSTANCE_ERROR,
    INSTANCE_STATES
};
enum instance_lifecycle { LIFECYCLE_ON_DEMAND, LIFECYCLE_SPOT };
enum instance_backend { BACKEND_NONE, BACKEND_VIRTUAL_NODE, BACKEND_DOCKER };
enum node_role { ROLE_WORKER, ROLE_CONTROL_PLANE };
enum provision {
    PROVISION_JOIN, // we make the container and have it join its cluster
    PROVISION_ADOPT // somebody else makes it: it is waited for, by name
};
enum address_type {
    ADDRESS_INTERNAL,
    ADDRESS_EXTERNAL,
    ADDRESS_INTERNAL_DNS,
    ADDRESS_EXTERNAL_DNS,
    ADDRESS_HOSTNAME
};

struct instance_address {
    enum address_type type;
    struct ip ip;     // family 0: not an IP address
    const char *text; // canonical
};

enum notice_kind { NOTICE_SPOT, NOTICE_REBALANCE, NOTICE_MAINTENANCE, NOTICE_PREEMPT };
#define NOTICE_KINDS (NOTICE_PREEMPT + 1)
enum notice_action { NOTICE_NONE, NOTICE_TERMINATE, NOTICE_STOP, NOTICE_REBOOT };
#define NOTICE_ACTIONS (NOTICE_REBOOT + 1)
enum notice_state { NOTICE_SCHEDULED, NOTICE_STARTED, NOTICE_COMPLETED, NOTICE_CANCELED };
#define NOTICE_STATES (NOTICE_CANCELED + 1)

struct notice { // of what the cloud is about to do to an instance: sim/notice.h
    const char *id;
    enum notice_kind kind;
    enum notice_action action;
    enum notice_state state;
    int64_t issued_ns;
    int64_t deadline_ns; // 0: none
    int64_t ended_ns;    // 0: open
};

struct instance {
    struct resource r; // transition_ns: the earliest of due_ns and the deadlines of its notices
    const char *zone;
    const char *region;
    const char *type;
    enum instance_lifecycle lifecycle;
    enum instance_backend backend;
    struct instance_address *addresses;
    size_t address_count;
    int64_t due_ns;         // when its state ends by itself; 0: never
    struct notice *notices; // in the order of their issue, the latest that have ended among them
    size_t notice_count;
    int64_t notice_serial; // grows with every change of a notice
    // Of the docker backend; else NULL and 0.
    const char *cluster;
    const char *container_id; // NULL: has none yet
    enum node_role role;
    enum provision provision;
};

enum cluster_state {
    CLUSTER_WAITING, // it has no containers (yet)
    CLUSTER_ACTIVE,
    CLUSTER_UNREACHABLE, // the Engine does not answer
    CLUSTER_STATES
};
enum terminate_policy { TERMINATE_REMOVE, TERMINATE_STOP };

struct cluster { // a kind cluster whose nodes are instances; id and name are its name
    struct resource r;
    enum terminate_policy terminate;
    bool protect_control_plane;
    bool program_routes;
    const char *subnet_v4, *subnet_v6; // of its network, as seen; NULL: not yet
};

enum load_balancer_state {
    LB_PROVISIONING,
    LB_ACTIVE,
    LB_UPDATING,
    LB_DELETING,
    LB_DELETED,
    LB_ERROR,
    LB_STATES
};
enum scheme { SCHEME_INTERNET_FACING, SCHEME_INTERNAL };
enum protocol { PROTOCOL_TCP, PROTOCOL_UDP };
enum proxy_protocol { PROXY_NONE, PROXY_V1, PROXY_V2 };
enum session_affinity { AFFINITY_NONE, AFFINITY_CLIENT_IP };

struct listener {
    enum protocol protocol;
    int port;
    const char *target_pool_id;
    int target_port;
    enum proxy_protocol proxy_protocol;
    int idle_timeout_s;
    enum session_affinity session_affinity;
    int session_affinity_timeout_s;
};

struct lb_address {
    struct ip ip;
    const char *address_id; // NULL: released with the load balancer
};

struct load_balancer {
    struct resource r;
    enum scheme scheme;
    const char *hostname; // NULL: none
    struct lb_address *addresses;
    size_t address_count;
    struct listener *listeners;
    size_t listener_count;
    const char **source_ranges; // canonical CIDRs
    size_t source_range_count;
};

enum target_health { TARGET_INITIAL, TARGET_HEALTHY, TARGET_UNHEALTHY, TARGET_DRAINING };

struct target {
    const char *instance_id; // or NULL
    const char *address;     // or NULL; exactly one of the two
    enum target_health health;
    const char *health_reason; // NULL: none
    int64_t due_ns;            // of `initial` and `draining`; 0: none
};

enum health_check_protocol { HEALTH_CHECK_NONE, HEALTH_CHECK_TCP, HEALTH_CHECK_HTTP };

struct health_check {
    enum health_check_protocol protocol;
    int port;
    const char *path;
    int interval_s;
    int timeout_s;
    int healthy_threshold;
    int unhealthy_threshold;
};

struct target_pool {
    struct resource r; // state is always 0
    struct target *targets;
    size_t target_count;
    struct health_check health_check;
};

struct address {
    struct resource r; // state is always 0
    enum scheme scheme;
    struct ip ip;
    const char *load_balancer_id; // NULL: free
};

enum route_state {
    ROUTE_PENDING,
    ROUTE_ACTIVE,
    ROUTE_BLACKHOLE,
    ROUTE_DELETING,
    ROUTE_DELETED,
    ROUTE_STATES
};

struct route {
    struct resource r;
    const char *network;
    const char *destination_cidr;     // canonical
    const char *next_hop_instance_id; // or NULL
    const char *next_hop_address;     // or NULL; exactly one of the two
};

enum zone_state { ZONE_AVAILABLE, ZONE_UNAVAILABLE };

struct type_capacity {
    const char *type;
    int64_t limit;
};

struct zone { // id and name are the zone's name
    struct resource r;
    const char *region;
    struct type_capacity *capacity; // how many instances of a type have room; others: any number
    size_t capacity_count;
    int64_t capacity_total; // of all types together; -1: any number
};

struct instance_type { // id and name are the type's name
    struct resource r;
    int cpus;
    int64_t memory_mib;
    int max_pods;
};

// Of the timed ones, which latencies are of; NULL ends.
extern const char *const transition_names[];
struct latency { // id and name are the transition's name, for example instance.pending
    struct resource r;
    struct distribution distribution;
};

struct project { // id is made, name unique; its timed transition, if any, is its end
    struct resource r;
};

// Classes of operations that have a token bucket each (sim/rates.h).
enum rate_class { RATE_READ, RATE_LIST, RATE_WRITE, RATE_CLASSES };

struct quota { // of the project that it is in, which has one at most; id is that of the project
    struct resource r;
    int64_t limits[KIND_ROUTE + 1]; // by kind; -1: none
    double rates[RATE_CLASSES];     // operations per second; 0: no limit
    int64_t bursts[RATE_CLASSES];
};

// What the funnel needs to know of a kind. One constant per kind, in the file of that kind.
struct kind_ops {
    enum kind kind;
    size_t size;                    // of the record struct
    const char *id_prefix;          // NULL: the id is the name
    const char *const *state_names; // NULL: it has no states
    // Kind-specific fields only; the common ones are packed by the funnel (sim/pack.h).
    void (*pack)(const struct resource *r, struct buffer *out);
    void (*unpack)(struct resource *r, struct unpacker *in, struct arena *arena);
    void (*encode)(const struct resource *r, struct json_writer *w); // the whole canonical document
    void (*columns)(const struct resource *r, const char *out[KIND_COLUMNS_MAX]); // NULL: none
    // Ids it refers to, built in `arena`; NULL: none.
    size_t (*references)(const struct resource *r, struct arena *arena, const char ***out);
    bool references_fixed; // they never change
    // A timed transition is due: changes the record and writes it through txn_put/txn_delete.
    // NULL: has no timed transitions.
    int (*due)(struct txn *t, struct resource *r, struct error *err);
    // Its project ends: takes it away, with what it holds beside its row. NULL: txn_delete.
    int (*remove)(struct txn *t, struct resource *r, struct error *err);
};

#endif
