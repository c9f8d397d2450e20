#include "cli/body.h"
#include "base/ip.h"
#include "base/timefmt.h"
#include "cli/resource.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTENER_FORM "PROTOCOL:PORT:POOL:TARGET-PORT[,OPTION=VALUE]..."

static bool parse_number(const char *text, int64_t low, int64_t high, int64_t *out)
{
    char *end;
    long long n;

    errno = 0;
    n = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n < low || n > high)
        return false;
    *out = n;
    return true;
}

// The next part up to one of `separators`, cut off in place; NULL when there is none.
static char *next_part(char **at, const char *separators)
{
    return *at != NULL ? strsep(at, separators) : NULL;
}

static int set_upper(json_t *object, const char *key, const char *value)
{
    char upper[16];
    size_t i;

    for (i = 0; value[i] != '\0' && i + 1 < sizeof upper; i++)
        upper[i] = (char)(value[i] >= 'a' && value[i] <= 'z' ? value[i] - 'a' + 'A' : value[i]);
    upper[i] = '\0';
    return json_object_set_new(object, key, json_string(upper));
}

static const struct listener_option {
    const char *name;
    const char *field;
    const char *choices; // NULL: seconds
} listener_options[] = {{"proxy", "proxy_protocol", "none,v1,v2"},
                        {"idle", "idle_timeout_seconds", NULL},
                        {"affinity", "session_affinity", "none,client-ip"},
                        {"affinity-timeout", "session_affinity_timeout_seconds", NULL}};

static int set_listener_option(const char *what, char *text, json_t *out, struct failure *f)
{
    char *value = strchr(text, '=');
    int64_t seconds;

    if (value != NULL)
        *value++ = '\0';
    for (size_t i = 0; value != NULL && i < sizeof listener_options / sizeof *listener_options;
         i++) {
        const struct listener_option *o = &listener_options[i];

        if (strcmp(o->name, text) != 0)
            continue;
        if (o->choices == NULL && parse_number(value, 1, 86400, &seconds)) {
            json_object_set_new(out, o->field, json_integer(seconds));
            return EXIT_OK;
        }
        if (o->choices != NULL && spec_choice(o->choices, value, strlen(value))) {
            json_object_set_new(out, o->field, json_string(value));
            return EXIT_OK;
        }
        return fail(f, EXIT_USAGE, "%s: %s: '%s' is not one of %s", what, text, value,
                    o->choices != NULL ? o->choices : "1 to 86400 seconds");
    }
    return fail(f, EXIT_USAGE,
                "%s: unknown option '%s' (proxy=, idle=, affinity=, "
                "affinity-timeout=)",
                what, text);
}

struct listener_parts {
    char *protocol;
    char *port;
    char *pool;
    char *target_port;
    char *options; // NULL: none
};

static bool split_listener(char *text, struct listener_parts *out)
{
    char *ports;

    out->options = text;
    ports = next_part(&out->options, ",");
    out->protocol = next_part(&ports, ":");
    out->port = next_part(&ports, ":");
    out->pool = next_part(&ports, ":");
    out->target_port = next_part(&ports, ":");
    return out->target_port != NULL && ports == NULL && out->pool[0] != '\0';
}

static int fill_listener(const char *what, struct listener_parts *parts, json_t *out,
                         struct failure *f)
{
    int64_t port = 0, target_port = 0;
    char *option;
    int rc = EXIT_OK;

    if (!parse_number(parts->port, 1, 65535, &port) ||
        !parse_number(parts->target_port, 1, 65535, &target_port))
        return fail(f, EXIT_USAGE, "%s: a port is a number from 1 to 65535", what);
    if (!spec_choice("tcp,udp,TCP,UDP", parts->protocol, strlen(parts->protocol)))
        return fail(f, EXIT_USAGE, "%s: unknown protocol '%s' (tcp, udp)", what, parts->protocol);
    set_upper(out, "protocol", parts->protocol);
    json_object_set_new(out, "port", json_integer(port));
    json_object_set_new(out, "target_port", json_integer(target_port));
    while (rc == EXIT_OK && (option = next_part(&parts->options, ",")) != NULL)
        rc = set_listener_option(what, option, out, f);
    return rc;
}

