#include "cli/spec.h"

// Tables, a row to a few lines.
// clang-format off

#define INSTANCE_STATES "pending,running,stopping,stopped,rebooting,terminating,terminated,error"
#define LB_STATES "provisioning,active,updating,deleting,deleted,error"
#define ROUTE_STATES "pending,active,blackhole,deleting,deleted"

#define AGE {"AGE", "created_at", COLUMN_AGE, false, NULL}
#define TAGS {"TAGS", "tags", COLUMN_TAGS, true, NULL}
#define REVISION {"REVISION", "revision", COLUMN_TEXT, true, NULL}
#define TEXT(header, path) {header, path, COLUMN_TEXT, false, NULL}
#define WIDE(header, path) {header, path, COLUMN_TEXT, true, NULL}
#define END {NULL, NULL, COLUMN_TEXT, false, NULL}

static const struct column instance_columns[] = {
    TEXT("NAME", "name"),
    TEXT("ID", "id"),
    TEXT("STATE", "state"),
    TEXT("ZONE", "zone"),
    TEXT("TYPE", "type"),
    {"INTERNAL", "addresses", COLUMN_ADDRESS, false, "internal"},
    {"EXTERNAL", "addresses", COLUMN_ADDRESS, false, "external"},
    AGE,
    WIDE("LIFECYCLE", "lifecycle"),
    WIDE("BACKEND", "backend"),
    WIDE("CLUSTER", "container.cluster"),
    WIDE("REASON", "state_reason.code"),
    WIDE("NEXT", "transition_at"),
    {"NOTICES", "notices", COLUMN_LIST, true, "kind=state"},
    REVISION,
    TAGS,
    END};

static const struct column lb_columns[] = {
    TEXT("NAME", "name"),
    TEXT("ID", "id"),
    TEXT("STATE", "state"),
    {"ADDRESSES", "addresses", COLUMN_ADDRESS, false, NULL},
    {"LISTENERS", "listeners", COLUMN_LIST, false, "protocol/port>target_port"},
    AGE,
    WIDE("SCHEME", "scheme"),
    WIDE("HOSTNAME", "hostname"),
    {"SOURCES", "source_ranges", COLUMN_LIST, true, NULL},
    WIDE("REASON", "state_reason.code"),
    REVISION,
    TAGS,
    END};

static const struct column pool_columns[] = {
    TEXT("NAME", "name"),
    TEXT("ID", "id"),
    {"TARGETS", "targets", COLUMN_COUNT, false, NULL},
    {"HEALTHY", "targets", COLUMN_COUNT, false, "health=healthy"},
    TEXT("CHECK", "health_check.protocol"),
    WIDE("CHECK-PORT", "health_check.port"),
    AGE,
    {"MEMBERS", "targets", COLUMN_LIST, true, "instance_id|address=health"},
    REVISION,
    TAGS,
    END};

static const struct column address_columns[] = {
    TEXT("NAME", "name"),
    TEXT("ID", "id"),
    TEXT("ADDRESS", "address"),
    TEXT("FAMILY", "family"),
    TEXT("SCHEME", "scheme"),
    TEXT("USED-BY", "load_balancer_id"),
    AGE,
    REVISION,
    TAGS,
    END};

static const struct column route_columns[] = {
    TEXT("NAME", "name"),
    TEXT("ID", "id"),
    TEXT("STATE", "state"),
    TEXT("DESTINATION", "destination_cidr"),
    {"NEXT-HOP", "next_hop", COLUMN_LIST, false, "instance_id|address"},
    TEXT("NETWORK", "network"),
    AGE,
    REVISION,
    TAGS,
    END};

static const struct column zone_columns[] = {TEXT("NAME", "name"), TEXT("REGION", "region"),
                                             TEXT("STATE", "state"), {"CAPACITY", "capacity", COLUMN_TAGS, true, NULL},
                                             WIDE("TOTAL", "capacity_total"), REVISION, END};

static const struct column region_columns[] = {
    TEXT("NAME", "name"), {"ZONES", "zones", COLUMN_LIST, false, NULL}, END};

static const struct column type_columns[] = {
    TEXT("NAME", "name"),         TEXT("CPUS", "cpus"), TEXT("MEMORY-MIB", "memory_mib"),
    TEXT("MAX-PODS", "max_pods"), REVISION,             END};

