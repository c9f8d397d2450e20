// Merge patches (RFC 7396) of fault rules: which fields there are is checked when the request
// comes, the rest on the writer, where the rule is known.
#include "api/bodies.h"
#include "api/bodies_fault.h"
#include "sim/change.h"

#include <string.h>

static const char *const patched[] = {"name", "enabled", "match", "when", "effect", NULL};

// --- which fields there are ---

// Also of fields that are deleted: a null for one that does not exist is a mistake, too.
static int check_fields(struct json_in *in, const struct schema *schema, const char *where,
                        const json_t *patch)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)patch, key, value)
    {
        const struct field *f = schema->fields;
        char path[160];

        while (f->name && strcmp(f->name, key) != 0)
            f++;
        snprintf(path, sizeof(path), "%s%s%s", where, where[0] ? "." : "", key);
        if (!f->name)
            return json_in_unknown(in, path);
        if (f->type == FIELD_OBJECT && check_fields(in, f->schema, path, value) < 0)
            return -ERROR_UNKNOWN_FIELD;
    }
    return 0;
}

static int parse_part(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    (void)object;
    if (json_is_null(value) && !f->schema)
        return json_in_fail(in, NULL, "is required");
    if (!json_is_object(value) && !json_is_null(value))
        return json_in_fail(in, NULL, "must be an object");
    return f->schema ? check_fields(in, f->schema, "", value) : 0;
}

static int parse_match(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    int result = parse_part(in, f, value, object);

    return result < 0 ? result : check_fields(in, &fault_match_schema, "", value);
}

static int parse_effect(struct json_in *in, const struct field *f, const json_t *value,
                        char *object)
{
    int result = parse_part(in, f, value, object);
    const char *key;
    json_t *details;

    if (result < 0)
        return result;
    json_object_foreach((json_t *)(uintptr_t)value, key, details)
    {
        const struct schema *schema = fault_effect_schema(key);

        if (!schema)
            return json_in_unknown(in, key);
        if (check_fields(in, schema, key, details) < 0)
            return -ERROR_UNKNOWN_FIELD;
    }
    return 0;
}

static int parse_any(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    (void)in, (void)f, (void)value, (void)object;
    return 0;
}

static const struct field fields[] = {
    {.name = "name", .type = FIELD_PARSED, .parse = parse_any},
    {.name = "enabled", .type = FIELD_PARSED, .parse = parse_any},
    {.name = "match", .type = FIELD_PARSED, .parse = parse_match},
    {.name = "when", .type = FIELD_PARSED, .schema = &fault_when_schema, .parse = parse_part},
    {.name = "effect", .type = FIELD_PARSED, .parse = parse_effect},
    {0}};
const struct schema body_fault_update = {.name = "FaultUpdate", .fields = fields, .minimum = 1};

// --- merging ---

static void merge_into(json_t *target, const json_t *patch)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)patch, key, value)
    {
        if (json_is_null(value)) {
            json_object_del(target, key);
        } else if (json_is_object(value)) {
            if (!json_is_object(json_object_get(target, key)))
                json_object_set_new(target, key, json_object());
            merge_into(json_object_get(target, key), value);
        } else {
            json_object_set(target, key, value);
        }
    }
}

// What of the rule's document a body has.
static json_t *body_of(struct bytes rule)
{
    json_t *document = json_loadb(rule.data, rule.length, 0, NULL), *body = json_object();

    for (const char *const *key = patched; *key; key++)
        if (json_object_get(document, *key))
            json_object_set(body, *key, json_object_get(document, *key));
    json_decref(document);
    return body;
}

static int merge(struct bytes patch, struct bytes rule, struct arena *arena, struct fault_spec *out,
                 struct error *err)
{
    json_t *given = json_loadb(patch.data, patch.length, 0, NULL), *body = body_of(rule);
    int result;

    merge_into(body, given);
    result = json_in_value(&body_fault_create, body, "", arena, out, err);
    json_decref(given);
    json_decref(body);
    return result;
}

void fault_patch_set(struct change *c, struct bytes text)
{
    struct fault_patch *patch = &c->request.fault_patch;

    patch->merge = merge;
    patch->text = (struct bytes){arena_strndup(&c->arena, text.data, text.length), text.length};
}
