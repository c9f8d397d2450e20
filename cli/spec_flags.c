#include "cli/spec.h"

// Tables, a row to a few lines.
// clang-format off

#define END {.name = NULL}
#define INSTANCE_STATES "pending,running,stopping,stopped,rebooting,terminating,terminated,error"
#define EVENT_KINDS                                                                                \
    "instance,load_balancer,target_pool,address,route,zone,instance_type,project,latency,clock,"    \
    "fault,quota,scenario,chaos,cluster"

#define TAG_FILTER                                                                                 \
    {.name = "tag", .type = FLAG_TAG, .use = USE_QUERY, .repeat = true, .value = "KEY=VALUE",      \
     .help = "only with this tag; repeat it and all must match"}
#define TAG_SET                                                                                    \
    {.name = "tag", .type = FLAG_TAG, .use = USE_BODY, .repeat = true, .field = "tags",            \
     .value = "KEY=VALUE", .help = "set a tag (repeatable)"}
#define IP_FAMILY                                                                                  \
    {.name = "ip-family", .type = FLAG_CHOICE, .use = USE_BODY, .repeat = true,                    \
     .field = "ip_families", .value = "FAMILY", .choices = "ipv4,ipv6",                            \
     .help = "allocate an address of this family (repeatable; default ipv4)"}
#define LISTENER(text)                                                                             \
    {.name = "listener", .type = FLAG_LISTENER, .use = USE_BODY, .repeat = true,                   \
     .field = "listeners", .value = "SPEC", .help = text}
#define SOURCE_RANGE(text)                                                                         \
    {.name = "source-range", .type = FLAG_STRING, .use = USE_BODY, .repeat = true,                 \
     .field = "source_ranges", .value = "CIDR", .help = text}
#define SCHEME                                                                                     \
    {.name = "scheme", .type = FLAG_CHOICE, .use = USE_BODY, .field = "scheme",                    \
     .value = "SCHEME", .choices = "internet-facing,internal", .help = "default internet-facing"}
#define BODY_TEXT(flag_name, body_field, meta, text)                                               \
    {.name = flag_name, .type = FLAG_STRING, .use = USE_BODY, .field = body_field, .value = meta,  \
     .help = text}
#define BODY_INT(flag_name, body_field, low, high, text)                                           \
    {.name = flag_name, .type = FLAG_INT, .use = USE_BODY, .field = body_field, .value = "N",      \
     .minimum = low, .maximum = high, .help = text}
#define BODY_CHOICE(flag_name, body_field, meta, list, text)                                       \
    {.name = flag_name, .type = FLAG_CHOICE, .use = USE_BODY, .field = body_field, .value = meta,  \
     .choices = list, .help = text}
#define STATE_FILTER(list)                                                                         \
    {.name = "state", .type = FLAG_CHOICES, .use = USE_QUERY, .field = "state",                    \
     .value = "STATE[,STATE]", .choices = list, .help = "only in one of these states"}
#define QUERY_TEXT(flag_name, meta, text)                                                          \
    {.name = flag_name, .type = FLAG_STRING, .use = USE_QUERY, .field = flag_name, .value = meta,  \
     .help = text}
#define SWITCH(flag_name, text) {.name = flag_name, .type = FLAG_BOOL, .help = text}
#define NUMBER(flag_name, low, text)                                                               \
    {.name = flag_name, .type = FLAG_INT, .value = "N", .minimum = low, .maximum = INT64_MAX,      \
     .help = text}
#define RANDOM                                                                                     \
    NUMBER("random", 1, "only N of what matched, drawn at random"),                                \
        NUMBER("seed", 0, "seed of --random; the same seed draws the same from the same list")
#define WAIT SWITCH("wait", "return when it is done, at most --timeout")