static const struct column project_columns[] = {
    TEXT("NAME", "name"), TEXT("ID", "id"), AGE, TEXT("EXPIRES", "expires_at"), REVISION, END};

static const struct column project_made_columns[] = {
    TEXT("NAME", "name"), TEXT("ID", "id"), TEXT("EXPIRES", "expires_at"), TEXT("TOKEN", "token"), END};

static const struct column token_columns[] = {TEXT("TOKEN", "token"), TEXT("SCOPE", "scope"),
                                              TEXT("PROJECT", "project"), END};

static const struct column latency_columns[] = {TEXT("TRANSITION", "transition"),
                                                TEXT("DISTRIBUTION", "distribution"),
                                                TEXT("VALUE", "value"),
                                                TEXT("MIN", "min"),
                                                TEXT("MAX", "max"),
                                                TEXT("MEAN", "mean"),
                                                TEXT("STDDEV", "stddev"),
                                                REVISION,
                                                END};

static const struct column event_columns[] = {
    TEXT("REVISION", "revision"),     TEXT("TIME", "time"),
    TEXT("KIND", "kind"),             TEXT("TYPE", "type"),
    TEXT("ID", "id"),                 TEXT("NAME", "document.name"),
    TEXT("STATE", "document.state"),  TEXT("CAUSE", "cause.type"),
    WIDE("OPERATION", "cause.operation"), WIDE("PROJECT", "project"),
    END};

static const struct column fault_columns[] = {
    TEXT("NAME", "name"),
    TEXT("ID", "id"),
    {"OPERATIONS", "match.operations", COLUMN_LIST, false, NULL},
    {"EFFECT", "effect", COLUMN_NAMED, false, NULL},
    TEXT("ENABLED", "enabled"),
    TEXT("MATCHED", "stats.matched"),
    TEXT("FIRED", "stats.fired"),
    TEXT("LEFT", "stats.remaining"),
    AGE,
    WIDE("PROJECT", "project"),
    WIDE("PROBABILITY", "when.probability"),
    WIDE("UNTIL", "when.until"),
    WIDE("LAST-FIRED", "stats.last_fired_at"),
    REVISION,
    END};

static const struct column fault_stats_columns[] = {
    TEXT("MATCHED", "matched"), TEXT("FIRED", "fired"), TEXT("LEFT", "remaining"),
    TEXT("LAST-FIRED", "last_fired_at"), END};

static const struct column cluster_columns[] = {
    TEXT("NAME", "name"),
    TEXT("STATE", "state"),
    TEXT("TERMINATE", "terminate"),
    TEXT("SUBNET", "subnet_v4"),
    AGE,
    WIDE("SUBNET6", "subnet_v6"),
    WIDE("ROUTES", "routes"),
    WIDE("REASON", "state_reason.message"),
    REVISION,
    END};
static const struct column scenario_columns[] = {
    TEXT("NAME", "name"), TEXT("ID", "id"), TEXT("STATE", "state"),
    {"STEPS", "steps", COLUMN_COUNT, false, NULL},
    {"DONE", "steps", COLUMN_COUNT, false, "state=succeeded"}, TEXT("NEXT", "transition_at"), AGE,
    WIDE("SEED", "seed"), WIDE("REASON", "state_reason.message"), REVISION, END};

static const struct column step_columns[] = {
    TEXT("STEP", "name"), TEXT("LINE", "line"), TEXT("TRIGGER", "trigger"), TEXT("STATE", "state"),
    TEXT("FIRED", "fired"), TEXT("AFFECTED", "affected"), TEXT("STARTED", "started_at"),
    TEXT("ENDED", "ended_at"), TEXT("DUE", "due_at"), TEXT("ERROR", "error.message"), END};

static const struct column clock_columns[] = {TEXT("NOW", "now"), TEXT("MODE", "mode"),
                                              TEXT("SCALE", "scale"), TEXT("FROZEN", "frozen"),
                                              TEXT("NEXT-DEADLINE", "next_deadline"), END};

static const struct column advanced_columns[] = {TEXT("NOW", "clock.now"), TEXT("FIRED", "fired"),
                                                 TEXT("MODE", "clock.mode"),
                                                 TEXT("NEXT-DEADLINE", "clock.next_deadline"), END};

static const struct column quota_columns[] = {
    TEXT("QUOTA", "name"), TEXT("USED", "used"),   TEXT("LIMIT", "limit"), TEXT("LEFT", "remaining"),
    TEXT("PER-SECOND", "rate"), TEXT("RESET", "reset_seconds"), END};

