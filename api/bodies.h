// The request bodies of openapi.json as tables (api/json_in.h). Each fills the request of a struct
// change, or a struct clock_change, with its defaults.
#ifndef API_BODIES_H
#define API_BODIES_H

#include "api/json_in.h"

// into &change->request
extern const struct schema body_none; // no field at all
extern const struct schema body_instance_create, body_instance_update, body_instance_action;
extern const struct schema body_interrupt, body_cluster_create;
extern const struct schema body_load_balancer_create, body_load_balancer_update, body_listener_add;
extern const struct schema body_target_pool_create, body_target_pool_update, body_targets_add;
extern const struct schema body_address_create, body_address_update;
extern const struct schema body_route_create, body_route_update;
extern const struct schema body_zone_put, body_instance_type_put, body_latency_put;
extern const struct schema body_project_create, body_project_update, body_token_create;
extern const struct schema body_fault_create, body_fault_update;
extern const struct schema body_quotas_put, body_quotas_update;
extern const struct schema body_chaos_start;  // api/bodies_chaos.c
extern const struct schema body_scenario_run; // api/bodies_scenario.c
// into a struct clock_change
extern const struct schema body_clock_update, body_clock_advance;

// Shared by the files of bodies.
int parse_ip_text(struct json_in *in, const struct field *f, const json_t *value, char *object);
int parse_cidr_text(struct json_in *in, const struct field *f, const json_t *value, char *object);
int parse_family(struct json_in *in, const struct field *f, const json_t *value, char *object);
int parse_families(struct json_in *in, const struct field *f, const json_t *value, char *object);

#endif
