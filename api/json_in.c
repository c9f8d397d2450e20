#include "api/json_in.h"

#include "base/timefmt.h"
#include "sim/change.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_LENGTH_MAX 253
#define TAGS_MAX 50
#define TAG_KEY_MAX 128
#define TAG_VALUE_MAX 256

static int read_value(struct json_in *in, const struct field *f, const json_t *value, char *object);

// --- the path ---

static void path_put(struct json_in *in, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void path_put(struct json_in *in, const char *format, ...)
{
    size_t room = sizeof(in->path) - in->path_length;
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(in->path + in->path_length, room, format, args);
    va_end(args);
    if (length > 0)
        in->path_length += (size_t)length < room ? (size_t)length : room - 1;
}

static void path_put_field(struct json_in *in, const char *name)
{
    path_put(in, "%s%s", in->path_length > 0 && name[0] != '[' ? "." : "", name);
}

static void path_cut(struct json_in *in, size_t length)
{
    in->path_length = length;
    in->path[length] = '\0';
}

static int fail_code(struct json_in *in, enum error_code code, const char *message)
{
    return error_set(in->err, code, in->path[0] ? in->path : "body", "%s", message);
}

int json_in_fail(struct json_in *in, const char *field, const char *format, ...)
{
    size_t before = in->path_length;
    char message[sizeof(in->err->message)];
    va_list args;
    int result;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (field)
        path_put_field(in, field);
    result = fail_code(in, ERROR_INVALID, message);
    path_cut(in, before);
    return result;
}

int json_in_unknown(struct json_in *in, const char *field)
{
    size_t before = in->path_length;
    int result;

    path_put_field(in, field);
    result = fail_code(in, ERROR_UNKNOWN_FIELD, "no such field");
    path_cut(in, before);
    return result;
}

int json_in_repeat(struct json_in *in, const char *field, const struct error *other)
{
    return json_in_fail(in, field, "%s", other->message);
}

int json_in_duration(struct json_in *in, const json_t *value, int64_t *out_ns)
{
    struct error other = {0};
    const char *text = json_in_string(in, value);

    if (!text)
        return -ERROR_INVALID;
    return duration_parse(text, out_ns, &other) < 0 ? json_in_repeat(in, NULL, &other) : 0;
}

// --- names ---

static bool lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool name_valid(const char *name, size_t length)
{
    if (length == 0 || length > NAME_LENGTH_MAX)
        return false;
    if (!lower_alnum(name[0]) || !lower_alnum(name[length - 1]))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!lower_alnum(name[i]) && name[i] != '-' && name[i] != '.')
            return false;
    return true;
}

bool hostname_valid(const char *name)
{
    char lower[NAME_LENGTH_MAX + 1];
    size_t length = strlen(name);

    if (length >= sizeof(lower))
        return false;
    for (size_t i = 0; i < length; i++)
        lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + ('a' - 'A')) : name[i];
    return name_valid(lower, length);
}

static size_t characters(const char *text)
{
    size_t count = 0;

    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

// --- values ---

const char *json_in_string(struct json_in *in, const json_t *value)
{
    if (!json_is_string(value)) {
        json_in_fail(in, NULL, "must be a string");
        return NULL;
    }
    if (strlen(json_string_value(value)) != json_string_length(value)) {
        json_in_fail(in, NULL, "must not contain NUL");
        return NULL;
    }
    return arena_strndup(in->arena, json_string_value(value), json_string_length(value));
}

static int read_string(struct json_in *in, const struct field *f, const json_t *value, char *out)
{
    const char *text = json_in_string(in, value);
    int64_t length;

    if (!text)
        return -ERROR_INVALID;
    if (f->type == FIELD_NAME && !name_valid(text, strlen(text)))
        return json_in_fail(
            in, NULL,
            "must be 1 to 253 of a-z, 0-9, '-' and '.', beginning and ending with a "
            "letter or digit");
    length = (int64_t)characters(text);
    if (length < f->minimum || (f->maximum > 0 && length > f->maximum))
        return json_in_fail(in, NULL, "must have %lld to %lld characters", (long long)f->minimum,
                            (long long)f->maximum);
    memcpy(out, &text, sizeof(text));
    return 0;
}

static int read_enum(struct json_in *in, const struct field *f, const json_t *value, char *out)
{
    const char *text = json_string_value(value);
    char list[160] = "";
    size_t used = 0;

    if (!text)
        return json_in_fail(in, NULL, "must be a string");
    for (int i = 0; f->choices[i]; i++) {
        if (strcmp(f->choices[i], text) == 0) {
            memcpy(out, &i, sizeof(i));
            return 0;
        }
        if (used < sizeof(list))
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
                                     f->choices[i]);
    }
    return json_in_fail(in, NULL, "must be one of %s", list);
}