static const struct column capacity_columns[] = {TEXT("TYPE", "type"), TEXT("USED", "used"),
                                                 TEXT("LIMIT", "limit"),
                                                 TEXT("LEFT", "remaining"), END};

static const struct column calls_columns[] = {
    TEXT("TIME", "wall_time"),       TEXT("OPERATION", "operation"), TEXT("STATUS", "status"),
    TEXT("SECONDS", "latency_seconds"), TEXT("CALLER", "caller.user_agent"),
    TEXT("PATH", "path"),            TEXT("FAULT", "fault"),         WIDE("METHOD", "method"),
    WIDE("PROJECT", "caller.project"), WIDE("SCOPE", "caller.scope"), WIDE("TOKEN", "caller.token_id"),
    WIDE("CLOUD-TIME", "time"),      WIDE("REQUEST", "request_id"),  END};

static const struct column call_counter_columns[] = {
    TEXT("CALLS", "count"),    TEXT("OPERATION", "operation"),      TEXT("CALLER", "caller.user_agent"),
    TEXT("2XX", "2xx"),        TEXT("3XX", "3xx"),                  TEXT("4XX", "4xx"),
    TEXT("5XX", "5xx"),        TEXT("NONE", "none"),                TEXT("AVERAGE", "average"),
    TEXT("LONGEST", "longest"), WIDE("PROJECT", "caller.project"),  WIDE("SCOPE", "caller.scope"),
    WIDE("TOKEN", "caller.token_id"), END};
static const struct column snapshot_columns[] = {
    TEXT("REVISION", "revision"), TEXT("EPOCH", "epoch"), TEXT("SEED", "seed"),
    TEXT("NOW", "clock.now"), TEXT("MODE", "clock.mode"),
    TEXT("INSTANCES", "resources.instance"), TEXT("EVENTS", "events"),
    WIDE("SCHEMA", "schema_version"), WIDE("LBS", "resources.load_balancer"),
    WIDE("ROUTES", "resources.route"), END};

const struct kind kind_none = {.noun = ""};
const struct kind kind_instance = {
    "instance", "instances", "virtual machines", "instance", "/v1/instances",
    "id", INSTANCE_STATES, instance_columns};
const struct kind kind_lb = {"lb", "load-balancer", "load balancers and their listeners",
                             "load_balancer", "/v1/load-balancers", "id", LB_STATES, lb_columns};
const struct kind kind_pool = {"pool", "target-pool", "target pools that listeners forward to",
                               "target_pool", "/v1/target-pools", "id", NULL, pool_columns};
const struct kind kind_address = {"address", "addresses", "reserved addresses", "address",
                                  "/v1/addresses", "id", NULL, address_columns};
const struct kind kind_route = {"route", "routes", "routes of a network", "route", "/v1/routes",
                                "id", ROUTE_STATES, route_columns};
const struct kind kind_zone = {"zone", "zones", "zones, and taking them down", "zone", "/v1/zones",
                               "name", "available,unavailable", zone_columns};
const struct kind kind_region = {"region", "regions", "regions", NULL, "/v1/regions",
                                 "name", NULL, region_columns};
const struct kind kind_type = {"type", "types", "instance types", "instance_type",
                               "/v1/instance-types", "name", NULL, type_columns};
const struct kind kind_project = {"project", "projects", "projects (tenants)", "project",
                                  "/sim/v1/projects", "name", NULL, project_columns};
const struct kind kind_project_made = {"", NULL, NULL, NULL, "/sim/v1/projects",
                                       "name", NULL, project_made_columns};
const struct kind kind_token = {"token", "tokens", "API tokens of a project", NULL, NULL,
                                "token", NULL, token_columns};
const struct kind kind_latency = {"latency", "latencies", "how long transitions take", "latency",
                                  "/sim/v1/latencies", "transition", NULL, latency_columns};
const struct kind kind_event = {"event", NULL, "what happened, as a list or as it happens", NULL,
                                "/v1/events", "revision", NULL, event_columns};
const struct kind kind_clock = {"clock", NULL, "the cloud's time", "clock", "/sim/v1/clock",
                                "now", NULL, clock_columns};
const struct kind kind_fault = {"fault", "faults", "fault rules: what goes wrong, when, for whom",
                                "fault", "/sim/v1/faults", "id", NULL, fault_columns};
