// What the cloud must be like: plain structs and linear searches, no store, no funnel, no tables of
// sim/. A change is applied to the model too, which says whether it must be accepted and which
// events must follow, in which order and with which documents; then the events that really came are
// held against that. So every step is checked in whole, and what the model holds is what a GET must
// give.
#ifndef TESTS_SIMULATION_MODEL_H
#define TESTS_SIMULATION_MODEL_H

#include "sim/cloud.h"

#include <jansson.h>
#include <stdbool.h>

#define NAME_SIZE 64
#define TAG_KEYS 3
#define IPS_MAX 8
#define TARGETS_OF_MODEL 24
#define LISTENERS_OF_MODEL 6
#define TRANSITIONS 12
#define TYPES 4
#define NOTICES_OF_MODEL 16
#define QUOTAS 5

extern const char *const tag_keys[TAG_KEYS];
extern const char *const type_names[TYPES]; // sorted

enum { // the order in which sim/latency.c numbers them: a draw depends on it
    T_PENDING,
    T_STOPPING,
    T_REBOOTING,
    T_TERMINATING,
    T_TERMINATED,
    T_LB_PROVISIONING,
    T_LB_UPDATING,
    T_LB_DELETING,
    T_INITIAL,
    T_DRAINING,
    T_ROUTE_PENDING,
    T_ROUTE_DELETING
};
extern const char *const transition_of[TRANSITIONS];

struct target_of_model {
    char key[NAME_SIZE]; // instance id or address
    bool is_address;
    enum target_health health;
    const char *reason; // static; NULL: none
    int64_t due;
};

struct shown_address { // of an instance, as in its document
    enum address_type type;
    char text[2 * NAME_SIZE + 16];
};

struct notice_of_model {
    char id[NAME_SIZE];
    enum notice_kind kind;
    enum notice_action action;
    enum notice_state state;
    int64_t deadline; // 0: none
};

struct listener_of_model {
    enum protocol protocol;
    int port, target_port;
    char pool[NAME_SIZE];
};

struct thing {
    enum kind kind;
    char id[NAME_SIZE], name[NAME_SIZE];
    char project_name[NAME_SIZE]; // empty: none
    int64_t project, seq, revision, created, due;
    int state;
    const char *tags[TAG_KEYS]; // static; NULL: not there
    char *document;             // as of its last event; what a GET gives
    size_t length;
    struct ip ips[IPS_MAX]; // claimed, each once; given back when an instance is terminated
    int ip_count;
    struct shown_address addresses[IPS_MAX]; // instance
    int address_count;
    int64_t state_due;                                // instance: of its state alone; 0: none
    struct notice_of_model notices[NOTICES_OF_MODEL]; // instance
    int notice_count;
    char zone[NAME_SIZE], type[NAME_SIZE];                    // instance; zone: region
    char network[NAME_SIZE], cidr[NAME_SIZE], hop[NAME_SIZE]; // route
    bool hop_is_address;                                      // route
    struct target_of_model targets[TARGETS_OF_MODEL];         // target pool
    int target_count;                                         //
    int interval_s;                                           //
    enum scheme scheme;                                       // load balancer, address
    struct listener_of_model listeners[LISTENERS_OF_MODEL];   // load balancer
    int listener_count, ranges;                               //
    char address_ids[2][NAME_SIZE];                           //
    int address_id_count;                                     //
    char user[NAME_SIZE];                                     // address: its balancer
    int cpus;                                                 // instance type
    int64_t memory_mib;                                       //
    struct distribution distribution;                         // latency
    int64_t limits[QUOTAS];                                   // quota, by kind; -1: none
    int64_t capacity[TYPES], total;                           // zone, by type_names; -1: no limit
};

struct things {
    struct thing **items; // in the order of their creation
    size_t count, capacity;
};

struct happening { // an event as it came
    int64_t revision;
    char *envelope;
    size_t length;
};

struct key_of_model {
    int64_t project, created;
    const char *operation;
    char key[8];
    uint64_t fingerprint;
};

#define HASHES 4096 // of the last events, to be compared after a restart
#define KEYS 64

struct model {
    uint64_t seed;
    int64_t now, revision;
    struct things things[KIND_COUNT];
    struct distribution latencies[TRANSITIONS];
    struct cidr pools[6];
    uint64_t pool_next[6];
    struct key_of_model keys[KEYS];
    size_t key_count;

    // Of the change or timer that is being applied.
    const char *cause;
    const char *operation; // NULL: none
    uint32_t draws;

    // Events that came and are not accounted for yet.
    struct happening *happenings;
    size_t happening_count, happening_capacity, at;

    uint64_t hashes[HASHES]; // of the event's envelope, by revision
    uint64_t digest;         // of all of them
    int64_t fired, accepted, refused;
};

// Says what is wrong with the cloud and ends the process.
_Noreturn void violated(const char *format, ...) __attribute__((format(printf, 1, 2)));

void model_init(struct model *m, uint64_t seed);
void model_fini(struct model *m);

