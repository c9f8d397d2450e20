#include "api/bodies.h"
#include "api/bodies_scenario.h"
#include "api/endpoint.h"
#include "api/handlers.h"

#define PAGED (QUERY_LIMIT | QUERY_PAGE_TOKEN)
#define CALLS (QUERY_CALLER | QUERY_OPERATION | QUERY_STATUS | QUERY_SINCE_TIME)
#define RESOURCE (OF_PROJECT | TAKES_IF_MATCH)
#define ACTION (RESOURCE | TAKES_IDEMPOTENCY_KEY)
#define CREATE (OF_PROJECT | TAKES_IDEMPOTENCY_KEY | ANSWERS_LOCATION)

// reads: method is GET, status 200
#define READ(path_, operation_, access_, flags_, query_, kind_, handle_)                          \
    {                                                                                             \
        .method = METHOD_GET, .path = (path_), .operation = (operation_), .access = (access_),    \
        .status = 200, .flags = (flags_), .query = (query_), .handle = (handle_), .kind = (kind_) \
    }
#define LIST(path_, operation_, kind_, query_) \
    READ(path_, operation_, ACCESS_CLOUD, OF_PROJECT, PAGED | (query_), kind_, handle_list)
#define GET(path_, operation_, kind_) \
    READ(path_, operation_, ACCESS_CLOUD, OF_PROJECT, 0, kind_, handle_get)
#define PUBLIC(path_, operation_, handle_) \
    READ(path_, operation_, ACCESS_PUBLIC, 0, 0, KIND_COUNT, handle_)

#define CHANGE(method_, path_, operation_, access_, status_, flags_, kind_, apply_, body_, \
               handle_)                                                                    \
    {                                                                                      \
        .method = METHOD_##method_, .path = (path_), .operation = (operation_),            \
        .access = (access_), .status = (status_), .flags = (flags_), .handle = (handle_),  \
        .kind = (kind_), .apply = (apply_), .body = (body_)                                \
    }
#define CLOUD(method_, path_, operation_, status_, flags_, kind_, apply_, body_)            \
    CHANGE(method_, path_, operation_, ACCESS_CLOUD, status_, flags_, kind_, apply_, body_, \
           handle_change)
#define SIM(method_, path_, operation_, status_, flags_, kind_, apply_, body_)            \
    CHANGE(method_, path_, operation_, ACCESS_SIM, status_, flags_, kind_, apply_, body_, \
           handle_change)
#define CLOCK(method_, path_, operation_, body_, handle_) \
    CHANGE(method_, path_, operation_, ACCESS_SIM, 200, 0, KIND_COUNT, NULL, body_, handle_)