const struct kind kind_fault_stats = {"", NULL, NULL, NULL, NULL, "fired", NULL,
                                      fault_stats_columns};
const struct kind kind_cluster = {"cluster", "clusters", "kind clusters whose nodes are instances",
                                  "cluster", "/sim/v1/clusters", "name",
                                  "waiting,active,unreachable", cluster_columns};
const struct kind kind_scenario = {
    "scenario", "scenarios", "scenario files: what is to happen to the cloud, in its time",
    "scenario", "/sim/v1/scenarios", "id", "running,succeeded,failed,stopped", scenario_columns};
static const struct column chaos_columns[] = {
    TEXT("NAME", "name"), TEXT("ID", "id"), TEXT("STATE", "state"), TEXT("SEED", "seed"),
    TEXT("DOWN", "down"), TEXT("LAST", "last.action"), TEXT("OUTCOME", "last.outcome"),
    TEXT("NUMBER", "last.number"), TEXT("NEXT", "next_at"), AGE, WIDE("VICTIM", "last.instance_id"),
    WIDE("ZONE", "last.zone"), WIDE("WHY", "last.message"), REVISION, END};
static const struct column chaos_profile_columns[] = {
    TEXT("NAME", "name"), TEXT("DESCRIPTION", "description"), END};
const struct kind kind_chaos = {"chaos", NULL, "misfortunes at random times", "chaos",
                                "/sim/v1/chaos", "id", "running,stopped,deleting", chaos_columns};
const struct kind kind_chaos_profile = {"", NULL, NULL, NULL, "/sim/v1/chaos-profiles", "name",
                                        NULL, chaos_profile_columns};
const struct kind kind_step = {"", NULL, NULL, NULL, NULL, "name", NULL, step_columns};
const struct kind kind_advanced = {"", NULL, NULL, NULL, "/sim/v1/clock/advance",
                                   "fired", NULL, advanced_columns};
static const struct column state_columns[] = {TEXT("REVISION", "revision"), TEXT("EPOCH", "epoch"),
                                              TEXT("SEED", "seed"), TEXT("NOW", "clock.now"),
                                              TEXT("MODE", "clock.mode"), END};

static const struct column digest_columns[] = {TEXT("SHA256", "sha256"), TEXT("REVISION", "revision"),
                                               TEXT("COUNT", "count"), END};

static const struct column record_columns[] = {TEXT("STATE", "state"), TEXT("LINES", "lines"), END};

static const struct column replayed_columns[] = {
    TEXT("REVISION", "revision"), TEXT("APPLIED", "applied"), TEXT("LINES", "lines"), END};

const struct kind kind_record = {"record", NULL, "recordings of what is asked of the cloud", NULL,
                                 "/sim/v1/recording", "state", NULL, record_columns};
const struct kind kind_replayed = {"", NULL, NULL, NULL, NULL, "revision", NULL, replayed_columns};
const struct kind kind_digest = {"", NULL, NULL, NULL, NULL, "sha256", NULL, digest_columns};
const struct kind kind_replaced = {"", NULL, NULL, NULL, NULL, "revision", NULL, state_columns};
const struct kind kind_snapshot = {"snapshot", NULL, "the whole cloud as one file", NULL,
                                   "/sim/v1/snapshot", "revision", NULL, snapshot_columns};

const struct kind kind_calls = {"calls", "call", "who called what, and how often", NULL,
                                "/v1/calls", "request_id", NULL, calls_columns};
const struct kind kind_call_counter = {"", NULL, NULL, NULL, "/v1/calls/counters",
                                       "operation", NULL, call_counter_columns};

const struct kind kind_quota = {"quota", "quotas", "how much a project may have, and how often it may ask",
                                "quota", "/v1/quotas", "name", NULL, quota_columns};

const struct kind kind_capacity = {"", NULL, NULL, NULL, "/sim/v1/zones",
                                   "type", NULL, capacity_columns};

const struct kind *const spec_kinds[] = {
    &kind_instance, &kind_lb,      &kind_pool,  &kind_address, &kind_route, &kind_zone,  &kind_region,
    &kind_type,     &kind_project, &kind_token, &kind_latency, &kind_event, &kind_clock,
    &kind_calls,    &kind_fault,   &kind_cluster, &kind_snapshot, &kind_record,
    &kind_quota,    &kind_scenario, &kind_chaos, NULL};