const struct flag spec_global_flags[] = {
    {.name = "server", .type = FLAG_STRING, .value = "URL",
     .help = "the server (MOCKCLOUD_URL; default http://127.0.0.1:9080)"},
    {.name = "token", .type = FLAG_STRING, .value = "TOKEN",
     .help = "bearer token (MOCKCLOUD_TOKEN); other users can see it in ps, prefer a file"},
    {.name = "token-file", .type = FLAG_STRING, .value = "FILE",
     .help = "file with the token (MOCKCLOUD_TOKEN_FILE; default ~/.config/mockcloud/token)"},
    {.name = "project", .type = FLAG_STRING, .value = "NAME",
     .help = "act on this project instead of the token's own (scope sim)"},
    {.name = "timeout", .type = FLAG_DURATION, .value = "DURATION",
     .help = "give up on a request, or on all of a wait, after this long (default 30s; 0: never)"},
    {.name = "output", .letter = 'o', .type = FLAG_CHOICE, .value = "FORMAT",
     .choices = "table,wide,json,name,id", .help = "table (default), wide, json, name or id"},
    {.name = "help", .letter = 'h', .type = FLAG_BOOL, .help = "this help"},
    END};

const struct flag flags_list[] = {
    SWITCH("count", "print only how many there are"),
    NUMBER("limit", 1, "at most N"),
    RANDOM,
    QUERY_TEXT("name", "NAME", "only the one of this name"),
    END};

const struct flag flags_instance_filter[] = {
    QUERY_TEXT("zone", "ZONE", "only in this zone"),
    STATE_FILTER(INSTANCE_STATES),
    QUERY_TEXT("type", "TYPE", "only of this instance type"),
    {.name = "lifecycle", .type = FLAG_CHOICE, .use = USE_QUERY, .field = "lifecycle",
     .value = "LIFECYCLE", .choices = "on-demand,spot", .help = "only of this lifecycle"},
    TAG_FILTER,
    END};

const struct flag flags_lb_filter[] = {
    STATE_FILTER("provisioning,active,updating,deleting,deleted,error"), TAG_FILTER, END};
const struct flag flags_route_filter[] = {
    STATE_FILTER("pending,active,blackhole,deleting,deleted"),
    QUERY_TEXT("network", "NAME", "only of this network"), TAG_FILTER, END};
const struct flag flags_tag_filter[] = {TAG_FILTER, END};

const struct flag flags_select[] = {
    SWITCH("all", "act on all that match; needed when neither a name nor a filter is given"),
    RANDOM,
    SWITCH("dry-run", "show what it would act on, and change nothing"),
    END};

const struct flag flags_interrupt[] = {
    BODY_CHOICE("kind", "kind", "KIND", "spot,rebalance,maintenance,preempt",
                "spot (default): 120s, then terminate; preempt: 30s, then stop; maintenance: 15m, "
                "then reboot; rebalance: a recommendation without deadline or action"),
    {.name = "notice", .type = FLAG_DURATION, .use = USE_BODY, .field = "notice",
     .value = "DURATION", .help = "from now to the deadline, instead of the kind's own"},
    BODY_CHOICE("action", "action", "ACTION", "none,terminate,stop,reboot",
                "what happens at the deadline, instead of the kind's own"),
    END};

const struct flag flags_act[] = {WAIT, END};

const struct flag flags_force[] = {
    {.name = "force", .type = FLAG_BOOL, .use = USE_BODY, .field = "force",
     .help = "also a protected control plane of a kind cluster"},
    END};

const struct flag flags_cluster[] = {
    BODY_CHOICE("terminate", "terminate", "POLICY", "remove,stop",
                "what becomes of the container of a terminated instance; default remove"),
    {.name = "no-protect", .type = FLAG_BOOL, .use = USE_BODY, .negated = true,
     .field = "protect_control_plane", .help = "control planes may be stopped like any other"},
    {.name = "no-routes", .type = FLAG_BOOL, .use = USE_BODY, .negated = true, .field = "routes",
     .help = "leave the routes of the nodes alone"},
    END};

