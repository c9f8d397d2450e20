// Bodies of instances, and the pieces that several kinds share.
#include "api/bodies.h"
#include "sim/change.h"
#include "sim/names.h"

#include <stdio.h>
#include <string.h>

#define AT(member) offsetof(struct instance_spec, member)

static const struct field no_fields[] = {{0}};
const struct schema body_none = {.name = "", .fields = no_fields};

// --- addresses and families ---

int parse_family(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    struct error other = {0};
    const char *text = json_in_string(in, value);
    enum ip_family family;

    if (!text)
        return -ERROR_INVALID;
    if (ip_family_parse(text, &family, &other) < 0)
        return json_in_repeat(in, NULL, &other);
    memcpy(object + f->offset, &family, sizeof(family));
    return 0;
}

// One or two families in an array in place.
int parse_families(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    static const struct field item = {.name = "", .type = FIELD_PARSED, .parse = parse_family};
    enum ip_family families[2];
    size_t count = json_array_size(value);

    if (!json_is_array(value))
        return json_in_fail(in, NULL, "must be an array");
    if (count < 1 || count > 2)
        return json_in_fail(in, NULL, "must have 1 to 2 items");
    for (size_t i = 0; i < count; i++) {
        int result = json_in_item(in, &item, value, i, &families[i]);
        if (result < 0)
            return result;
    }
    if (count == 2 && families[0] == families[1])
        return json_in_fail(in, "[1]", "names a family twice");
    memcpy(object + f->offset, families, count * sizeof(families[0]));
    memcpy(object + f->count, &count, sizeof(count));
    return 0;
}

int parse_ip_text(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    struct error other = {0};
    const char *text = json_in_string(in, value);
    char *canonical;
    struct ip ip;

    if (!text)
        return -ERROR_INVALID;
    if (ip_parse(text, &ip, &other) < 0)
        return json_in_repeat(in, NULL, &other);
    canonical = arena_alloc(in->arena, IP_TEXT_MAX);
    ip_format(&ip, canonical);
    memcpy(object + f->offset, &canonical, sizeof(canonical));
    return 0;
}

int parse_cidr_text(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    struct error other = {0};
    const char *text = json_in_string(in, value);
    char *canonical;
    struct cidr cidr;

    if (!text)
        return -ERROR_INVALID;
    if (cidr_parse(text, &cidr, &other) < 0)
        return json_in_repeat(in, NULL, &other);
    canonical = arena_alloc(in->arena, CIDR_TEXT_MAX);
    cidr_format(&cidr, canonical);
    memcpy(object + f->offset, &canonical, sizeof(canonical));
    return 0;
}

struct address_body {
    enum address_type type;
    enum ip_family family; // 0: not given
    const char *text;
};

static int convert_name_address(struct json_in *in, const struct address_body *body,
                                struct address_spec *out)
{
    if (body->family)
        return json_in_fail(in, "family", "is of IP addresses only");
    if (!hostname_valid(body->text))
        return json_in_fail(in, "address", "is not a DNS name");
    *out = (struct address_spec){.type = body->type, .text = body->text};
    return 0;
}

static int convert_address(struct json_in *in, const void *given, void *object)
{
    const struct address_body *body = given;
    struct address_spec *out = object;
    struct error other = {0};
    char *text;

    if (body->type != ADDRESS_INTERNAL && body->type != ADDRESS_EXTERNAL)
        return convert_name_address(in, body, out);
    out->type = body->type;
    if (ip_parse(body->text, &out->ip, &other) < 0)
        return json_in_repeat(in, "address", &other);
    if (body->family && body->family != out->ip.family)
        return json_in_fail(in, "family", "does not fit the address");
    text = arena_alloc(in->arena, IP_TEXT_MAX);
    ip_format(&out->ip, text);
    out->text = text;
    return 0;
}

static const struct field address_fields[] = {{.name = "type",
                                               .type = FIELD_ENUM,
                                               .required = true,
                                               .offset = offsetof(struct address_body, type),
                                               .choices = address_type_names},
                                              {.name = "family",
                                               .type = FIELD_PARSED,
                                               .offset = offsetof(struct address_body, family),
                                               .parse = parse_family},
                                              {.name = "address",
                                               .type = FIELD_STRING,
                                               .required = true,
                                               .offset = offsetof(struct address_body, text),
                                               .minimum = 1,
                                               .maximum = 253},
                                              {0}};
static const struct schema address_schema = {.name = "InstanceAddress",
                                             .fields = address_fields,
                                             .size = sizeof(struct address_body),
                                             .convert = convert_address};
static const struct field address_item = {
    .name = "", .type = FIELD_OBJECT, .schema = &address_schema};

