// A change to the cloud: what a front door, a timer or a file asks for, and what came of it.
//
// The front door fills the request (strings in the change's own arena), submits it with
// cloud_submit and is called back on the writer thread once it is committed or refused. Requests
// are checked twice: their syntax where they are parsed (api/), their meaning here, where the state
// is known. `field` in errors is the path in the request ("listeners[0].port").
#ifndef SIM_CHANGE_H
#define SIM_CHANGE_H

#include "base/clock.h"
#include "sim/backend.h"
#include "sim/chaos.h"
#include "sim/fault.h"
#include "sim/records.h"

struct change;
struct scenario; // sim/scenario.h
typedef int change_apply(struct txn *t, struct change *c, struct error *err);

// Presence: pointers that are NULL and has_… that are false are absent from the request.
struct address_spec {
    enum address_type type;
    struct ip ip; // family 0: a name
    const char *text;
};

struct tags_spec { // create: values only; update: merge patch
    struct tag_patch *items;
    size_t count;
};

struct instance_spec {
    const char *name, *zone, *type;
    enum instance_lifecycle lifecycle;
    enum instance_backend backend;
    struct {
        const char *cluster;
        enum node_role role;
        enum provision provision;
    } container; // create, backend docker
    bool has_addresses;
    struct address_spec *addresses;
    size_t address_count;
    enum ip_family families[2]; // create: of allocated addresses; the parser fills the default
    size_t family_count;
    bool external_ip; // create; the parser fills the default (true)
    struct tags_spec tags;
    int count; // create: 0: one, and the answer is a document; n: a list of n
};

struct notice_spec {
    enum notice_kind kind;
    bool has_action, has_notice;
    enum notice_action action; // without has_action: the kind's default
    int64_t notice_ns;         // from now to the deadline
};

struct load_balancer_spec {
    const char *name;
    enum scheme scheme;
    const char *hostname;
    bool has_listeners;
    struct listener *listeners; // defaults filled by the parser
    size_t listener_count;
    bool has_source_ranges;
    const char **source_ranges; // canonical
    size_t source_range_count;
    const char **address_ids;
    size_t address_id_count;
    enum ip_family families[2];
    size_t family_count;
    struct tags_spec tags;
};

struct target_ref {
    const char *instance_id, *address; // exactly one; address canonical
};

struct target_pool_spec {
    const char *name;
    bool has_targets;
    struct target_ref *targets;
    size_t target_count;
    bool has_health_check;
    struct health_check health_check; // defaults filled by the parser
    struct tags_spec tags;
};

struct address_spec_reserved {
    const char *name;
    enum ip_family family;
    enum scheme scheme;
    bool has_ip;
    struct ip ip;
    struct tags_spec tags;
};

struct route_spec {
    const char *name, *network;
    const char *destination_cidr;                        // canonical
    const char *next_hop_instance_id, *next_hop_address; // at most one
    struct tags_spec tags;
};

struct fault_spec {
    const char *name;
    bool off;
    const char *project; // of match; for the front door, which sets change.project
    struct fault_match match;
    struct fault_when when;
    bool from_is_delay, until_is_delay; // the times count from the creation
    struct fault_effect effect;
};

// A merge patch of a rule. What comes of it depends on the rule as it is when it is applied, and
// only the front door reads JSON: so that is asked on the writer.
struct fault_patch {
    // `rule`: its document now. Into `arena`.
    int (*merge)(struct bytes patch, struct bytes rule, struct arena *arena, struct fault_spec *out,
                 struct error *err);
    struct bytes text;
};

struct action_spec { // on an instance
    bool force;      // also on a protected one
};

struct cluster_spec {
    const char *name;
    enum terminate_policy terminate;
    bool protect_control_plane;
    bool program_routes;
};

// What came of an effect (sim/outbox.c).
struct effect_report {
    const struct effect *effect;
    const struct container *container; // done: what it is then; NULL: not done
    const char *message;               // not done: why, or how far it is
    bool failed;                       // and never will be
    const char *reason;                // not done: its code
};

struct zone_spec {
    const char *region;
    enum zone_state state;
    struct type_capacity *capacity; // sorted by type
    size_t capacity_count;
    bool has_capacity_total;
    int64_t capacity_total;
};

struct quota_limit {
    bool given;
    int64_t limit; // -1: none
};

struct quota_rate {
    bool given;
    double rate;   // 0: no limit
    int64_t burst; // 0: a second's worth
};

// What is not given is left as it is (update), or without a limit (put).
struct quota_spec {
    struct quota_limit limits[KIND_ROUTE + 1];
    struct quota_rate rates[RATE_CLASSES];
};

struct project_spec {
    const char *name;
    int64_t ttl_ns; // 0: it stays
    bool has_quotas;
    struct quota_spec quotas;
    bool wants_token; // of scope cloud, in the answer
    char token[65];   // made by the front door with secret_make
};

enum clock_action {
    CLOCK_ADVANCE_BY,
    CLOCK_ADVANCE_TO,
    CLOCK_SET_SCALE,
    CLOCK_FREEZE,
    CLOCK_RESUME
};
struct clock_change {
    enum clock_action action;
    int64_t ns; // by or to
    double scale;
    int64_t fired; // out: timed transitions applied
    bool cut;      // out: an advance ended on its way, as the cloud is winding down
};

struct change_firing { // of a fault rule, by a call that may have changed nothing else
    const char *rule;
    int64_t matched, fired;
    bool gone; // the rule was: nothing was written
};

struct cloud;
struct change_source {
    const char *method, *project, *if_match, *idempotency_key; // NULL: not given
    struct bytes path, body;
};

