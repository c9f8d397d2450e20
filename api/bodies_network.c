// Bodies of load balancers, target pools, reserved addresses and routes.
#include "api/bodies.h"
#include "sim/change.h"
#include "sim/names.h"

#include <string.h>

// --- listeners ---

#define AT(member) offsetof(struct listener, member)

static const struct field listener_fields[] = {{.name = "protocol",
                                                .type = FIELD_ENUM,
                                                .required = true,
                                                .offset = AT(protocol),
                                                .choices = protocol_names},
                                               {.name = "port",
                                                .type = FIELD_INT,
                                                .required = true,
                                                .offset = AT(port),
                                                .minimum = 1,
                                                .maximum = 65535},
                                               {.name = "target_pool_id",
                                                .type = FIELD_STRING,
                                                .required = true,
                                                .offset = AT(target_pool_id),
                                                .maximum = 64},
                                               {.name = "target_port",
                                                .type = FIELD_INT,
                                                .required = true,
                                                .offset = AT(target_port),
                                                .minimum = 1,
                                                .maximum = 65535},
                                               {.name = "proxy_protocol",
                                                .type = FIELD_ENUM,
                                                .offset = AT(proxy_protocol),
                                                .choices = proxy_protocol_names},
                                               {.name = "idle_timeout_seconds",
                                                .type = FIELD_INT,
                                                .offset = AT(idle_timeout_s),
                                                .minimum = 1,
                                                .maximum = 86400,
                                                .fallback = 60},
                                               {.name = "session_affinity",
                                                .type = FIELD_ENUM,
                                                .offset = AT(session_affinity),
                                                .choices = session_affinity_names},
                                               {.name = "session_affinity_timeout_seconds",
                                                .type = FIELD_INT,
                                                .offset = AT(session_affinity_timeout_s),
                                                .minimum = 1,
                                                .maximum = 86400,
                                                .fallback = 10800},
                                               {0}};
static const struct schema listener_schema = {.name = "Listener", .fields = listener_fields};
static const struct field listener_item = {
    .name = "", .type = FIELD_OBJECT, .schema = &listener_schema};

#undef AT

// --- load balancers ---

#define AT(member) offsetof(struct load_balancer_spec, member)

// The one listener of load_balancers.add_listener becomes a list of one.
static int convert_listener(struct json_in *in, const void *given, void *object)
{
    struct load_balancer_spec *spec = object;

    spec->listeners = arena_alloc(in->arena, sizeof(*spec->listeners));
    spec->listeners[0] = *(const struct listener *)given;
    spec->listener_count = 1;
    spec->has_listeners = true;
    return 0;
}

const struct schema body_listener_add = {.name = "Listener",
                                         .fields = listener_fields,
                                         .size = sizeof(struct listener),
                                         .convert = convert_listener};

static int check_hostname(struct json_in *in, const struct load_balancer_spec *spec)
{
    if (spec->hostname && !hostname_valid(spec->hostname))
        return json_in_fail(in, "hostname", "is not a DNS name");
    return 0;
}

static int check_load_balancer_create(struct json_in *in, void *object)
{
    struct load_balancer_spec *spec = object;

    if (spec->address_id_count > 0 && spec->family_count > 0)
        return json_in_fail(in, "ip_families", "cannot be given with address_ids");
    if (spec->address_id_count == 0 && spec->family_count == 0)
        spec->families[spec->family_count++] = IP_V4;
    return check_hostname(in, spec);
}

static const struct field cidr_item = {.name = "", .type = FIELD_PARSED, .parse = parse_cidr_text};
static const struct field id_item = {.name = "", .type = FIELD_STRING, .minimum = 1, .maximum = 64};

#define LISTENERS                                                               \
    {                                                                           \
        .name = "listeners", .type = FIELD_LIST, .offset = AT(listeners),       \
        .present = AT(has_listeners), .count = AT(listener_count),              \
        .size = sizeof(struct listener), .maximum = 100, .item = &listener_item \
    }
#define SOURCE_RANGES                                                             \
    {                                                                             \
        .name = "source_ranges", .type = FIELD_LIST, .offset = AT(source_ranges), \
        .present = AT(has_source_ranges), .count = AT(source_range_count),        \
        .size = sizeof(const char *), .maximum = 100, .item = &cidr_item          \
    }