const struct flag flags_revision[] = {
    {.name = "if-revision", .type = FLAG_INT, .value = "REVISION", .minimum = 1,
     .maximum = INT64_MAX, .help = "only if it is still at this revision, else exit 6"},
    END};

const struct flag flags_create[] = {
    BODY_TEXT("name", "name", "NAME", "the name, which may also come first"),
    TAG_SET,
    {.name = "idempotency-key", .type = FLAG_STRING, .value = "KEY",
     .help = "a repeat with the same key gets the first answer"},
    END};

const struct flag flags_instance_create[] = {
    BODY_TEXT("zone", "zone", "ZONE", "default: the first that is available"),
    BODY_TEXT("type", "type", "TYPE", "default: the first instance type"),
    BODY_CHOICE("lifecycle", "lifecycle", "LIFECYCLE", "on-demand,spot", "default on-demand"),
    BODY_CHOICE("backend", "backend", "BACKEND", "none,virtual-node,docker",
                "virtual-node: mockcloud-nodes makes it a Kubernetes node; docker: a node of a kind "
                "cluster"),
    BODY_TEXT("cluster", "container.cluster", "NAME", "the adopted kind cluster (docker)"),
    BODY_CHOICE("role", "container.role", "ROLE", "worker,control-plane",
                "of a node that is awaited (docker); default worker"),
    BODY_CHOICE("provision", "container.provision", "HOW", "join,adopt",
                "start a container and have it join (default), or await that of this name"),
    BODY_INT("count", "count", 1, 10000, "make N of them: NAME-1 to NAME-N"),
    {.name = "address", .type = FLAG_ADDRESS, .use = USE_BODY, .repeat = true,
     .field = "addresses", .value = "[TYPE=]ADDRESS",
     .help = "exactly this address instead of allocated ones (repeatable); TYPE is internal, "
             "external, internal-dns, external-dns or hostname"},
    IP_FAMILY,
    {.name = "no-external-ip", .type = FLAG_BOOL, .use = USE_BODY, .negated = true,
     .field = "external_ip", .help = "allocate internal addresses only"},
    WAIT,
    END};

const struct flag flags_update[] = {
    BODY_TEXT("name", "name", "NAME", "rename it"), TAG_SET,
    {.name = "untag", .type = FLAG_TAG_KEY, .use = USE_BODY, .repeat = true, .field = "tags",
     .value = "KEY", .help = "remove a tag (repeatable)"},
    END};

const struct flag flags_instance_update[] = {
    BODY_TEXT("type", "type", "TYPE", "another instance type; it must be stopped"),
    {.name = "address", .type = FLAG_ADDRESS, .use = USE_BODY, .repeat = true,
     .field = "addresses", .value = "[TYPE=]ADDRESS",
     .help = "replace all addresses by these (repeatable; none: remove all)"},
    END};

const struct flag flags_lb_create[] = {
    LISTENER("PROTOCOL:PORT:POOL:TARGET-PORT, for example tcp:80:front:30080 (repeatable)"),
    SOURCE_RANGE("only these may connect (repeatable; default: all)"),
    SCHEME,
    BODY_TEXT("hostname", "hostname", "NAME", "a name under which it answers"),
    {.name = "address", .type = FLAG_ADDRESS_ID, .use = USE_BODY, .repeat = true,
     .field = "address_ids", .value = "NAME|ID", .help = "use this reserved address (repeatable)"},
    IP_FAMILY,
    WAIT,
    END};

const struct flag flags_lb_update[] = {
    LISTENER("replace all listeners by these (repeatable; none: remove all)"),
    SOURCE_RANGE("replace all source ranges by these (repeatable; none: remove all)"), END};

const struct flag flags_target[] = {
    {.name = "target", .type = FLAG_TARGET, .use = USE_BODY, .repeat = true, .field = "targets",
     .value = "INSTANCE|IP", .help = "a target (repeatable); update replaces all by these"},
    END};

