#include "sim/names.h"

#include "sim/records.h"

#include <stddef.h>

const char *const lifecycle_names[] = {"on-demand", "spot", NULL};
const char *const backend_names[] = {"none", "virtual-node", "docker", NULL};
const char *const notice_kind_names[] = {"spot", "rebalance", "maintenance", "preempt", NULL};
const char *const notice_action_names[] = {"none", "terminate", "stop", "reboot", NULL};
const char *const notice_state_names[] = {"scheduled", "started", "completed", "canceled", NULL};
const char *const node_role_names[] = {"worker", "control-plane", NULL};
const char *const provision_names[] = {"join", "adopt", NULL};
const char *const terminate_policy_names[] = {"remove", "stop", NULL};
const char *const address_type_names[] = {"internal",     "external", "internal-dns",
                                          "external-dns", "hostname", NULL};
const char *const scheme_names[] = {"internet-facing", "internal", NULL};
const char *const protocol_names[] = {"TCP", "UDP", NULL};
const char *const proxy_protocol_names[] = {"none", "v1", "v2", NULL};
const char *const session_affinity_names[] = {"none", "client-ip", NULL};
const char *const target_health_names[] = {"initial", "healthy", "unhealthy", "draining", NULL};
const char *const health_check_protocol_names[] = {"none", "TCP", "HTTP", NULL};

const char *const instance_state_names[] = {
    [INSTANCE_PENDING] = "pending",
    [INSTANCE_RUNNING] = "running",
    [INSTANCE_STOPPING] = "stopping",
    [INSTANCE_STOPPED] = "stopped",
    [INSTANCE_REBOOTING] = "rebooting",
    [INSTANCE_TERMINATING] = "terminating",
    [INSTANCE_TERMINATED] = "terminated",
    [INSTANCE_ERROR] = "error",
    [INSTANCE_STATES] = NULL,
};

const char *const load_balancer_state_names[] = {
    [LB_PROVISIONING] = "provisioning",
    [LB_ACTIVE] = "active",
    [LB_UPDATING] = "updating",
    [LB_DELETING] = "deleting",
    [LB_DELETED] = "deleted",
    [LB_ERROR] = "error",
    [LB_STATES] = NULL,
};

const char *const cluster_state_names[] = {
    [CLUSTER_WAITING] = "waiting",
    [CLUSTER_ACTIVE] = "active",
    [CLUSTER_UNREACHABLE] = "unreachable",
    [CLUSTER_STATES] = NULL,
};

const char *const route_state_names[] = {
    [ROUTE_PENDING] = "pending",   [ROUTE_ACTIVE] = "active",   [ROUTE_BLACKHOLE] = "blackhole",
    [ROUTE_DELETING] = "deleting", [ROUTE_DELETED] = "deleted", [ROUTE_STATES] = NULL,
};