static int make_listener(struct http *h, const char *what, const char *spec, char *text,
                         json_t *out, struct failure *f)
{
    struct listener_parts parts;
    char *id = NULL;
    int rc;

    if (!split_listener(text, &parts))
        return fail(f, EXIT_USAGE, "%s: '%s' is not %s", what, spec, LISTENER_FORM);
    rc = fill_listener(what, &parts, out, f);
    if (rc == EXIT_OK)
        rc = resource_resolve(h, &kind_pool, parts.pool, &id, f);
    if (rc == EXIT_OK)
        json_object_set_new(out, "target_pool_id", json_string(id));
    free(id);
    return rc;
}

int body_listener(struct http *h, const char *what, const char *spec, json_t **out,
                  struct failure *f)
{
    json_t *listener = json_object();
    char *text = strdup(spec);
    int rc = text == NULL ? fail(f, EXIT_REFUSED, "out of memory")
                          : make_listener(h, what, spec, text, listener, f);

    free(text);
    if (rc != EXIT_OK) {
        json_decref(listener);
        return rc;
    }
    *out = listener;
    return EXIT_OK;
}

int body_target(struct http *h, const char *what, const char *text, json_t **out, struct failure *f)
{
    struct ip ip;
    char *id = NULL;
    int rc;

    if (ip_parse(text, &ip, NULL) == 0) {
        *out = json_pack("{ss}", "address", text);
        return EXIT_OK;
    }
    if (strchr(text, ':') != NULL)
        return fail(f, EXIT_USAGE, "%s: '%s' is neither an instance nor an IP address", what, text);
    rc = resource_resolve(h, &kind_instance, text, &id, f);
    if (rc == EXIT_OK)
        *out = json_pack("{ss}", "instance_id", id);
    free(id);
    return rc;
}

static int body_address(const char *what, const char *text, json_t **out, struct failure *f)
{
    static const char types[] = "internal,external,internal-dns,external-dns,hostname";
    const char *equals = strchr(text, '=');
    size_t length = equals != NULL ? (size_t)(equals - text) : 0;

    if (equals != NULL && !spec_choice(types, text, length))
        return fail(f, EXIT_USAGE, "%s: unknown type '%.*s' (%s)", what, (int)length, text, types);
    *out = json_pack("{ss%ss}", "type", equals != NULL ? text : "internal",
                     equals != NULL ? length : strlen("internal"), "address",
                     equals != NULL ? equals + 1 : text);
    return EXIT_OK;
}

static int address_id(struct http *h, const char *text, json_t **out, struct failure *f)
{
    char *id = NULL;
    int rc = resource_resolve(h, &kind_address, text, &id, f);

    if (rc == EXIT_OK)
        *out = json_string(id);
    free(id);
    return rc;
}

static json_t *number_of(const char *text)
{
    int64_t number;

    return parse_number(text, 0, 1000000000, &number) ? json_integer(number) : NULL;
}

static int limit_value(const char *what, const char *text, json_t **out, struct failure *f)
{
    *out = strcmp(text, "none") == 0 ? json_null() : number_of(text);
    return *out != NULL ? EXIT_OK
                        : fail(f, EXIT_USAGE, "%s: '%s' is neither a number nor none", what, text);
}

static int ttl_value(const char *what, const char *text, json_t **out, struct failure *f)
{
    struct error error = {0};
    int64_t ns;

    if (strcmp(text, "none") != 0 && duration_parse(text, &ns, &error) != 0)
        return fail(f, EXIT_USAGE, "%s: %s", what, error.message);
    *out = strcmp(text, "none") == 0 ? json_null() : json_string(text);
    return EXIT_OK;
}

// RATE[:BURST]
static int rate_value(const char *what, const char *text, json_t **out, struct failure *f)
{
    const char *colon = strchr(text, ':');
    double rate;
    char *end;

    if (strcmp(text, "none") == 0) {
        *out = json_null();
        return EXIT_OK;
    }
    errno = 0;
    rate = strtod(text, &end);
    if (errno != 0 || end == text || (*end != '\0' && end != colon) || !isfinite(rate) || rate <= 0)
        return fail(f, EXIT_USAGE, "%s: '%s' is not RATE[:BURST] (per second)", what, text);
    *out = json_pack("{sf}", "rate", rate);
    if (colon == NULL)
        return EXIT_OK;
    json_object_set_new(*out, "burst", number_of(colon + 1));
    if (json_object_size(*out) == 2)
        return EXIT_OK;
    json_decref(*out);
    return fail(f, EXIT_USAGE, "%s: '%s' is not a number of tokens", what, colon + 1);
}

