// The cells of tables: values of documents as short text.
#include "base/timefmt.h"
#include "cli/output.h"

#include <inttypes.h>
#include <string.h>

static const json_t *value_at(const json_t *item, const char *path)
{
    while (item != NULL) {
        size_t length = strcspn(path, ".");

        item = json_object_getn(item, path, length);
        if (path[length] == '\0')
            return item;
        path += length + 1;
    }
    return NULL;
}

static void append_scalar(struct buffer *cell, const json_t *value)
{
    if (json_is_string(value))
        buffer_append(cell, json_string_value(value), json_string_length(value));
    else if (json_is_integer(value))
        buffer_printf(cell, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        buffer_printf(cell, "%g", json_real_value(value));
    else if (json_is_boolean(value))
        buffer_append_string(cell, json_is_true(value) ? "yes" : "no");
}

// The value of the first field of "a|b" that is there.
static const json_t *first_of(const json_t *item, const char *fields, size_t length)
{
    while (length > 0) {
        size_t n = 0;
        const json_t *value;

        while (n < length && fields[n] != '|')
            n++;
        value = json_object_getn(item, fields, n);
        if (value != NULL)
            return value;
        n += n < length;
        fields += n;
        length -= n;
    }
    return NULL;
}

// "protocol/port>target_port": names stand for fields, the rest for itself.
static void append_formatted(struct buffer *cell, const json_t *item, const char *format)
{
    if (format == NULL || !json_is_object(item)) {
        append_scalar(cell, item);
        return;
    }
    while (*format != '\0') {
        size_t n = strspn(format, "abcdefghijklmnopqrstuvwxyz_|");

        if (n > 0) {
            append_scalar(cell, first_of(item, format, n));
        } else {
            buffer_append(cell, format, 1);
            n = 1;
        }
        format += n;
    }
}

static void append_list(struct buffer *cell, const json_t *list, const char *format)
{
    size_t i;
    const json_t *item;

    if (!json_is_array(list)) {
        append_formatted(cell, list, format);
        return;
    }
    json_array_foreach(list, i, item)
    {
        if (i > 0)
            buffer_append_string(cell, ",");
        append_formatted(cell, item, format);
    }
}

static void append_addresses(struct buffer *cell, const json_t *list, const char *type)
{
    size_t i, length = cell->length;
    const json_t *item;

    json_array_foreach(list, i, item)
    {
        const char *its_type = json_string_value(json_object_get(item, "type"));

        if (type != NULL && (its_type == NULL || strcmp(type, its_type) != 0))
            continue;
        if (cell->length > length)
            buffer_append_string(cell, ",");
        append_scalar(cell, json_object_get(item, "address"));
    }
}

static void append_count(struct buffer *cell, const json_t *list, const char *condition)
{
    size_t i, count = 0;
    const json_t *item;

    json_array_foreach(list, i, item)
    {
        size_t length = condition != NULL ? strcspn(condition, "=") : 0;
        const char *value =
            condition != NULL ? json_string_value(json_object_getn(item, condition, length)) : NULL;

        count += condition == NULL || (value != NULL && strcmp(value, condition + length + 1) == 0);
    }
    buffer_printf(cell, "%zu", count);
}

static void append_tags(struct buffer *cell, const json_t *tags)
{
    const char *separator = "";
    void *at;

    for (at = json_object_iter((json_t *)(uintptr_t)tags); at != NULL;
         at = json_object_iter_next((json_t *)(uintptr_t)tags, at)) {
        buffer_printf(cell, "%s%s=", separator, json_object_iter_key(at));
        append_scalar(cell, json_object_iter_value(at));
        separator = ",";
    }
}

// {"error": {"status": 503}} as error(status=503).
static void append_named(struct buffer *cell, const json_t *object)
{
    void *at = json_object_iter((json_t *)(uintptr_t)object);

    if (at == NULL)
        return;
    buffer_append_string(cell, json_object_iter_key(at));
    if (json_object_size(json_object_iter_value(at)) == 0)
        return;
    buffer_append_string(cell, "(");
    append_tags(cell, json_object_iter_value(at));
    buffer_append_string(cell, ")");
}

void output_age(int64_t age_ns, struct buffer *cell)
{
    int64_t s = age_ns > 0 ? age_ns / NS_PER_S : 0;

    if (s < 120)
        buffer_printf(cell, "%" PRId64 "s", s);
    else if (s < 600 && s % 60 != 0)
        buffer_printf(cell, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
    else if (s < 3 * 3600)
        buffer_printf(cell, "%" PRId64 "m", s / 60);
    else if (s < 48 * 3600)
        buffer_printf(cell, "%" PRId64 "h", s / 3600);
    else
        buffer_printf(cell, "%" PRId64 "d", s / 86400);
}

// As of the answer that it stands in; without cloud time it is the time itself.
static void append_age(const struct output *out, struct buffer *cell, const json_t *value)
{
    int64_t created, now;

    if (!json_is_string(value))
        return;
    if (out->http == NULL || !http_cloud_time(out->http, &now) ||
        time_parse(json_string_value(value), &created, NULL) != 0)
        append_scalar(cell, value);
    else
        output_age(now - created, cell);
}

// A terminal obeys control characters, and tags may hold any: show '?' for C0, DEL and C1.
static void neutralise(struct buffer *cell)
{
    for (size_t i = 0; i < cell->length; i++) {
        unsigned char c = (unsigned char)cell->data[i];
        unsigned char next = i + 1 < cell->length ? (unsigned char)cell->data[i + 1] : 0;

        if (c < ' ' || c == 0x7f) {
            cell->data[i] = '?';
        } else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
            cell->data[i] = '?';
            cell->data[i + 1] = '?';
        }
    }
}

void output_cell(struct output *out, const struct column *column, const json_t *item,
                 struct buffer *cell)
{
    const json_t *value = value_at(item, column->path);

    switch (column->format) {
    case COLUMN_AGE:
        append_age(out, cell, value);
        break;
    case COLUMN_ADDRESS:
        append_addresses(cell, value, column->parameter);
        break;
    case COLUMN_TAGS:
        append_tags(cell, value);
        break;
    case COLUMN_COUNT:
        append_count(cell, value, column->parameter);
        break;
    case COLUMN_LIST:
        append_list(cell, value, column->parameter);
        break;
    case COLUMN_NAMED:
        append_named(cell, value);
        break;
    default:
        append_scalar(cell, value);
    }
    neutralise(cell);
    if (cell->length == 0)
        buffer_append_string(cell, "-");
}
