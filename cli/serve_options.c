#include "cli/serve_options.h"

#include "api/calls.h"
#include "api/json_in.h"
#include "base/buffer.h"
#include "base/timefmt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct serve_options, member)

static const char *const format_choices[] = {
    [LOG_TEXT] = "text", [LOG_JSON] = "json", [LOG_JSON + 1] = NULL};
static const char *const level_choices[] = {[LOG_DEBUG] = "debug",
                                            [LOG_INFO] = "info",
                                            [LOG_WARN] = "warn",
                                            [LOG_ERROR] = "error",
                                            [LOG_ERROR + 1] = NULL};
static const char *const durability_choices[] = {
    [DURABILITY_PROCESS] = "process", [DURABILITY_POWER] = "power", [DURABILITY_POWER + 1] = NULL};

static const char *const forward_choices[] = {
    [FORWARD_NOTHING] = "none", [FORWARD_TCP] = "tcp", [FORWARD_TCP + 1] = NULL};
static const char *const imds_token_choices[] = {[IMDS_TOKENS_OPTIONAL] = "optional",
                                                 [IMDS_TOKENS_REQUIRED] = "required",
                                                 [IMDS_TOKENS_REQUIRED + 1] = NULL};

// --- the table ---

static int parse_keepalive(struct json_in *in, const struct field *f, const json_t *value,
                           char *object)
{
    int64_t ns;

    if (json_in_duration(in, value, &ns) < 0)
        return -ERROR_INVALID;
    if (ns < 50 * NS_PER_MS || ns > 3600 * NS_PER_S)
        return json_in_fail(in, NULL, "must be 50ms to 1h");
    memcpy(object + f->offset, &ns, sizeof(ns));
    return 0;
}

static int parse_duration(struct json_in *in, const struct field *f, const json_t *value,
                          char *object)
{
    int64_t ns;

    if (json_in_duration(in, value, &ns) < 0)
        return -ERROR_INVALID;
    if (ns < 50 * NS_PER_MS)
        return json_in_fail(in, NULL, "must be at least 50ms");
    memcpy(object + f->offset, &ns, sizeof(ns));
    return 0;
}

static int parse_kinds(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    bool *named = (bool *)(void *)(object + f->offset);
    enum kind kind;

    if (!json_is_array(value))
        return json_in_fail(in, NULL, "must be an array of kinds of resources");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *name = json_string_value(json_array_get(value, i));
        if (!name || kind_parse(name, &kind, NULL) < 0 || kind > KIND_ROUTE)
            return json_in_fail(in, NULL,
                                "knows instance, load_balancer, target_pool, address and route");
        named[kind] = true;
    }
    return 0;
}

// Read later, by cli/serve_seed.c.
static int parse_nothing(struct json_in *in, const struct field *f, const json_t *value,
                         char *object)
{
    (void)in, (void)f, (void)value, (void)object;
    return 0;
}

#define POOL(text, member)                                                                   \
    {                                                                                        \
        .name = (text), .type = FIELD_STRING, .offset = offsetof(struct pool_config, member) \
    }

static const struct field pool_fields[] = {POOL("internal_v4", internal_v4),
                                           POOL("internal_v6", internal_v6),
                                           POOL("external_v4", external_v4),
                                           POOL("external_v6", external_v6),
                                           POOL("load_balancer_v4", load_balancer_v4),
                                           POOL("load_balancer_v6", load_balancer_v6),
                                           {0}};
static const struct schema pool_schema = {.name = "address_pools", .fields = pool_fields};
static const struct field host_item = {
    .name = "", .type = FIELD_STRING, .minimum = 1, .maximum = 253};

#define KEPT_MAX INT64_C(1000000000)