const struct flag flags_pool[] = {
    BODY_CHOICE("check", "health_check.protocol", "PROTOCOL", "none,TCP,HTTP", "health check"),
    BODY_INT("check-port", "health_check.port", 0, 65535, "0: the port that is forwarded to"),
    BODY_TEXT("check-path", "health_check.path", "PATH", "of an HTTP check; default /"),
    BODY_INT("check-interval", "health_check.interval_seconds", 1, 3600, "seconds; default 10"),
    BODY_INT("check-timeout", "health_check.timeout_seconds", 1, 3600, "seconds; default 5"),
    BODY_INT("healthy-after", "health_check.healthy_threshold", 1, 10, "successes; default 2"),
    BODY_INT("unhealthy-after", "health_check.unhealthy_threshold", 1, 10, "failures; default 2"),
    END};

const struct flag flags_address_create[] = {
    BODY_CHOICE("family", "family", "FAMILY", "ipv4,ipv6", "default ipv4"), SCHEME,
    BODY_TEXT("address", "address", "IP", "this address rather than the next free one"), END};

const struct flag flags_route_create[] = {
    BODY_TEXT("to", "destination_cidr", "CIDR", "the destination; required"),
    {.name = "via", .type = FLAG_TARGET, .use = USE_BODY, .field = "next_hop",
     .value = "INSTANCE|IP", .help = "the next hop; required"},
    BODY_TEXT("network", "network", "NAME", "default: default"), WAIT, END};

const struct flag flags_route_update[] = {
    {.name = "via", .type = FLAG_TARGET, .use = USE_BODY, .field = "next_hop",
     .value = "INSTANCE|IP", .help = "another next hop"},
    END};

const struct flag flags_zone[] = {
    BODY_TEXT("region", "region", "REGION", "the region that it belongs to; required if it is new"),
    BODY_CHOICE("state", "state", "STATE", "available,unavailable",
                "nothing is created or started in an unavailable zone"),
    {.name = "capacity", .type = FLAG_NUMBERS, .use = USE_BODY, .repeat = true, .field = "capacity",
     .value = "TYPE=N",
     .help = "room for N instances of the type, others are not limited (repeatable; replaces all; "
             "none: no limits)"},
    BODY_INT("capacity-total", "capacity_total", 0, 1000000000, "room for N instances in all"),
    END};

const struct flag flags_type[] = {
    BODY_INT("cpus", "cpus", 1, 4096, "required if it is new"),
    BODY_INT("memory-mib", "memory_mib", 1, 67108864, "required if it is new"),
    BODY_INT("max-pods", "max_pods", 0, 100000, "default 110"), END};

const struct flag flags_token[] = {
    BODY_CHOICE("scope", "scope", "SCOPE", "cloud,sim", "sim includes cloud; default cloud"), END};

const struct flag flags_event[] = {
    NUMBER("since", 0, "only events after this revision"),
    {.name = "kind", .type = FLAG_CHOICE, .use = USE_QUERY, .field = "kind", .value = "KIND",
     .choices = EVENT_KINDS, .help = "only of this kind of resource"},
    NUMBER("limit", 1, "at most N"), END};
const struct flag flags_event_list[] = {
    {.name = "follow", .letter = 'f', .type = FLAG_BOOL, .help = "go on as they happen"},
    SWITCH("count", "print only how many there are"), END};

#define TTL(text)                                                                                  \
    {.name = "ttl", .type = FLAG_TTL, .use = USE_BODY, .field = "ttl", .value = "DURATION|none",    \
     .help = text}
#define QUOTA(flag_name, body_field)                                                                \
    {.name = flag_name, .type = FLAG_LIMIT, .use = USE_BODY, .field = body_field, .value = "N|none", \
     .help = "at most N of them"}
#define RATE(flag_name, body_field, text)                                                          \
    {.name = flag_name, .type = FLAG_RATE, .use = USE_BODY, .field = body_field,                   \
     .value = "RATE[:BURST]|none", .help = text}

