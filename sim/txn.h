// One change in the making: everything a change needs to read and write the cloud. Internal to
// sim/.
//
// txn_put and txn_delete are the funnel: whatever changes, for whatever reason, passes here and
// nowhere else. They give it its revision, write its document, row, tags, references and event in
// the change's transaction, log one line, and keep the event for publication after the commit.
#ifndef SIM_TXN_H
#define SIM_TXN_H

#include "sim/records.h"

struct cloud;

struct txn {
    struct cloud *cloud;
    struct store *store;
    struct arena *arena; // lives until the change has been committed and answered
    int64_t now_ns;      // cloud time of the change
    enum cause_type cause;
    const char *operation;    // operation id or transition; may be NULL
    int64_t project;          // of the caller
    const char *project_name; // of the caller
    uint32_t draws;           // of randomness so far, so that each differs
};

// Loads a record by id; ERROR_NOT_FOUND names kind and id. `project` 0: any. *out is in txn->arena.
int txn_load(struct txn *t, enum kind kind, int64_t project, const char *id, struct resource **out,
             struct error *err);
// As txn_load, for three-way callers: 1 found, 0 not, negative error.
int txn_find(struct txn *t, enum kind kind, int64_t project, const char *id, struct resource **out,
             struct error *err);

// A new record of the kind, zeroed, with created_ns, and the project of the caller when
// `in_project`. `id` NULL: made from the next revision, so write it before making another of the
// kind.
struct resource *txn_new(struct txn *t, enum kind kind, bool in_project, const char *id);

// A new id, made from the next revision, in the arena: for what is part of the record that is
// written at that revision.
const char *txn_id(struct txn *t, const char *prefix);

// Writes a record: created when its seq is 0, updated otherwise.
int txn_put(struct txn *t, struct resource *r, struct error *err);
// As txn_put, with another type of event: EVENT_FIRED.
int txn_put_as(struct txn *t, struct resource *r, enum event_type type, struct error *err);
// Removes it; the event carries the record as it is now as its last document.
int txn_delete(struct txn *t, struct resource *r, struct error *err);

// ERROR_EXISTS (field "name") when another resource of the kind in the project has the name.
// `dead`: mask of states in which a resource does not hold its name any more.
int txn_name_free(struct txn *t, const struct resource *r, const char *name, uint32_t dead,
                  struct error *err);

// How long the named timed transition ("instance.pending") takes this time; drawn from its latency.
// 0 means: not timed, pass through within this change.
int64_t txn_latency(struct txn *t, const char *transition);

// A change of the clock (clock_change_new) cannot be made inside a transaction: it is applied after
// this one's batch, in its turn. Takes it.
struct change;
void txn_defer_clock(struct txn *t, struct change *c);

// Address pools (sim/pools.c): takes the next free address of a pool for `owner_id`.
// ERROR_EXHAUSTED names the pool.
enum pool {
    POOL_INTERNAL_V4,
    POOL_INTERNAL_V6,
    POOL_EXTERNAL_V4,
    POOL_EXTERNAL_V6,
    POOL_LB_V4,
    POOL_LB_V6,
    POOL_COUNT
};
int txn_ip_allocate(struct txn *t, enum pool pool, const char *owner_id, struct ip *out,
                    struct error *err);
// Claims this very address; ERROR_IN_USE with `field` when it is taken.
int txn_ip_claim(struct txn *t, const struct ip *ip, const char *owner_id, const char *field,
                 struct error *err);
int txn_ip_release(struct txn *t, const struct ip *ip, const char *owner_id, struct error *err);
const struct cidr *txn_pool_cidr(struct txn *t, enum pool pool); // NULL: pool not configured

// An instance has changed state or is gone: routes and target pools that refer to it follow. Called
// by the instance operations after their txn_put; implemented by routes and pools.
int route_instance_changed(struct txn *t, const struct instance *i, struct error *err);
int target_pool_instance_changed(struct txn *t, const struct instance *i, struct error *err);

const struct kind_ops *kind_ops_of(enum kind kind);
extern const struct kind_ops instance_kind, load_balancer_kind, target_pool_kind, address_kind,
    route_kind, zone_kind, instance_type_kind, latency_kind, project_kind, fault_kind, cluster_kind;
extern const struct kind_ops quota_kind, scenario_kind, chaos_kind;

// Removes a fault rule (sim/fault_ops.c).
int fault_remove(struct txn *t, struct resource *r, struct error *err);

// Tag map changes, shared by all kinds. Sorted, refused when over 50.
int resource_tags_patch(struct txn *t, struct resource *r, const struct tag_patch *patch,
                        size_t count, struct error *err);

// Whether a fault rule keeps its transition from ending.
bool resource_held(const struct resource *r);

// Encoding shared by the documents.
void encode_head(const struct resource *r, struct json_writer *w);  // id, project, name
void encode_state(const struct resource *r, struct json_writer *w); // state, state_reason
// distribution, and the durations that it is made of
void encode_distribution(const struct distribution *d, struct json_writer *w);
void encode_tail(const struct resource *r, struct json_writer *w); // tags … revision

#endif