#define REPLAY_POOLS_MAX 6

struct replay_start { // the first line of a recording
    uint64_t seed;
    int64_t revision;
    struct clock_state clock;
    char pools[REPLAY_POOLS_MAX][CIDR_TEXT_MAX]; // of addresses, as of enum pool
    size_t pool_count;                           // 0: not known
};

struct replacement {
    const char *path; // of a checked snapshot
    bool restarts_clock;
    bool stops_clock; // at the last event
};

struct change {
    change_apply *apply;
    struct clock_change *clock; // in the arena; set only by clock_change_new, `apply` is NULL then
    const struct replacement *replacement; // of the cloud as a whole; `apply` is NULL then
    void (*alone)(struct cloud *cloud, struct change *c); // run between batches; as above
    bool even_cut; // `alone` also when a stop has cut the catching up, as of where that came to
    struct arena arena;

    // Who asks.
    enum cause_type cause;
    const char *operation; // operation id; static
    int64_t project;
    const char *project_name;
    const char *idempotency_key; // NULL: none
    uint64_t fingerprint;        // of operation and body, with the key
    int64_t projects_ended;      // cloud_projects_ended() before the caller was authenticated
    int64_t if_match;            // revision the resource must be at; 0: any
    int64_t if_match_epoch;      // of which cloud_epoch that revision is; -1: of any

    // What for.
    const char *id; // resource; name for kinds that go by name
    union {
        struct instance_spec instance;
        struct notice_spec notice;
        struct {
            const char *notice_id;
        } acknowledge;
        struct action_spec action;
        struct cluster_spec cluster;
        struct cluster_report report;
        struct effect_report effect;
        struct load_balancer_spec load_balancer;
        struct {
            enum protocol protocol;
            int port;
        } listener; // remove_listener
        struct target_pool_spec target_pool;
        struct target_ref target; // remove_target
        struct address_spec_reserved address;
        struct route_spec route;
        struct zone_spec zone;
        struct quota_spec quota;
        struct {
            int cpus;
            int64_t memory_mib;
            int max_pods;
        } instance_type;
        struct distribution latency;
        struct fault_spec fault;
        struct fault_patch fault_patch;
        struct project_spec project_create;
        struct change_request_chaos {
            struct chaos_settings set;
            int64_t seed;
            bool has_seed;
        } chaos;
        struct change_request_scenario {
            const struct scenario *program; // not started; its seed < 0: none given
            int64_t seed;
            bool has_seed;
        } scenario;
        struct {
            int64_t ttl_ns; // from now; 0: for ever
        } project_update;
        struct {
            bool ours, starts_clock;
        } recording;
        struct replay_start replay;
        struct {
            int scope;      // enum scope
            char token[65]; // made by the front door with secret_make
        } token;
    } request;

    // How it was asked for over HTTP, for a recording; NULL: from within. Borrowed until it is
    // done.
    const struct change_source *source;
    const struct change_firing *firing; // NULL: it tells of none
    int64_t at_ns;                      // replayed: cloud time at which it was applied; 0: now

    // What came of it. With count, `document` is the comma-joined documents.
    struct error error;
    struct buffer document; // empty: no body
    int64_t revision;       // of the resource; its ETag
    const char *result_id;  // in arena
    int64_t applied_at;     // revision of the cloud when it was applied
    bool replayed;          // answered from an idempotency key

    void (*done)(struct change *c); // on the writer thread: quick, never submits and waits
    void *context;                  // the front door's
    struct change *next;            // of the queue
};

struct change *change_new(change_apply *apply, const char *operation);
void change_free(struct change *c);

// instances (sim/instance_ops.c)
change_apply instance_create, instance_update, instance_start, instance_stop, instance_reboot,
    instance_terminate;
// notices of instances (sim/notice_ops.c). Acknowledging brings the deadline forward to now.
change_apply instance_interrupt, instance_cancel_notices, instance_acknowledge;
// load balancers (sim/load_balancer.c, …)
change_apply load_balancer_create, load_balancer_update, load_balancer_delete,
    load_balancer_add_listener, load_balancer_remove_listener;
change_apply target_pool_create, target_pool_update, target_pool_delete, target_pool_add_targets,
    target_pool_remove_target;
// of chaos: no request does that
change_apply target_pool_fail_target, target_pool_heal_target;
change_apply address_create, address_update, address_delete;
change_apply route_create, route_update, route_delete;
// kind clusters (sim/cluster.c); what a backend has seen and done (sim/cluster_report.c)
change_apply cluster_create, cluster_delete, cluster_observe, effect_observe;
// catalogue (sim/catalog.c), projects and tokens (sim/project.c)
change_apply zone_put, zone_delete, instance_type_put, instance_type_delete, latency_put,
    latency_delete;
change_apply project_create, project_update, project_delete, project_create_token;
// quotas and rate limits of a project (sim/quota.c); `id` is the project's name
change_apply quota_put, quota_update, quota_delete;
change_apply chaos_start, chaos_stop, chaos_delete;        // sim/chaos_ops.c
change_apply scenario_run, scenario_stop, scenario_delete; // sim/scenario_ops.c

// fault rules (sim/fault_ops.c); c->project 0: of all projects
change_apply fault_create, fault_update, fault_delete, faults_clear;

// For the operations: ERROR_PRECONDITION unless c->if_match is 0 or the resource's revision.
int change_check_match(const struct change *c, const struct resource *r, struct error *err);
// Leaves the record's document, revision and id in the change as its answer.
void change_answer(struct txn *t, struct change *c, const struct resource *r);

#endif