// In the order of the flags of --help. A list is a flag that may be repeated.
static const struct field fields[] = {
    {.name = "db",
     .type = FIELD_STRING,
     .offset = AT(db),
     .minimum = 1,
     .maximum = 4000,
     .text = "mockcloud.db"},
    {.name = "listen",
     .type = FIELD_STRING,
     .offset = AT(listen),
     .minimum = 1,
     .maximum = 100,
     .text = "127.0.0.1:9080"},
    {.name = "metadata_listen",
     .type = FIELD_STRING,
     .offset = AT(metadata_listen),
     .present = AT(has_metadata_listen),
     .minimum = 1,
     .maximum = 100,
     .text = "127.0.0.1:9169"},
    {.name = "imds_tokens",
     .type = FIELD_ENUM,
     .offset = AT(imds_tokens),
     .choices = imds_token_choices},
    {.name = "clock",
     .type = FIELD_STRING,
     .offset = AT(clock),
     .present = AT(has_clock),
     .text = "real"},
    {.name = "seed",
     .type = FIELD_INT64,
     .offset = AT(seed),
     .present = AT(has_seed),
     .maximum = INT64_MAX},
    {.name = "log_format", .type = FIELD_ENUM, .offset = AT(log_format), .choices = format_choices},
    {.name = "log_level",
     .type = FIELD_ENUM,
     .offset = AT(log_level),
     .fallback = LOG_INFO,
     .choices = level_choices},
    {.name = "durability",
     .type = FIELD_ENUM,
     .offset = AT(durability),
     .choices = durability_choices},
    {.name = "seed_file",
     .type = FIELD_STRING,
     .offset = AT(seed_file),
     .minimum = 1,
     .maximum = 4000},
    {.name = "record", .type = FIELD_STRING, .offset = AT(record), .minimum = 1, .maximum = 4000},
    {.name = "replay", .type = FIELD_STRING, .offset = AT(replay), .minimum = 1, .maximum = 4000},
    {.name = "token_file",
     .type = FIELD_STRING,
     .offset = AT(token_file),
     .minimum = 1,
     .maximum = 4000},
    {.name = "allowed_host",
     .type = FIELD_LIST,
     .offset = AT(allowed_hosts),
     .count = AT(allowed_host_count),
     .size = sizeof(const char *),
     .maximum = 1000,
     .item = &host_item},
    {.name = "max_body",
     .type = FIELD_INT64,
     .offset = AT(max_body),
     .minimum = 1024,
     .maximum = INT64_C(1) << 30,
     .fallback = 1 << 20},
    {.name = "max_upload",
     .type = FIELD_INT64,
     .offset = AT(max_upload),
     .minimum = 1024,
     .maximum = INT64_C(1) << 40,
     .fallback = INT64_C(4) << 30},
    {.name = "events_kept",
     .type = FIELD_INT64,
     .offset = AT(events_kept),
     .minimum = 1,
     .maximum = KEPT_MAX,
     .fallback = 100000},
    {.name = "calls_kept",
     .type = FIELD_INT64,
     .offset = AT(calls_kept),
     .maximum = CALLS_KEPT_MAX,
     .fallback = CALLS_KEPT_DEFAULT},
    {.name = "keepalive",
     .type = FIELD_PARSED,
     .offset = AT(keepalive_ns),
     .parse = parse_keepalive},
    {.name = "threads", .type = FIELD_INT, .offset = AT(threads), .minimum = 1, .maximum = 64},
    {.name = "forward", .type = FIELD_ENUM, .offset = AT(forward), .choices = forward_choices},
    {.name = "docker_socket",
     .type = FIELD_STRING,
     .offset = AT(docker_socket),
     .minimum = 1,
     .maximum = 200},
    {.name = "docker_resync",
     .type = FIELD_PARSED,
     .offset = AT(docker_resync_ns),
     .parse = parse_duration},
    {.name = "backend_deadline",
     .type = FIELD_PARSED,
     .offset = AT(backend_deadline_ns),
     .parse = parse_duration},
    // no flags
    {.name = "address_pools", .type = FIELD_OBJECT, .offset = AT(pools), .schema = &pool_schema},
    {.name = "duplicate_names",
     .type = FIELD_PARSED,
     .offset = AT(duplicate_names),
     .parse = parse_kinds},
    {.name = "zones", .type = FIELD_PARSED, .parse = parse_nothing},
    {.name = "instance_types", .type = FIELD_PARSED, .parse = parse_nothing},
    {.name = "latencies", .type = FIELD_PARSED, .parse = parse_nothing},
    {0}};
static const struct schema schema = {.name = "serve", .fields = fields};

static const struct field *field_of(const char *name)
{
    const struct field *f = fields;

    while (f->name && strcmp(f->name, name) != 0)
        f++;
    return f->name ? f : NULL;
}

// --- flags ---

// "--events-kept" to "events_kept".
static void key_of(const char *flag, size_t length, char out[32])
{
    length = length < 31 ? length : 31;
    for (size_t i = 0; i < length; i++)
        out[i] = flag[i] == '-' ? '_' : flag[i];
    out[length] = '\0';
}

static void flag_of(const char *key, char out[96])
{
    snprintf(out, 96, "--%.90s", key);
    for (char *at = out; *at; at++)
        *at = *at == '_' ? '-' : *at;
}

static json_t *value_of(const struct field *f, const char *text)
{
    char *end;
    long long number;

    if (f->type != FIELD_INT && f->type != FIELD_INT64)
        return json_string(text);
    errno = 0;
    number = strtoll(text, &end, 10);
    return *text != '\0' && *end == '\0' && errno == 0 ? json_integer(number) : json_string(text);
}

static int set_flag(json_t *flags, const char *flag, const char *key, const char *text,
                    struct error *err)
{
    const struct field *f = field_of(key);
    json_t *value = value_of(f, text), *list;
    bool repeated = json_object_get(flags, key) != NULL;

    if (!value)
        return error_set(err, ERROR_INVALID, flag, "is not UTF-8 text");
    if (f->type == FIELD_LIST) {
        list = repeated ? json_incref(json_object_get(flags, key)) : json_array();
        json_array_append_new(list, value);
        value = list;
    } else if (repeated) {
        json_decref(value);
        return error_set(err, ERROR_INVALID, flag, "is given twice");
    }
    json_object_set_new(flags, key, value);
    return 0;
}