const struct flag flags_quota[] = {
    QUOTA("instances", "instances"), QUOTA("lbs", "load_balancers"), QUOTA("pools", "target_pools"),
    QUOTA("addresses", "addresses"), QUOTA("routes", "routes"),
    RATE("read-rate", "rates.read", "reads of one resource per second, in cloud time"),
    RATE("list-rate", "rates.list", "lists per second"),
    RATE("write-rate", "rates.write", "changes per second"), END};

const struct flag flags_project_create[] = {
    TTL("its end, with everything in it, this long from now in cloud time; brings a token "
        "(--with-token), too; none: it stays"),
    {.name = "with-token", .type = FLAG_BOOL, .use = USE_BODY, .field = "token",
     .help = "make a token of scope cloud, too; it is shown this once"},
    QUOTA("instances", "quotas.instances"), QUOTA("lbs", "quotas.load_balancers"),
    QUOTA("pools", "quotas.target_pools"), QUOTA("addresses", "quotas.addresses"),
    QUOTA("routes", "quotas.routes"),
    RATE("read-rate", "quotas.rates.read", "reads of one resource per second, in cloud time"),
    RATE("list-rate", "quotas.rates.list", "lists per second"),
    RATE("write-rate", "quotas.rates.write", "changes per second"), END};

const struct flag flags_project_update[] = {
    TTL("its end, this long from now in cloud time; none: it stays"), END};

const struct flag flags_calls[] = {
    {.name = "caller", .type = FLAG_STRING, .use = USE_QUERY, .field = "caller", .value = "PATTERN",
     .help = "only of these callers: user agent (mockcloud-ccm*), its product or a token's id"},
    {.name = "op", .type = FLAG_STRING, .use = USE_QUERY, .field = "operation", .value = "PATTERN",
     .help = "only of these operations (instances.*)"},
    {.name = "status", .type = FLAG_STRING, .use = USE_QUERY, .field = "status",
     .value = "STATUS[,STATUS]", .help = "only with one of these statuses (429,5xx)"},
    {.name = "since", .type = FLAG_STRING, .use = USE_QUERY, .field = "since",
     .value = "DURATION|TIME", .help = "only since then (wall time): 5m, 2026-11-25T10:00:00Z"},
    SWITCH("all-projects", "of the whole server, not only of this project (scope sim)"),
    END};

const struct flag flags_calls_limit[] = {NUMBER("limit", 1, "at most N"), END};

const struct flag flags_calls_assert[] = {
    NUMBER("max", 0, "fail when there are more than N"),
    NUMBER("min", 0, "fail when there are fewer than N"),
    {.name = "max-per-minute", .type = FLAG_STRING, .value = "N",
     .help = "fail when there are more than N per minute on average of the whole time that is "
             "counted: since --since, or since the server started or the log was reset; less "
             "than a minute counts as one"},
    SWITCH("allow-none", "accept that nothing matched; --max 0 does, too"),
    END};