static int option_value(struct http *h, const struct option *option, json_t **out,
                        struct failure *f)
{
    const struct flag *flag = option->flag;
    char what[64];

    snprintf(what, sizeof what, "--%s", flag->name);
    switch (flag->type) {
    case FLAG_BOOL:
        *out = json_boolean(!flag->negated);
        return EXIT_OK;
    case FLAG_INT:
        *out = json_integer(strtoll(option->value, NULL, 10));
        return EXIT_OK;
    case FLAG_LIMIT:
        return limit_value(what, option->value, out, f);
    case FLAG_TTL:
        return ttl_value(what, option->value, out, f);
    case FLAG_RATE:
        return rate_value(what, option->value, out, f);
    case FLAG_LISTENER:
        return body_listener(h, what, option->value, out, f);
    case FLAG_TARGET:
        return body_target(h, what, option->value, out, f);
    case FLAG_ADDRESS:
        return body_address(what, option->value, out, f);
    case FLAG_ADDRESS_ID:
        return address_id(h, option->value, out, f);
    default:
        *out = json_string(option->value);
        return *out != NULL ? EXIT_OK : fail(f, EXIT_USAGE, "%s: not UTF-8 text", what);
    }
}

// The object that holds the last part of `field`, made on the way; *out_last is that part.
static json_t *descend(json_t *body, const char *field, const char **out_last)
{
    const char *dot;
    char name[64];

    for (; (dot = strchr(field, '.')) != NULL; field = dot + 1) {
        json_t *inner;

        snprintf(name, sizeof name, "%.*s", (int)(dot - field), field);
        inner = json_object_get(body, name);
        if (inner == NULL) {
            inner = json_object();
            json_object_set_new(body, name, inner);
        }
        body = inner;
    }
    *out_last = field;
    return body;
}

void body_set(json_t *body, const char *field, json_t *value)
{
    const char *last;
    json_t *object = descend(body, field, &last);

    json_object_set_new(object, last, value);
}

static json_t *inner_value(json_t *body, const char *field, json_t *fresh)
{
    json_t *there = json_object_get(body, field);

    if (there != NULL) {
        json_decref(fresh);
        return there;
    }
    json_object_set_new(body, field, fresh);
    return fresh;
}

// The value of a tag in a body: null deletes it, or stands for any.
static json_t *tag_value(const struct option *option)
{
    const char *value = strchr(option->value, '=');

    return value != NULL && option->flag->type != FLAG_TAG_KEY ? json_string(value + 1)
                                                               : json_null();
}

static int set_tag(json_t *object, const char *field, const struct option *option,
                   struct failure *f)
{
    json_t *tags = inner_value(object, field, json_object());
    const char *value = option->value;
    size_t length = strcspn(value, "=");
    char key[256];
    json_t *json = tag_value(option);

    if (length >= sizeof key || json == NULL) {
        json_decref(json);
        return fail(f, EXIT_USAGE, "--%s: '%s' is not a tag", option->flag->name, value);
    }
    memcpy(key, value, length);
    key[length] = '\0';
    if (option->flag->type == FLAG_TAG_ANY && json_object_get(tags, key) != NULL) {
        json_decref(json);
        return fail(f, EXIT_USAGE, "--%s: %s is given twice", option->flag->name, key);
    }
    if (json_object_set_new(tags, key, json) != 0)
        return fail(f, EXIT_USAGE, "--%s: '%s' is not a tag", option->flag->name, value);
    return EXIT_OK;
}

// KEY=N into an object; "none" alone leaves it empty.
static int set_number(json_t *object, const char *field, const struct option *option,
                      struct failure *f)
{
    json_t *numbers = inner_value(object, field, json_object());
    const char *value = option->value;
    size_t length = strcspn(value, "=");
    json_t *number = value[length] == '=' ? number_of(value + length + 1) : NULL;
    char key[256];