// JSON knows one kind of number: 3.0 is an integer too.
static bool integral(const json_t *value, int64_t *out)
{
    double real = json_real_value(value);

    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return true;
    }
    if (!json_is_real(value) || real != trunc(real) || fabs(real) > 9007199254740992.0)
        return false;
    *out = (int64_t)real;
    return true;
}

static int read_int(struct json_in *in, const struct field *f, const json_t *value, char *out)
{
    int64_t number;
    int small;

    if (!integral(value, &number))
        return json_in_fail(in, NULL, "must be an integer");
    if (number < f->minimum || number > f->maximum)
        return json_in_fail(in, NULL, "must be %lld to %lld", (long long)f->minimum,
                            (long long)f->maximum);
    small = (int)number;
    if (f->type == FIELD_INT)
        memcpy(out, &small, sizeof(small));
    else
        memcpy(out, &number, sizeof(number));
    return 0;
}

static int read_double(struct json_in *in, const struct field *f, const json_t *value, char *out)
{
    double number = json_number_value(value);

    if (!json_is_number(value))
        return json_in_fail(in, NULL, "must be a number");
    if (number < (double)f->minimum || number > (double)f->maximum)
        return json_in_fail(in, NULL, "must be %lld to %lld", (long long)f->minimum,
                            (long long)f->maximum);
    memcpy(out, &number, sizeof(number));
    return 0;
}

static int read_bool(struct json_in *in, const json_t *value, char *out)
{
    bool flag = json_is_true(value);

    if (!json_is_boolean(value))
        return json_in_fail(in, NULL, "must be true or false");
    memcpy(out, &flag, sizeof(flag));
    return 0;
}

static int read_tag(struct json_in *in, bool patch, const char *key, const json_t *value,
                    struct tag_patch *out)
{
    if (*key == '\0' || strlen(key) > TAG_KEY_MAX)
        return json_in_fail(in, NULL, "a key has 1 to %d bytes", TAG_KEY_MAX);
    out->key = arena_strdup(in->arena, key);
    if (patch && json_is_null(value))
        return 0;
    out->value = json_in_string(in, value);
    if (!out->value)
        return -ERROR_INVALID;
    if (json_string_length(value) > TAG_VALUE_MAX)
        return json_in_fail(in, NULL, "a value has at most %d bytes", TAG_VALUE_MAX);
    return 0;
}

static int read_tags(struct json_in *in, const struct field *f, const json_t *value, char *out)
{
    struct tags_spec tags = {.count = json_object_size(value)};
    size_t before = in->path_length;
    const char *key;
    json_t *item;
    size_t i = 0;

    if (!json_is_object(value))
        return json_in_fail(in, NULL, "must be an object");
    if (tags.count > TAGS_MAX)
        return json_in_fail(in, NULL, "must have at most %d tags", TAGS_MAX);
    tags.items = arena_alloc(in->arena, tags.count * sizeof(*tags.items) + 1);
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        int result;
        path_put_field(in, key);
        result = read_tag(in, f->type == FIELD_TAGS_PATCH, key, item, &tags.items[i++]);
        if (result < 0)
            return result;
        path_cut(in, before);
    }
    memcpy(out, &tags, sizeof(tags));
    return 0;
}

int json_in_tags(struct json_in *in, const json_t *value, struct tags_spec *out)
{
    static const struct field as_tags = {.type = FIELD_TAGS};

    return read_tags(in, &as_tags, value, (char *)out);
}

static int read_list(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    size_t count = json_array_size(value);
    char *items;

    if (!json_is_array(value))
        return json_in_fail(in, NULL, "must be an array");
    if ((int64_t)count < f->minimum || (int64_t)count > f->maximum)
        return json_in_fail(in, NULL, "must have %lld to %lld items", (long long)f->minimum,
                            (long long)f->maximum);
    items = arena_alloc(in->arena, count * f->size + 1);
    for (size_t i = 0; i < count; i++) {
        int result = json_in_item(in, f->item, value, i, items + i * f->size);
        if (result < 0)
            return result;
    }
    memcpy(object + f->offset, &items, sizeof(items));
    memcpy(object + f->count, &count, sizeof(count));
    return 0;
}

static int read_value(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    char *out = object + f->offset;

    switch (f->type) {
    case FIELD_STRING:
    case FIELD_NAME:
        return read_string(in, f, value, out);
    case FIELD_ENUM:
        return read_enum(in, f, value, out);
    case FIELD_INT:
    case FIELD_INT64:
        return read_int(in, f, value, out);
    case FIELD_DOUBLE:
        return read_double(in, f, value, out);
    case FIELD_BOOL:
        return read_bool(in, value, out);
    case FIELD_TAGS:
    case FIELD_TAGS_PATCH:
        return read_tags(in, f, value, out);
    case FIELD_OBJECT:
        return json_in_object(in, f->schema, value, out);
    case FIELD_LIST:
        return read_list(in, f, value, object);
    case FIELD_PARSED:
        break;
    }
    return f->parse(in, f, value, object);
}