// Fault rules. What an effect is made of, cli/fault.c puts into the body.
const struct flag flags_fault_effect[] = {
    {.name = "error", .type = FLAG_STRING, .value = "STATUS[:CODE]",
     .help = "refuse with this HTTP status (400 to 599)"},
    {.name = "message", .type = FLAG_STRING, .value = "TEXT", .help = "of --error, --exhausted, "
     "--fail-transition and --half-applied error"},
    {.name = "retry-after", .type = FLAG_DURATION, .value = "DURATION",
     .help = "of --error: what the client is told"},
    {.name = "latency", .type = FLAG_STRING, .value = "SHAPE",
     .help = "wait: DURATION, MIN..MAX, normal:MEAN:STDDEV or lognormal:MEAN:STDDEV"},
    {.name = "throttle", .type = FLAG_STRING, .value = "N/s[:BURST]",
     .help = "refuse with 429 what exceeds this rate (/s, /m or /h)"},
    SWITCH("hang", "never answer"),
    {.name = "at-most", .type = FLAG_DURATION, .value = "DURATION",
     .help = "of --hang and --half-applied silence: then close the connection (default 5m)"},
    SWITCH("reset", "reset the connection"),
    {.name = "truncate", .type = FLAG_STRING, .value = "BYTES|half",
     .help = "close the connection after so much of the reply's body"},
    {.name = "half-applied", .type = FLAG_CHOICE, .value = "REPLY", .choices = "error,drop,silence",
     .help = "commit the change, then fail, close the connection or never answer"},
    {.name = "stale", .type = FLAG_STRING, .value = "N|DURATION",
     .help = "answer reads from N revisions or so long ago"},
    {.name = "hide-new", .type = FLAG_DURATION, .value = "DURATION",
     .help = "do not find what was created so recently"},
    SWITCH("reorder", "lists come in another order"),
    {.name = "wrong", .type = FLAG_STRING, .value = "WHAT[:SKEW]",
     .help = "answer addresses_missing, addresses_reordered, addresses_wrong, duplicate_names, "
             "malformed_ids or clock_skew:-5m"},
    {.name = "exhausted", .type = FLAG_CHOICE, .value = "WHAT", .choices = "capacity,quota",
     .help = "refuse changes: out of capacity or quota"},
    {.name = "zone-outage", .type = FLAG_STRING, .value = "ZONE[:WHAT]",
     .help = "this zone is down, its instances stop, go to error or keep running"},
    {.name = "stuck", .type = FLAG_STRING, .value = "DURATION|ever",
     .help = "timed transitions do not come to their end"},
    {.name = "fail-transition", .type = FLAG_STRING, .value = "CODE",
     .help = "timed transitions end in state error, for this reason"},
    SWITCH("stream-cut", "end event streams before the event"),
    {.name = "stream-lag", .type = FLAG_DURATION, .value = "DURATION",
     .help = "events come so much later"},
    SWITCH("stream-duplicate", "events come twice"),
    {.name = "wait-clock", .type = FLAG_CHOICE, .value = "CLOCK", .choices = "real,cloud",
     .help = "whose time --latency, --hang and --throttle take"},
    END};

const struct flag flags_fault_match[] = {
    {.name = "op", .type = FLAG_STRING, .use = USE_BODY, .repeat = true,
     .field = "match.operations", .value = "GLOB",
     .help = "operation ids (instances.*), or transitions (instance.pending); repeatable"},
    BODY_TEXT("user-agent", "match.caller.user_agent", "GLOB", "only calls of this client"),
    BODY_CHOICE("scope", "match.caller.scope", "SCOPE", "cloud,sim", "only with such a token"),
    BODY_CHOICE("kind", "match.resource.kind", "KIND", EVENT_KINDS, "only about such a resource"),
    BODY_TEXT("id", "match.resource.id", "ID", "only about the one with this id"),
    BODY_TEXT("resource", "match.resource.name", "GLOB", "only about those of this name"),
    BODY_TEXT("zone", "match.resource.zone", "ZONE", "only about those in this zone"),
    BODY_TEXT("type", "match.resource.type", "TYPE", "only about those of this type"),
    BODY_TEXT("in-state", "match.resource.state", "STATE", "only about those in this state"),
    {.name = "tag", .type = FLAG_TAG, .use = USE_BODY, .repeat = true,
     .field = "match.resource.tags", .value = "KEY=VALUE",
     .help = "only about those with this tag (repeatable)"},
    END};

const struct flag flags_fault_when[] = {
    {.name = "probability", .type = FLAG_STRING, .value = "P",
     .help = "this share of them (0 to 1), drawn from the cloud's seed"},
    BODY_INT("first", "when.first", 1, 1000000000, "only the first N that match"),
    BODY_INT("every", "when.every", 1, 1000000000, "only every Nth"),
    BODY_INT("after", "when.after", 1, 1000000000, "not the first N that match"),
    BODY_INT("times", "when.times", 1, 1000000000, "at most N firings"),
    BODY_TEXT("from", "when.from", "TIME|DURATION", "from this time on, or after so long"),
    BODY_TEXT("until", "when.until", "TIME|DURATION", "until this time, or for so long"),
    END};

