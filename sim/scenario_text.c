// ${variables} in the strings of a running scenario.
#include "base/timefmt.h"
#include "sim/scenario.h"
#include "sim/txn.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct scenario_variable *find(const struct scenario *s, const char *name,
                                            size_t length)
{
    for (size_t i = 0; i < s->variable_count; i++) {
        const struct scenario_variable *v = &s->variables[i];
        if (strlen(v->name) == length && memcmp(v->name, name, length) == 0)
            return v;
    }
    return NULL;
}

void scenario_set(struct txn *t, struct scenario *s, const char *name, const char *value)
{
    const struct scenario_variable *known = find(s, name, strlen(name));
    struct scenario_variable *all = arena_alloc(t->arena, (s->variable_count + 1) * sizeof(*all));

    for (size_t i = 0; i < s->variable_count; i++) {
        all[i] = s->variables[i];
        if (&s->variables[i] == known)
            all[i].value = value;
    }
    if (!known)
        all[s->variable_count++] = (struct scenario_variable){.name = name, .value = value};
    s->variables = all;
}

static bool is(const char *name, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(name, word, length) == 0;
}

// What is known without a variable of that name.
static const char *built_in(struct txn *t, const struct scenario_context *c, const char *name,
                            size_t length, bool *out_number)
{
    char now[TIME_TEXT_MAX];

    *out_number = true;
    if (is(name, length, "index"))
        return arena_printf(t->arena, "%" PRId64, c->index);
    if (is(name, length, "firing") && c->step)
        return arena_printf(t->arena, "%" PRId64, c->step->fired + 1);
    *out_number = false;
    if (is(name, length, "scenario"))
        return c->scenario->r.id;
    if (is(name, length, "id"))
        return c->target;
    if (is(name, length, "event"))
        return c->event;
    if (is(name, length, "now")) {
        time_format(t->now_ns, now);
        return arena_strdup(t->arena, now);
    }
    return NULL;
}

static const char *value_of(struct txn *t, const struct scenario_context *c, const char *name,
                            size_t length, bool *out_number)
{
    const struct scenario_variable *v = find(c->scenario, name, length);

    if (!v)
        return built_in(t, c, name, length, out_number);
    *out_number = v->is_number;
    return v->value;
}

static void put_json(struct buffer *out, const char *value)
{
    struct buffer quoted;
    struct json_writer w;

    buffer_init(&quoted);
    jw_init(&w, &quoted);
    jw_string(&w, value);
    if (quoted.length > 2)
        buffer_append(out, quoted.data + 1, quoted.length - 2);
    buffer_fini(&quoted);
}

// A number that is all of a JSON string: the quote before it goes, the one behind it is passed
// over.
static size_t put_value(struct buffer *out, const char *value, bool json, bool number,
                        const char *rest)
{
    if (json && number && out->length > 0 && out->data[out->length - 1] == '"' && *rest == '"') {
        out->length--;
        buffer_append_string(out, value);
        return 1;
    }
    if (json)
        put_json(out, value);
    else
        buffer_append_string(out, value);
    return 0;
}

static int expand(struct txn *t, const struct scenario_context *c, const char *text, bool json,
                  struct buffer *out, struct error *err)
{
    const char *at = text, *next;

    while ((next = strstr(at, "${")) != NULL) {
        const char *end = strchr(next, '}'), *value;
        bool number;

        if (!end || (next > at && next[-1] == '$')) { // $${ stands for ${
            buffer_append(out, at, (size_t)(next - at) - (end ? 1 : 0));
            buffer_append(out, "${", 2);
            at = next + 2;
            continue;
        }
        buffer_append(out, at, (size_t)(next - at));
        value = value_of(t, c, next + 2, (size_t)(end - next) - 2, &number);
        if (!value)
            return error_set(err, ERROR_INVALID, NULL, "${%.*s} has no value",
                             (int)(end - next) - 2, next + 2);
        at = end + 1;
        at += put_value(out, value, json, number, at);
    }
    buffer_append(out, at, strlen(at) + 1);
    return 0;
}

int scenario_expand(struct txn *t, const struct scenario_context *c, const char *text, bool json,
                    const char **out, struct error *err)
{
    struct buffer expanded;
    int rc;

    *out = text;
    if (!text || !strstr(text, "${"))
        return 0;
    buffer_init(&expanded);
    rc = expand(t, c, text, json, &expanded, err);
    if (rc == 0)
        *out = arena_strdup(t->arena, expanded.data);
    buffer_fini(&expanded);
    return rc;
}