// --- instances ---

static int check_instance_create(struct json_in *in, void *object)
{
    struct instance_spec *spec = object;
    char last[16];

    if (spec->family_count == 0)
        spec->families[spec->family_count++] = IP_V4;
    if (spec->container.cluster && spec->backend != BACKEND_DOCKER)
        return json_in_fail(in, "container", "is of the docker backend only");
    if (spec->count == 0)
        return 0;
    if (spec->has_addresses)
        return json_in_fail(in, "addresses", "cannot be given with count");
    snprintf(last, sizeof(last), "-%d", spec->count);
    if (spec->name && strlen(spec->name) + strlen(last) > 253)
        return json_in_fail(in, "name", "is too long to be numbered up to %d", spec->count);
    return 0;
}

#define ADDRESSES                                                                 \
    {                                                                             \
        .name = "addresses", .type = FIELD_LIST, .offset = AT(addresses),         \
        .present = AT(has_addresses), .count = AT(address_count),                 \
        .size = sizeof(struct address_spec), .maximum = 16, .item = &address_item \
    }

static const struct field container_fields[] = {
    {.name = "cluster", .type = FIELD_NAME, .required = true, .offset = 0},
    {.name = "role",
     .type = FIELD_ENUM,
     .offset = AT(container.role) - AT(container),
     .choices = node_role_names},
    {.name = "provision",
     .type = FIELD_ENUM,
     .offset = AT(container.provision) - AT(container),
     .choices = provision_names},
    {0}};
static const struct schema container_schema = {.name = "ContainerSpec", .fields = container_fields};

static const struct field instance_create_fields[] = {
    {.name = "name", .type = FIELD_NAME, .offset = AT(name)},
    {.name = "zone", .type = FIELD_STRING, .offset = AT(zone), .maximum = 253},
    {.name = "type", .type = FIELD_STRING, .offset = AT(type), .maximum = 253},
    {.name = "lifecycle", .type = FIELD_ENUM, .offset = AT(lifecycle), .choices = lifecycle_names},
    {.name = "backend", .type = FIELD_ENUM, .offset = AT(backend), .choices = backend_names},
    {.name = "container",
     .type = FIELD_OBJECT,
     .offset = AT(container),
     .schema = &container_schema},
    ADDRESSES,
    {.name = "ip_families",
     .type = FIELD_PARSED,
     .offset = AT(families),
     .count = AT(family_count),
     .parse = parse_families},
    {.name = "external_ip", .type = FIELD_BOOL, .offset = AT(external_ip), .fallback = 1},
    {.name = "tags", .type = FIELD_TAGS, .offset = AT(tags)},
    {.name = "count", .type = FIELD_INT, .offset = AT(count), .minimum = 1, .maximum = 10000},
    {0}};
const struct schema body_instance_create = {
    .name = "InstanceCreate", .fields = instance_create_fields, .check = check_instance_create};

static const struct field action_fields[] = {
    {.name = "force", .type = FIELD_BOOL, .offset = offsetof(struct action_spec, force)}, {0}};
const struct schema body_instance_action = {
    .name = "InstanceAction", .fields = action_fields, .optional = true};

static const struct field instance_update_fields[] = {
    {.name = "name", .type = FIELD_NAME, .offset = AT(name)},
    {.name = "type", .type = FIELD_STRING, .offset = AT(type), .maximum = 253},
    ADDRESSES,
    {.name = "tags", .type = FIELD_TAGS_PATCH, .offset = AT(tags)},
    {0}};
const struct schema body_instance_update = {
    .name = "InstanceUpdate", .fields = instance_update_fields, .minimum = 1};

// --- notices ---

static int parse_notice(struct json_in *in, const struct field *f, const json_t *value,
                        char *object)
{
    int64_t ns;

    if (json_in_duration(in, value, &ns) < 0)
        return -ERROR_INVALID;
    memcpy(object + f->offset, &ns, sizeof(ns));
    return 0;
}

#define NOTICE(member) offsetof(struct notice_spec, member)

static const struct field interrupt_fields[] = {
    {.name = "kind", .type = FIELD_ENUM, .offset = NOTICE(kind), .choices = notice_kind_names},
    {.name = "notice",
     .type = FIELD_PARSED,
     .offset = NOTICE(notice_ns),
     .present = NOTICE(has_notice),
     .parse = parse_notice},
    {.name = "action",
     .type = FIELD_ENUM,
     .offset = NOTICE(action),
     .present = NOTICE(has_action),
     .choices = notice_action_names},
    {0}};
const struct schema body_interrupt = {
    .name = "Interrupt", .fields = interrupt_fields, .optional = true};