// --flag VALUE or --flag=VALUE. Takes one or two arguments.
static int take_flag(json_t *flags, const char **config, int argc, char **argv, int *at,
                     struct error *err)
{
    const char *argument = argv[*at], *equals = strchr(argument, '='), *text = NULL;
    size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
    char key[32], flag[96];
    const struct field *f;

    if (strncmp(argument, "--", 2) != 0)
        return error_set(err, ERROR_UNKNOWN_FIELD, argument,
                         "is no flag; see mockcloud serve --help");
    key_of(argument + 2, length - 2, key);
    flag_of(key, flag);
    f = field_of(key);
    if (strcmp(key, "config") != 0 && (!f || f->parse == parse_nothing || f->parse == parse_kinds ||
                                       f->type == FIELD_OBJECT || memchr(argument, '_', length)))
        return error_set(err, ERROR_INVALID, argument, "no such flag; see mockcloud serve --help");
    if (equals)
        text = equals + 1;
    else if (*at + 1 < argc)
        text = argv[++*at];
    if (!text)
        return error_set(err, ERROR_INVALID, flag, "needs a value");
    if (f)
        return set_flag(flags, flag, key, text, err);
    *config = text;
    return 0;
}

static int read_flags(int argc, char **argv, json_t *flags, const char **config, struct error *err)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return 1;
        if (take_flag(flags, config, argc, argv, &i, err) < 0)
            return -ERROR_INVALID;
    }
    return 0;
}

// --- files ---

static int read_file(const char *path, struct buffer *out, struct error *err)
{
    FILE *file = fopen(path, "re");
    char block[4096];
    size_t length;

    if (!file)
        return error_set(err, ERROR_INVALID, NULL, "%s: %s", path, strerror(errno));
    while ((length = fread(block, 1, sizeof(block), file)) > 0)
        buffer_append(out, block, length);
    if (ferror(file))
        error_set(err, ERROR_INVALID, NULL, "%s: cannot be read", path);
    fclose(file);
    return err->code ? -ERROR_INVALID : 0;
}

int json_file_load(const char *path, json_t **out, struct error *err)
{
    struct buffer text = {0};
    struct error inner = {0};
    int result = read_file(path, &text, err);

    if (result == 0 && json_in_load(text.data, text.length, out, &inner) < 0)
        result = error_set(err, ERROR_INVALID, NULL, "%s: %s", path, inner.message);
    buffer_fini(&text);
    return result;
}

// --- both ---

static int check_flags(const json_t *flags, struct arena *arena, struct error *err)
{
    struct serve_options scratch = {0};
    struct error inner = {0};
    char flag[96], key[96];

    if (json_in_value(&schema, flags, "", arena, &scratch, &inner) == 0)
        return 0;
    snprintf(key, sizeof(key), "%.*s", (int)strcspn(inner.field, "["), inner.field);
    flag_of(key, flag);
    return error_set(err, ERROR_INVALID, flag, "%s", inner.message);
}

static int check_file(const char *path, const json_t *file, struct arena *arena, struct error *err)
{
    struct serve_options scratch = {0};
    struct error inner = {0};

    if (json_in_value(&schema, file, "", arena, &scratch, &inner) == 0)
        return 0;
    return error_set(err, ERROR_INVALID, NULL, "%s: %s: %s", path, inner.field, inner.message);
}

static int read_both(const char *path, json_t *flags, struct arena *arena,
                     struct serve_options *out, json_t **out_file, struct error *err)
{
    json_t *merged = json_object();
    int result = check_flags(flags, arena, err);

    if (result == 0 && path)
        result = json_file_load(path, out_file, err);
    if (result == 0 && path)
        result = check_file(path, *out_file, arena, err);
    if (result == 0) {
        if (path)
            json_object_update(merged, *out_file);
        json_object_update(merged, flags);
        result = json_in_value(&schema, merged, "", arena, out, err);
    }
    json_decref(merged);
    return result;
}

int serve_options_read(int argc, char **argv, struct arena *arena, struct serve_options *out,
                       json_t **out_file, struct error *err)
{
    json_t *flags = json_object();
    const char *config = NULL, **hosts;
    struct error inner = {0};
    int result = read_flags(argc, argv, flags, &config, err);

    *out = (struct serve_options){0};
    *out_file = NULL;
    if (result == 0)
        result = read_both(config, flags, arena, out, out_file, err);
    json_decref(flags);
    if (result != 0)
        return result;
    hosts = arena_alloc(arena, (out->allowed_host_count + 1) * sizeof(*hosts));
    if (out->allowed_host_count > 0)
        memcpy(hosts, out->allowed_hosts, out->allowed_host_count * sizeof(*hosts));
    out->allowed_hosts = hosts;
    out->keepalive_ns = out->keepalive_ns ? out->keepalive_ns : 15 * NS_PER_S;
    out->catalogue = *out_file;
    out->config = config;
    if (out->record && out->replay)
        return error_set(err, ERROR_INVALID, "--record",
                         "not together with --replay: a recording begins with the cloud");
    if (clock_state_parse(out->clock, &out->clock_state, &inner) < 0)
        return error_set(err, ERROR_INVALID, "--clock", "%s", inner.message);
    return 0;
}