int json_in_item(struct json_in *in, const struct field *item, const json_t *list, size_t index,
                 void *out)
{
    size_t before = in->path_length;
    int result;

    path_put(in, "[%zu]", index);
    result = read_value(in, item, json_array_get(list, index), out);
    if (result >= 0)
        path_cut(in, before);
    return result;
}

// --- objects ---

static void set_fallback(const struct field *f, char *out)
{
    int small = (int)f->fallback;
    bool flag = f->fallback != 0;

    if (f->type == FIELD_INT || f->type == FIELD_ENUM)
        memcpy(out, &small, sizeof(small));
    else if (f->type == FIELD_INT64)
        memcpy(out, &f->fallback, sizeof(f->fallback));
    else if (f->type == FIELD_BOOL)
        memcpy(out, &flag, sizeof(flag));
    else if (f->type == FIELD_STRING && f->text)
        memcpy(out, &f->text, sizeof(f->text));
}

static void set_fallbacks(const struct schema *schema, char *object)
{
    for (const struct field *f = schema->fields; f->name; f++) {
        if (f->type == FIELD_OBJECT)
            set_fallbacks(f->schema, object + f->offset);
        else
            set_fallback(f, object + f->offset);
    }
}

static int refuse_unknown(struct json_in *in, const struct schema *schema, const json_t *value)
{
    const char *key;
    json_t *item;

    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        const struct field *f = schema->fields;
        while (f->name && strcmp(f->name, key) != 0)
            f++;
        if (!f->name) {
            path_put_field(in, key);
            return fail_code(in, ERROR_UNKNOWN_FIELD, "no such field");
        }
    }
    return 0;
}

static int read_field(struct json_in *in, const struct field *f, const json_t *given, char *object)
{
    const json_t *value = json_object_get(given, f->name);
    size_t before = in->path_length;
    bool present = true;
    int result;

    if (!value)
        return f->required ? json_in_fail(in, f->name, "is required") : 0;
    path_put_field(in, f->name);
    result = read_value(in, f, value, object);
    if (result < 0)
        return result;
    path_cut(in, before);
    if (f->present)
        memcpy(object + f->present, &present, sizeof(present));
    return 0;
}

static int read_fields(struct json_in *in, const struct schema *schema, const json_t *value,
                       void *object)
{
    int result = 0;

    set_fallbacks(schema, object);
    for (const struct field *f = schema->fields; f->name && result >= 0; f++)
        result = read_field(in, f, value, object);
    return result;
}

int json_in_object(struct json_in *in, const struct schema *schema, const json_t *value,
                   void *object)
{
    void *given = schema->size > 0 ? arena_alloc(in->arena, schema->size) : object;
    int result;

    if (!json_is_object(value))
        return json_in_fail(in, NULL, "must be an object");
    result = refuse_unknown(in, schema, value);
    if (result < 0)
        return result;
    if (json_object_size(value) < schema->minimum)
        return json_in_fail(in, NULL, "must name at least one field");
    result = read_fields(in, schema, value, given);
    if (result >= 0 && schema->check)
        result = schema->check(in, given);
    if (result >= 0 && schema->convert)
        result = schema->convert(in, given, object);
    return result;
}

int json_in_value(const struct schema *schema, const json_t *value, const char *where,
                  struct arena *arena, void *object, struct error *err)
{
    struct json_in in = {.arena = arena, .err = err};

    path_put(&in, "%s", where);
    return json_in_object(&in, schema, value, object);
}

// --- documents ---

// jansson has a limit of its own (2,048), far above ours.
static bool too_deep(const char *text, size_t length)
{
    bool quoted = false;
    unsigned depth = 0;

    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '[') && ++depth > JSON_DEPTH_MAX)
            return true;
        else if (!quoted && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return false;
}

int json_in_load(const char *text, size_t length, json_t **out, struct error *err)
{
    json_error_t problem;
    json_t *document;

    if (length == 0)
        return error_set(err, ERROR_MALFORMED, NULL, "a JSON document is required");
    if (too_deep(text, length))
        return error_set(err, ERROR_MALFORMED, NULL, "nested more than %d deep", JSON_DEPTH_MAX);
    document = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
    if (!document)
        return error_set(err, ERROR_MALFORMED, NULL, "line %d, column %d: %s", problem.line,
                         problem.column, problem.text);
    *out = document;
    return 0;
}

int json_in_body(const struct schema *schema, const char *text, size_t length, struct arena *arena,
                 void *object, struct error *err)
{
    json_t *document = NULL;
    int result = json_in_load(text, length, &document, err);

    if (result < 0)
        return result;
    result = json_in_value(schema, document, "", arena, object, err);
    json_decref(document);
    return result;
}