static const struct field load_balancer_create_fields[] = {
    {.name = "name", .type = FIELD_NAME, .offset = AT(name)},
    {.name = "scheme", .type = FIELD_ENUM, .offset = AT(scheme), .choices = scheme_names},
    {.name = "hostname",
     .type = FIELD_STRING,
     .offset = AT(hostname),
     .minimum = 1,
     .maximum = 253},
    LISTENERS,
    SOURCE_RANGES,
    {.name = "address_ids",
     .type = FIELD_LIST,
     .offset = AT(address_ids),
     .count = AT(address_id_count),
     .size = sizeof(const char *),
     .minimum = 1,
     .maximum = 2,
     .item = &id_item},
    {.name = "ip_families",
     .type = FIELD_PARSED,
     .offset = AT(families),
     .count = AT(family_count),
     .parse = parse_families},
    {.name = "tags", .type = FIELD_TAGS, .offset = AT(tags)},
    {0}};
const struct schema body_load_balancer_create = {.name = "LoadBalancerCreate",
                                                 .fields = load_balancer_create_fields,
                                                 .check = check_load_balancer_create};

static const struct field load_balancer_update_fields[] = {
    {.name = "name", .type = FIELD_NAME, .offset = AT(name)},
    LISTENERS,
    SOURCE_RANGES,
    {.name = "tags", .type = FIELD_TAGS_PATCH, .offset = AT(tags)},
    {0}};
const struct schema body_load_balancer_update = {
    .name = "LoadBalancerUpdate", .fields = load_balancer_update_fields, .minimum = 1};

#undef AT

// --- target pools ---

static int check_target_ref(struct json_in *in, void *object)
{
    const struct target_ref *ref = object;

    if (!ref->instance_id == !ref->address)
        return json_in_fail(in, NULL, "must have exactly one of instance_id and address");
    return 0;
}

static const struct field target_ref_fields[] = {
    {.name = "instance_id",
     .type = FIELD_STRING,
     .offset = offsetof(struct target_ref, instance_id),
     .maximum = 64},
    {.name = "address",
     .type = FIELD_PARSED,
     .offset = offsetof(struct target_ref, address),
     .parse = parse_ip_text},
    {0}};
static const struct schema target_ref_schema = {
    .name = "TargetRef", .fields = target_ref_fields, .check = check_target_ref};
static const struct field target_item = {
    .name = "", .type = FIELD_OBJECT, .schema = &target_ref_schema};

#define AT(member) offsetof(struct health_check, member)

static const struct field health_check_fields[] = {
    {.name = "protocol",
     .type = FIELD_ENUM,
     .required = true,
     .offset = AT(protocol),
     .choices = health_check_protocol_names},
    {.name = "port", .type = FIELD_INT, .offset = AT(port), .maximum = 65535},
    {.name = "path", .type = FIELD_STRING, .offset = AT(path), .maximum = 1024, .text = "/"},
    {.name = "interval_seconds",
     .type = FIELD_INT,
     .offset = AT(interval_s),
     .minimum = 1,
     .maximum = 3600,
     .fallback = 10},
    {.name = "timeout_seconds",
     .type = FIELD_INT,
     .offset = AT(timeout_s),
     .minimum = 1,
     .maximum = 3600,
     .fallback = 5},
    {.name = "healthy_threshold",
     .type = FIELD_INT,
     .offset = AT(healthy_threshold),
     .minimum = 1,
     .maximum = 10,
     .fallback = 2},
    {.name = "unhealthy_threshold",
     .type = FIELD_INT,
     .offset = AT(unhealthy_threshold),
     .minimum = 1,
     .maximum = 10,
     .fallback = 2},
    {0}};
static const struct schema health_check_schema = {.name = "HealthCheck",
                                                  .fields = health_check_fields};

#undef AT
#define AT(member) offsetof(struct target_pool_spec, member)

#define TARGETS(least)                                                                            \
    {                                                                                             \
        .name = "targets", .type = FIELD_LIST, .required = (least) > 0, .offset = AT(targets),    \
        .present = AT(has_targets), .count = AT(target_count), .size = sizeof(struct target_ref), \
        .minimum = (least), .maximum = 5000, .item = &target_item                                 \
    }
#define HEALTH_CHECK                                                              \
    {                                                                             \
        .name = "health_check", .type = FIELD_OBJECT, .offset = AT(health_check), \
        .present = AT(has_health_check), .schema = &health_check_schema           \
    }

static const struct field target_pool_create_fields[] = {
    {.name = "name", .type = FIELD_NAME, .offset = AT(name)},
    TARGETS(0),
    HEALTH_CHECK,
    {.name = "tags", .type = FIELD_TAGS, .offset = AT(tags)},
    {0}};