    if (strcmp(value, "none") == 0)
        return EXIT_OK;
    if (number == NULL || length == 0 || length >= sizeof key) {
        json_decref(number);
        return fail(f, EXIT_USAGE, "--%s: '%s' is not NAME=N", option->flag->name, value);
    }
    snprintf(key, sizeof key, "%.*s", (int)length, value);
    if (json_object_set_new(numbers, key, number) != 0)
        return fail(f, EXIT_USAGE, "--%s: '%s' is not UTF-8 text", option->flag->name, value);
    return EXIT_OK;
}

static int set_option(struct http *h, json_t *body, const struct option *option, struct failure *f)
{
    const char *last;
    json_t *object = descend(body, option->flag->field, &last);
    json_t *value = NULL, *array;
    int rc;

    if (option->flag->type == FLAG_TAG || option->flag->type == FLAG_TAG_KEY ||
        option->flag->type == FLAG_TAG_ANY)
        return set_tag(object, last, option, f);
    if (option->flag->type == FLAG_NUMBERS)
        return set_number(object, last, option, f);
    if (option->flag->repeat) {
        array = inner_value(object, last, json_array());
        if (strcmp(option->value, "none") == 0)
            return EXIT_OK;
        rc = option_value(h, option, &value, f);
        if (rc == EXIT_OK && json_array_append_new(array, value) != 0)
            rc = fail(f, EXIT_REFUSED, "out of memory");
        return rc;
    }
    rc = option_value(h, option, &value, f);
    if (rc == EXIT_OK && json_object_set_new(object, last, value) != 0)
        rc = fail(f, EXIT_REFUSED, "out of memory");
    return rc;
}

int body_build(struct http *h, const struct command *c, json_t **out, struct failure *f)
{
    json_t *body = json_object();

    for (size_t i = 0; i < c->option_count; i++) {
        if (c->options[i].flag->use == USE_BODY) {
            int rc = set_option(h, body, &c->options[i], f);

            if (rc != EXIT_OK) {
                json_decref(body);
                return rc;
            }
        }
    }
    *out = body;
    return EXIT_OK;
}

static int check_duration(const char *name, const char *text, struct failure *f)
{
    struct error error = {0};
    int64_t ns;

    if (text == NULL || duration_parse(text, &ns, &error) != 0) {
        return fail(f, EXIT_USAGE, "%s: %s", name,
                    text != NULL ? error.message : "a duration is missing");
    }
    return EXIT_OK;
}

static int two_durations(const char *name, const char *distribution, const char *first,
                         const char *a, const char *second, const char *b, json_t **out,
                         struct failure *f)
{
    if (check_duration(name, a, f) != EXIT_OK || check_duration(name, b, f) != EXIT_OK)
        return EXIT_USAGE;
    *out = json_pack("{ssssss}", "distribution", distribution, first, a, second, b);
    return EXIT_OK;
}

static int parse_shape(const char *name, char *shape, json_t **out, struct failure *f)
{
    char *dots = strstr(shape, "..");
    char *colon = strchr(shape, ':');
    char *second;

    if (dots != NULL) {
        *dots = '\0';
        return two_durations(name, "uniform", "min", shape, "max", dots + 2, out, f);
    }
    if (colon != NULL) {
        *colon = '\0';
        second = strchr(colon + 1, ':');
        if (second != NULL)
            *second++ = '\0';
        if (!spec_choice("normal,lognormal", shape, strlen(shape))) {
            return fail(f, EXIT_USAGE, "%s: unknown distribution '%s' (normal, lognormal)", name,
                        shape);
        }
        return two_durations(name, shape, "mean", colon + 1, "stddev", second, out, f);
    }
    if (check_duration(name, shape, f) != EXIT_OK)
        return EXIT_USAGE;
    *out = json_pack("{ssss}", "distribution", "fixed", "value", shape);
    return EXIT_OK;
}

int body_distribution(const char *name, const char *shape, json_t **out, struct failure *f)
{
    char *text = strdup(shape);
    int rc =
        text != NULL ? parse_shape(name, text, out, f) : fail(f, EXIT_REFUSED, "out of memory");

    free(text);
    return rc;
}