const struct endpoint endpoints[] = {
    // instances
    LIST("/v1/instances", "instances.list", KIND_INSTANCE,
         QUERY_NAME | QUERY_ZONE | QUERY_STATE | QUERY_TYPE | QUERY_LIFECYCLE | QUERY_TAGS),
    CLOUD(POST, "/v1/instances", "instances.create", 201, CREATE, KIND_INSTANCE, instance_create,
          &body_instance_create),
    GET("/v1/instances/{id}", "instances.get", KIND_INSTANCE),
    CLOUD(PATCH, "/v1/instances/{id}", "instances.update", 200, RESOURCE, KIND_INSTANCE,
          instance_update, &body_instance_update),
    CLOUD(DELETE, "/v1/instances/{id}", "instances.delete", 202, RESOURCE, KIND_INSTANCE,
          instance_terminate, NULL),
    CLOUD(POST, "/v1/instances/{id}/start", "instances.start", 202, ACTION, KIND_INSTANCE,
          instance_start, NULL),
    CLOUD(POST, "/v1/instances/{id}/stop", "instances.stop", 202, ACTION, KIND_INSTANCE,
          instance_stop, &body_instance_action),
    CLOUD(POST, "/v1/instances/{id}/reboot", "instances.reboot", 202, ACTION, KIND_INSTANCE,
          instance_reboot, NULL),
    CLOUD(POST, "/v1/instances/{id}/terminate", "instances.terminate", 202, ACTION, KIND_INSTANCE,
          instance_terminate, &body_instance_action),

    // load balancers
    LIST("/v1/load-balancers", "load_balancers.list", KIND_LOAD_BALANCER,
         QUERY_NAME | QUERY_STATE | QUERY_TAGS),
    CLOUD(POST, "/v1/load-balancers", "load_balancers.create", 201, CREATE, KIND_LOAD_BALANCER,
          load_balancer_create, &body_load_balancer_create),
    GET("/v1/load-balancers/{id}", "load_balancers.get", KIND_LOAD_BALANCER),
    CLOUD(PATCH, "/v1/load-balancers/{id}", "load_balancers.update", 200, RESOURCE,
          KIND_LOAD_BALANCER, load_balancer_update, &body_load_balancer_update),
    CLOUD(DELETE, "/v1/load-balancers/{id}", "load_balancers.delete", 202, RESOURCE,
          KIND_LOAD_BALANCER, load_balancer_delete, NULL),
    CLOUD(POST, "/v1/load-balancers/{id}/listeners", "load_balancers.add_listener", 200, ACTION,
          KIND_LOAD_BALANCER, load_balancer_add_listener, &body_listener_add),
    CHANGE(DELETE, "/v1/load-balancers/{id}/listeners/{listener}", "load_balancers.remove_listener",
           ACCESS_CLOUD, 200, RESOURCE, KIND_LOAD_BALANCER, load_balancer_remove_listener, NULL,
           handle_remove_listener),

    // target pools
    LIST("/v1/target-pools", "target_pools.list", KIND_TARGET_POOL, QUERY_NAME | QUERY_TAGS),
    CLOUD(POST, "/v1/target-pools", "target_pools.create", 201, CREATE, KIND_TARGET_POOL,
          target_pool_create, &body_target_pool_create),
    GET("/v1/target-pools/{id}", "target_pools.get", KIND_TARGET_POOL),
    CLOUD(PATCH, "/v1/target-pools/{id}", "target_pools.update", 200, RESOURCE, KIND_TARGET_POOL,
          target_pool_update, &body_target_pool_update),
    CLOUD(DELETE, "/v1/target-pools/{id}", "target_pools.delete", 204, RESOURCE, KIND_TARGET_POOL,
          target_pool_delete, NULL),
    CLOUD(POST, "/v1/target-pools/{id}/targets", "target_pools.add_targets", 200, ACTION,
          KIND_TARGET_POOL, target_pool_add_targets, &body_targets_add),
    CHANGE(DELETE, "/v1/target-pools/{id}/targets/{target}", "target_pools.remove_target",
           ACCESS_CLOUD, 200, RESOURCE, KIND_TARGET_POOL, target_pool_remove_target, NULL,
           handle_target),

    // reserved addresses
    LIST("/v1/addresses", "addresses.list", KIND_ADDRESS, QUERY_NAME | QUERY_TAGS),
    CLOUD(POST, "/v1/addresses", "addresses.create", 201, CREATE, KIND_ADDRESS, address_create,
          &body_address_create),
    GET("/v1/addresses/{id}", "addresses.get", KIND_ADDRESS),
    CLOUD(PATCH, "/v1/addresses/{id}", "addresses.update", 200, RESOURCE, KIND_ADDRESS,
          address_update, &body_address_update),
    CLOUD(DELETE, "/v1/addresses/{id}", "addresses.delete", 204, RESOURCE, KIND_ADDRESS,
          address_delete, NULL),

    // routes
    LIST("/v1/routes", "routes.list", KIND_ROUTE,
         QUERY_NAME | QUERY_NETWORK | QUERY_STATE | QUERY_TAGS),
    CLOUD(POST, "/v1/routes", "routes.create", 201, CREATE, KIND_ROUTE, route_create,
          &body_route_create),
    GET("/v1/routes/{id}", "routes.get", KIND_ROUTE),
    CLOUD(PATCH, "/v1/routes/{id}", "routes.update", 200, RESOURCE, KIND_ROUTE, route_update,
          &body_route_update),
    CLOUD(DELETE, "/v1/routes/{id}", "routes.delete", 202, RESOURCE, KIND_ROUTE, route_delete,
          NULL),

    // catalogue, project, events
    LIST("/v1/zones", "zones.list", KIND_ZONE, 0),
    GET("/v1/zones/{name}", "zones.get", KIND_ZONE),
    READ("/v1/regions", "regions.list", ACCESS_CLOUD, OF_PROJECT, 0, KIND_ZONE, handle_regions),
    LIST("/v1/instance-types", "instance_types.list", KIND_INSTANCE_TYPE, 0),
    GET("/v1/instance-types/{name}", "instance_types.get", KIND_INSTANCE_TYPE),
    READ("/v1/project", "project.get", ACCESS_CLOUD, OF_PROJECT, 0, KIND_PROJECT,
         handle_own_project),
    READ("/v1/events", "events.list", ACCESS_CLOUD, OF_PROJECT,
         QUERY_SINCE | QUERY_LIMIT | QUERY_KIND, KIND_COUNT, handle_events),

    READ("/v1/quotas", "quotas.get_own", ACCESS_CLOUD, OF_PROJECT | UNMETERED, 0, KIND_COUNT,
         handle_own_quotas),
    READ("/v1/calls", "calls.list_own", ACCESS_CLOUD, OF_PROJECT | UNMETERED, PAGED | CALLS,
         KIND_COUNT, handle_calls),
    READ("/v1/calls/counters", "calls.counters_own", ACCESS_CLOUD, OF_PROJECT | UNMETERED, CALLS,
         KIND_COUNT, handle_call_counters),

    // the hand of God
    READ("/sim/v1/calls", "calls.list", ACCESS_SIM, 0, PAGED | CALLS | QUERY_PROJECT, KIND_COUNT,
         handle_calls),
    READ("/sim/v1/calls/counters", "calls.counters", ACCESS_SIM, 0, CALLS | QUERY_PROJECT,
         KIND_COUNT, handle_call_counters),
    CHANGE(DELETE, "/sim/v1/calls/counters", "calls.reset", ACCESS_SIM, 204, 0, KIND_COUNT, NULL,
           NULL, handle_calls_reset),
    READ("/sim/v1/clock", "clock.get", ACCESS_SIM, 0, 0, KIND_COUNT, handle_clock_get),
    CLOCK(PATCH, "/sim/v1/clock", "clock.update", &body_clock_update, handle_clock_change),
    CLOCK(POST, "/sim/v1/clock/advance", "clock.advance", &body_clock_advance, handle_clock_change),
    CLOCK(POST, "/sim/v1/clock/freeze", "clock.freeze", NULL, handle_clock_freeze),
    CLOCK(POST, "/sim/v1/clock/resume", "clock.resume", NULL, handle_clock_resume),
    SIM(POST, "/sim/v1/instances/{id}/interrupt", "instances.interrupt", 202, ACTION, KIND_INSTANCE,
        instance_interrupt, &body_interrupt),
    SIM(DELETE, "/sim/v1/instances/{id}/interrupt", "instances.cancel_interrupt", 200, RESOURCE,
        KIND_INSTANCE, instance_cancel_notices, NULL),
    CHANGE(POST, "/sim/v1/target-pools/{id}/targets/{target}/fail", "target_pools.fail_target",
           ACCESS_SIM, 200, ACTION, KIND_TARGET_POOL, target_pool_fail_target, NULL, handle_target),
    CHANGE(POST, "/sim/v1/target-pools/{id}/targets/{target}/heal", "target_pools.heal_target",
           ACCESS_SIM, 200, ACTION, KIND_TARGET_POOL, target_pool_heal_target, NULL, handle_target),
    SIM(PUT, "/sim/v1/zones/{name}", "zones.put", 200, 0, KIND_ZONE, zone_put, &body_zone_put),
    SIM(DELETE, "/sim/v1/zones/{name}", "zones.delete", 204, 0, KIND_ZONE, zone_delete, NULL),
    READ("/sim/v1/zones/{name}/capacity", "zones.capacity", ACCESS_SIM, 0, 0, KIND_COUNT,
         handle_zone_capacity),
    SIM(PUT, "/sim/v1/instance-types/{name}", "instance_types.put", 200, 0, KIND_INSTANCE_TYPE,
        instance_type_put, &body_instance_type_put),
    SIM(DELETE, "/sim/v1/instance-types/{name}", "instance_types.delete", 204, 0,
        KIND_INSTANCE_TYPE, instance_type_delete, NULL),
    READ("/sim/v1/latencies", "latencies.list", ACCESS_SIM, 0, 0, KIND_LATENCY, handle_list),
    SIM(PUT, "/sim/v1/latencies/{transition}", "latencies.put", 200, 0, KIND_LATENCY, latency_put,
        &body_latency_put),
    SIM(DELETE, "/sim/v1/latencies/{transition}", "latencies.delete", 204, 0, KIND_LATENCY,
        latency_delete, NULL),
    // fault rules
    READ("/sim/v1/faults", "faults.list", ACCESS_SIM, 0, PAGED | QUERY_NAME | QUERY_PROJECT,
         KIND_FAULT, handle_list),
    CHANGE(POST, "/sim/v1/faults", "faults.create", ACCESS_SIM, 201,
           TAKES_IDEMPOTENCY_KEY | ANSWERS_LOCATION, KIND_FAULT, fault_create, &body_fault_create,
           handle_fault_create),
    {.method = METHOD_DELETE,
     .path = "/sim/v1/faults",
     .operation = "faults.clear",
     .access = ACCESS_SIM,
     .status = 204,
     .query = QUERY_PROJECT,
     .handle = handle_faults_clear,
     .kind = KIND_FAULT,
     .apply = faults_clear},
    READ("/sim/v1/faults/{id}", "faults.get", ACCESS_SIM, 0, 0, KIND_FAULT, handle_get),
    CHANGE(PATCH, "/sim/v1/faults/{id}", "faults.update", ACCESS_SIM, 200, TAKES_IF_MATCH,
           KIND_FAULT, fault_update, &body_fault_update, handle_fault_update),
    SIM(DELETE, "/sim/v1/faults/{id}", "faults.delete", 204, TAKES_IF_MATCH, KIND_FAULT,
        fault_delete, NULL),
    READ("/sim/v1/faults/{id}/stats", "faults.stats", ACCESS_SIM, 0, 0, KIND_FAULT,
         handle_fault_stats),

    READ("/sim/v1/projects", "projects.list", ACCESS_SIM, 0, PAGED, KIND_PROJECT, handle_list),
    CHANGE(POST, "/sim/v1/projects", "projects.create", ACCESS_SIM, 201, ANSWERS_LOCATION,
           KIND_PROJECT, project_create, &body_project_create, handle_create_project),
    SIM(PATCH, "/sim/v1/projects/{name}", "projects.update", 200, 0, KIND_PROJECT, project_update,
        &body_project_update),
    READ("/sim/v1/projects/{name}", "projects.get", ACCESS_SIM, 0, 0, KIND_PROJECT, handle_project),
    SIM(DELETE, "/sim/v1/projects/{name}", "projects.delete", 204, 0, KIND_PROJECT, project_delete,
        NULL),
    CHANGE(POST, "/sim/v1/projects/{name}/tokens", "projects.create_token", ACCESS_SIM, 201, 0,
           KIND_PROJECT, project_create_token, &body_token_create, handle_create_token),
    READ("/sim/v1/projects/{name}/quotas", "quotas.get", ACCESS_SIM, 0, 0, KIND_COUNT,
         handle_quotas),
    SIM(PUT, "/sim/v1/projects/{name}/quotas", "quotas.put", 200, 0, KIND_QUOTA, quota_put,
        &body_quotas_put),
    SIM(PATCH, "/sim/v1/projects/{name}/quotas", "quotas.update", 200, 0, KIND_QUOTA, quota_update,
        &body_quotas_update),
    SIM(DELETE, "/sim/v1/projects/{name}/quotas", "quotas.delete", 204, 0, KIND_QUOTA, quota_delete,
        NULL),

    READ("/sim/v1/clusters", "clusters.list", ACCESS_SIM, OF_PROJECT, PAGED, KIND_CLUSTER,
         handle_list),
    SIM(POST, "/sim/v1/clusters", "clusters.create", 201, OF_PROJECT | ANSWERS_LOCATION,
        KIND_CLUSTER, cluster_create, &body_cluster_create),
    READ("/sim/v1/clusters/{name}", "clusters.get", ACCESS_SIM, OF_PROJECT, 0, KIND_CLUSTER,
         handle_get),
    SIM(DELETE, "/sim/v1/clusters/{name}", "clusters.delete", 204, OF_PROJECT, KIND_CLUSTER,
        cluster_delete, NULL),
    // scenarios
    READ("/sim/v1/scenarios", "scenarios.list", ACCESS_SIM, OF_PROJECT,
         PAGED | QUERY_NAME | QUERY_STATE, KIND_SCENARIO, handle_list),
    SIM(POST, "/sim/v1/scenarios", "scenarios.run", 201, CREATE, KIND_SCENARIO, scenario_run,
        &body_scenario_run),
    CHANGE(POST, "/sim/v1/scenarios/validate", "scenarios.validate", ACCESS_SIM, 200, 0,
           KIND_SCENARIO, NULL, &body_scenario_validate, handle_scenario_validate),
    READ("/sim/v1/scenarios/{id}", "scenarios.get", ACCESS_SIM, OF_PROJECT, 0, KIND_SCENARIO,
         handle_get),
    SIM(POST, "/sim/v1/scenarios/{id}/stop", "scenarios.stop", 200, ACTION, KIND_SCENARIO,
        scenario_stop, NULL),
    SIM(DELETE, "/sim/v1/scenarios/{id}", "scenarios.delete", 204, RESOURCE, KIND_SCENARIO,
        scenario_delete, NULL),

    READ("/sim/v1/events/digest", "events.digest", ACCESS_SIM, 0, QUERY_SINCE | QUERY_UNTIL,
         KIND_COUNT, handle_events_digest),

    // the cloud as a whole
    READ("/sim/v1/snapshot", "snapshot.save", ACCESS_SIM, 0, 0, KIND_COUNT, handle_snapshot_save),
    CHANGE(PUT, "/sim/v1/snapshot", "snapshot.restore", ACCESS_SIM, 200, TAKES_FILE, KIND_COUNT,
           NULL, NULL, handle_snapshot_restore),
    CHANGE(POST, "/sim/v1/reset", "cloud.reset", ACCESS_SIM, 200, 0, KIND_COUNT, NULL, NULL,
           handle_reset),
    READ("/sim/v1/recording", "recording.get", ACCESS_SIM, 0, 0, KIND_COUNT, handle_record_status),
    CHANGE(POST, "/sim/v1/recording", "recording.start", ACCESS_SIM, 200, 0, KIND_COUNT, NULL, NULL,
           handle_record_start),
    CHANGE(DELETE, "/sim/v1/recording", "recording.stop", ACCESS_SIM, 200, 0, KIND_COUNT, NULL,
           NULL, handle_record_stop),
    READ("/sim/v1/recording/file", "recording.save", ACCESS_SIM, 0, 0, KIND_COUNT,
         handle_record_file),
    CHANGE(POST, "/sim/v1/replay", "recording.replay", ACCESS_SIM, 200, TAKES_FILE, KIND_COUNT,
           NULL, NULL, handle_replay),

    // chaos
    READ("/sim/v1/chaos", "chaos.list", ACCESS_SIM, OF_PROJECT, PAGED | QUERY_NAME | QUERY_STATE,
         KIND_CHAOS, handle_list),
    SIM(POST, "/sim/v1/chaos", "chaos.start", 201, CREATE, KIND_CHAOS, chaos_start,
        &body_chaos_start),
    READ("/sim/v1/chaos/{id}", "chaos.get", ACCESS_SIM, OF_PROJECT, 0, KIND_CHAOS, handle_get),
    SIM(POST, "/sim/v1/chaos/{id}/stop", "chaos.stop", 200, ACTION, KIND_CHAOS, chaos_stop, NULL),
    SIM(DELETE, "/sim/v1/chaos/{id}", "chaos.delete", 204, RESOURCE, KIND_CHAOS, chaos_delete,
        NULL),
    READ("/sim/v1/chaos-profiles", "chaos.profiles", ACCESS_SIM, 0, 0, KIND_COUNT,
         handle_chaos_profiles),

    // the server itself
    PUBLIC("/healthz", "meta.healthz", handle_healthz),
    PUBLIC("/readyz", "meta.readyz", handle_readyz),
    PUBLIC("/metrics", "meta.metrics", handle_metrics),
    PUBLIC("/openapi.json", "meta.openapi", handle_openapi),
};

const size_t endpoint_count = sizeof(endpoints) / sizeof(endpoints[0]);

bool endpoint_reads(const struct endpoint *e)
{
    return e->handle == handle_get || e->handle == handle_list;
}