const struct schema body_target_pool_create = {.name = "TargetPoolCreate",
                                               .fields = target_pool_create_fields};

static const struct field target_pool_update_fields[] = {
    {.name = "name", .type = FIELD_NAME, .offset = AT(name)},
    TARGETS(0),
    HEALTH_CHECK,
    {.name = "tags", .type = FIELD_TAGS_PATCH, .offset = AT(tags)},
    {0}};
const struct schema body_target_pool_update = {
    .name = "TargetPoolUpdate", .fields = target_pool_update_fields, .minimum = 1};

static const struct field targets_add_fields[] = {TARGETS(1), {0}};
const struct schema body_targets_add = {.name = "TargetsAdd", .fields = targets_add_fields};

#undef AT

// --- reserved addresses ---

#define AT(member) offsetof(struct address_spec_reserved, member)

static int parse_ip(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    struct error other = {0};
    const char *text = json_in_string(in, value);
    struct ip ip;

    if (!text)
        return -ERROR_INVALID;
    if (ip_parse(text, &ip, &other) < 0)
        return json_in_repeat(in, NULL, &other);
    memcpy(object + f->offset, &ip, sizeof(ip));
    return 0;
}

static int check_address_create(struct json_in *in, void *object)
{
    struct address_spec_reserved *spec = object;

    if (!spec->family)
        spec->family = spec->has_ip ? spec->ip.family : IP_V4;
    if (spec->has_ip && spec->ip.family != spec->family)
        return json_in_fail(in, "family", "does not fit the address");
    return 0;
}

static const struct field address_create_fields[] = {
    {.name = "name", .type = FIELD_NAME, .offset = AT(name)},
    {.name = "family", .type = FIELD_PARSED, .offset = AT(family), .parse = parse_family},
    {.name = "scheme", .type = FIELD_ENUM, .offset = AT(scheme), .choices = scheme_names},
    {.name = "address",
     .type = FIELD_PARSED,
     .offset = AT(ip),
     .present = AT(has_ip),
     .parse = parse_ip},
    {.name = "tags", .type = FIELD_TAGS, .offset = AT(tags)},
    {0}};
const struct schema body_address_create = {
    .name = "AddressCreate", .fields = address_create_fields, .check = check_address_create};

static const struct field address_update_fields[] = {
    {.name = "name", .type = FIELD_NAME, .offset = AT(name)},
    {.name = "tags", .type = FIELD_TAGS_PATCH, .offset = AT(tags)},
    {0}};
const struct schema body_address_update = {
    .name = "AddressUpdate", .fields = address_update_fields, .minimum = 1};

#undef AT

// --- routes ---

#define AT(member) offsetof(struct route_spec, member)

static int parse_next_hop(struct json_in *in, const struct field *f, const json_t *value,
                          char *object)
{
    struct route_spec *spec = (struct route_spec *)(void *)(object + f->offset);
    struct target_ref hop = {0};
    int result = json_in_object(in, &target_ref_schema, value, &hop);

    if (result < 0)
        return result;
    spec->next_hop_instance_id = hop.instance_id;
    spec->next_hop_address = hop.address;
    return 0;
}

#define NEXT_HOP(must)                                                                        \
    {                                                                                         \
        .name = "next_hop", .type = FIELD_PARSED, .required = (must), .parse = parse_next_hop \
    }

static const struct field route_create_fields[] = {
    {.name = "name", .type = FIELD_NAME, .offset = AT(name)},
    {.name = "network", .type = FIELD_NAME, .offset = AT(network)},
    {.name = "destination_cidr",
     .type = FIELD_PARSED,
     .required = true,
     .offset = AT(destination_cidr),
     .parse = parse_cidr_text},
    NEXT_HOP(true),
    {.name = "tags", .type = FIELD_TAGS, .offset = AT(tags)},
    {0}};

static int check_route_create(struct json_in *in, void *object)
{
    struct route_spec *spec = object;

    (void)in;
    if (!spec->network)
        spec->network = "default";
    return 0;
}

const struct schema body_route_create = {
    .name = "RouteCreate", .fields = route_create_fields, .check = check_route_create};

static const struct field route_update_fields[] = {
    {.name = "name", .type = FIELD_NAME, .offset = AT(name)},
    NEXT_HOP(false),
    {.name = "tags", .type = FIELD_TAGS_PATCH, .offset = AT(tags)},
    {0}};
const struct schema body_route_update = {
    .name = "RouteUpdate", .fields = route_update_fields, .minimum = 1};
