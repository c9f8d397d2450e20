// How the enumerations of sim/records.h are called in documents and requests. Each table is indexed
// by the enumeration and ends with NULL.
#ifndef SIM_NAMES_H
#define SIM_NAMES_H

extern const char *const lifecycle_names[];
extern const char *const backend_names[];
extern const char *const notice_kind_names[];
extern const char *const notice_action_names[];
extern const char *const notice_state_names[];
extern const char *const node_role_names[];
extern const char *const provision_names[];
extern const char *const terminate_policy_names[];
extern const char *const address_type_names[];
extern const char *const scheme_names[];
extern const char *const protocol_names[];
extern const char *const proxy_protocol_names[];
extern const char *const session_affinity_names[];
extern const char *const target_health_names[];
extern const char *const health_check_protocol_names[];

extern const char *const instance_state_names[];
extern const char *const load_balancer_state_names[];
extern const char *const route_state_names[];
extern const char *const cluster_state_names[];

#endif