const struct flag flags_fault_add[] = {
    BODY_TEXT("name", "name", "NAME", "the name, which may also come first"), END};

const struct flag flags_fault_update[] = {
    SWITCH("off", "nothing meets it any more, until --on"),
    SWITCH("on", "it is met again"),
    {.name = "unset", .type = FLAG_STRING, .repeat = true, .value = "FIELD",
     .help = "take away when.times, match.caller, ... (repeatable)"},
    BODY_TEXT("name", "name", "NAME", "rename it"), END};
const struct flag flags_chaos[] = {
    BODY_CHOICE("profile", "profile", "PROFILE",
                "calm,spot-heavy,flaky-nodes,zone-trouble,bad-api,mayhem", "see chaos profiles"),
    BODY_INT("seed", "seed", 0, INT64_MAX, "the same seed does the same to the same cloud"),
    {.name = "rate", .type = FLAG_TAG, .repeat = true, .value = "ACTION=N",
     .help = "so often per hour: terminate, stop, reboot, interrupt, zone_outage, slow_api, "
             "api_errors, target_failure (repeatable)"},
    BODY_INT("max-down", "limits.max_down", 0, 1000000, "at most N instances down at once; 0: any"),
    BODY_INT("max-down-per-zone", "limits.max_down_per_zone", 0, 1000000, "and so many of a zone"),
    BODY_INT("min-running", "limits.min_running", 0, 1000000, "leave at least N alone"),
    {.name = "protect", .type = FLAG_TAG_ANY, .use = USE_BODY, .repeat = true,
     .field = "limits.protect", .value = "KEY[=VALUE]", .help = "spare whoever has this tag, "
     "without VALUE: whatever its value (repeatable)"},
    {.name = "no-respawn", .type = FLAG_BOOL, .use = USE_BODY, .negated = true, .field = "respawn",
     .help = "nothing takes the place of what was ended"},
    {.name = "dry-run", .type = FLAG_BOOL, .use = USE_BODY, .field = "dry_run",
     .help = "only tell what would be done: see it with events --kind chaos"},
    {.name = "for", .type = FLAG_DURATION, .use = USE_BODY, .field = "for", .value = "DURATION",
     .help = "stop by itself after so long (cloud time)"},
    END};
const struct flag flags_chaos_list[] = {STATE_FILTER("running,stopped,deleting"), END};

const struct flag flags_variable[] = {
    {.name = "var", .type = FLAG_TAG, .repeat = true, .value = "NAME=VALUE",
     .help = "value of a variable of the file (repeatable)"},
    END};
const struct flag flags_scenario_run[] = {
    NUMBER("seed", 0, "seed of its random choices, in place of the file's"),
    SWITCH("wait", "return when it is over, at most --timeout; exit code 1 if it failed"),
    SWITCH("follow", "as --wait, and tell its steps as they go"),
    SWITCH("advance", "as --wait, and move the clock on whenever it waits: as fast as possible"),
    {.name = "report", .type = FLAG_STRING, .repeat = true, .value = "FILE",
     .help = "as --wait, and write a report: JUnit's when FILE ends in .xml, else JSON"},
    {.name = "idempotency-key", .type = FLAG_STRING, .value = "KEY",
     .help = "a repeat with the same key gets the first answer"},
    END};
const struct flag flags_scenario_list[] = {
    STATE_FILTER("running,succeeded,failed,stopped"), END};

const struct flag flags_restore[] = {
    SWITCH("stopped", "the clock stands at the last event; for a replay"), END};

const struct flag flags_wait[] = {
    {.name = "for", .type = FLAG_STRING, .value = "CONDITION",
     .help = "deleted, exists, FIELD=VALUE[,VALUE] (state=running) or tag.KEY=VALUE; required"},
    END};