// Fetches the events that came since m->revision.
void model_fetch(struct model *m, struct cloud *cloud);
// Takes over what a new database begins with.
void model_learn_catalogue(struct model *m, struct cloud *cloud);
// Applies a change; returns the code with which it must be answered.
enum error_code model_change(struct model *m, const struct change *c);
// Fires what is due by `to`, in order. Stops before what has not happened when `may_be_cut_short`.
void model_advance(struct model *m, int64_t to, bool may_be_cut_short);
// The event that ends an advance.
void model_clock_event(struct model *m, const char *operation);
uint64_t model_hash(const char *bytes, size_t length);
void model_all_accounted(const struct model *m);
int64_t model_next_due(const struct model *m); // 0: nothing is

// --- for the files of the model ---

struct thing *model_find(const struct model *m, enum kind kind, int64_t project, const char *id);
struct thing *model_new(struct model *m, enum kind kind, const struct change *c,
                        const char *prefix);
// Throws away what model_new made: it was refused.
void model_drop(struct thing *x);
// What is counted of a project, and of a zone (type NULL: of all types).
int64_t model_used(const struct model *m, int64_t project, enum kind kind);
int64_t model_placed(const struct model *m, const char *zone, const char *type);
// Whether `more` of the kind may be made by request; whether they find a place.
enum error_code model_quota_left(const struct model *m, int64_t project, enum kind kind,
                                 int64_t more);
enum error_code model_place_left(const struct model *m, const char *zone, const char *type,
                                 int64_t more);
bool model_name_taken(const struct model *m, const struct thing *x, const char *name);
bool model_holds_name(const struct thing *x);

// The event of x as it is now must come; x->seq 0: a new one, which joins the things.
void model_written(struct model *m, struct thing *x);
// Its last event must come; x is gone.
void model_deleted(struct model *m, struct thing *x);
// How long the transition takes this time.
int64_t model_draw(struct model *m, int transition);
// Moves x into the state, through whatever takes no time; true: it is gone.
bool model_enter(struct model *m, struct thing *x, int state);
int model_deadline_state(const struct thing *x); // in which its deadline ends; -1: gone

struct thing *model_owner_of_ip(const struct model *m, const struct ip *ip);
bool model_claim(struct model *m, struct thing *x, const struct ip *ip); // false: somebody has it
uint64_t model_free_ips(const struct model *m, int pool);
void model_allocate(struct model *m, struct thing *x, int pool); // one is free
enum error_code model_head(struct model *m, struct thing *x, const char *name,
                           const struct tags_spec *tags);
enum error_code model_patch_head(struct model *m, struct thing *x, const char *name,
                                 const struct tags_spec *tags, bool *changed);
enum error_code model_load(struct model *m, enum kind kind, const struct change *c,
                           struct thing **out);

// Notices of an instance.
void model_notices_follow(struct thing *x);               // it has entered its state
void model_notices_reschedule(struct thing *x);           // sets x->due
void model_notice_fire(struct model *m, struct thing *x); // one is due
void model_check_notices(const struct thing *x, json_t *document);
// Moves an instance, with all that follows.
void model_instance_move(struct model *m, struct thing *x, int state);

// Told when an instance has changed its state or is gone.
void model_routes_follow(struct model *m, const struct thing *instance);
void model_pools_follow(struct model *m, const struct thing *instance);
void model_instance_due(struct model *m, struct thing *x);
void model_route_due(struct model *m, struct thing *x);
void model_pool_due(struct model *m, struct thing *x);
void model_balancer_due(struct model *m, struct thing *x);
void model_project_due(struct model *m, struct thing *x);

// Of the documents: what the kind has beyond the common fields.
void model_check_instance(const struct thing *x, json_t *document);
void model_check_route(const struct thing *x, json_t *document);
void model_check_pool(const struct thing *x, json_t *document);
void model_check_balancer(const struct thing *x, json_t *document);
void model_check_address(const struct thing *x, json_t *document);
void model_check_catalogue(const struct thing *x, json_t *document);
void must_be(const struct thing *x, json_t *document, const char *key,
             const char *value); // NULL: absent
void must_be_time(const struct thing *x, json_t *document, const char *key,
                  int64_t ns); // 0: absent
void must_be_int(const struct thing *x, json_t *document, const char *key, int64_t value);

typedef enum error_code model_apply(struct model *m, const struct change *c);
model_apply model_instance_create, model_instance_update, model_instance_start, model_instance_stop,
    model_instance_reboot, model_instance_terminate, model_route_create, model_route_update,
    model_route_delete, model_pool_create, model_pool_update, model_pool_add, model_pool_remove,
    model_pool_delete, model_address_create, model_address_update, model_address_delete,
    model_balancer_create, model_balancer_update, model_balancer_add, model_balancer_remove,
    model_balancer_delete, model_zone_put, model_zone_delete, model_type_put, model_type_delete,
    model_latency_put, model_latency_delete, model_project_create, model_project_update,
    model_project_delete, model_quota_put, model_quota_update, model_quota_delete, model_interrupt,
    model_acknowledge, model_cancel_notices;

// Removes the project's quotas, if it has any.
void model_quota_drop(struct model *m, const struct thing *project);

#endif
