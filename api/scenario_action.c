// Actions of a scenario's file: any operation of the API, and short forms of the usual ones.
#include "api/actor.h"
#include "api/bodies.h"
#include "api/scenario_compile.h"
#include "sim/change.h"
#include "sim/txn.h"

#include <stdlib.h>
#include <string.h>

enum shape {
    SHAPE_SELECTOR, // a selector; what is not a selector's key is the body's
    SHAPE_BODY,     // the body
    SHAPE_NAMED,    // the body, and the key that names the resource
    SHAPE_CLOCK
};

static const struct sugar {
    const char *key, *operation;
    enum shape shape;
    const char *name; // SHAPE_NAMED
} sugars[] = {
    {"terminate", "instances.terminate", SHAPE_SELECTOR, NULL},
    {"stop", "instances.stop", SHAPE_SELECTOR, NULL},
    {"start", "instances.start", SHAPE_SELECTOR, NULL},
    {"reboot", "instances.reboot", SHAPE_SELECTOR, NULL},
    {"interrupt", "instances.interrupt", SHAPE_SELECTOR, NULL},
    {"create", "instances.create", SHAPE_BODY, NULL},
    {"fault", "faults.create", SHAPE_BODY, NULL},
    {"latency", "latencies.put", SHAPE_NAMED, "transition"},
    {"zone", "zones.put", SHAPE_NAMED, "name"},
    {"clock", NULL, SHAPE_CLOCK, NULL},
};

#define SUGARS (sizeof(sugars) / sizeof(sugars[0]))

static const char *const action_keys[] = {"do",   "id",           "part",     "body", "select",
                                          "save", "expect_error", "may_fail", "keep", NULL};

static bool one_of(const char *key, const char *const *keys)
{
    for (; keys && *keys; keys++)
        if (strcmp(key, *keys) == 0)
            return true;
    return false;
}

static const struct sugar *sugar_of(const char *key)
{
    for (size_t i = 0; i < SUGARS; i++)
        if (strcmp(sugars[i].key, key) == 0)
            return &sugars[i];
    return NULL;
}

bool compile_is_action_key(const char *key)
{
    return one_of(key, action_keys) || sugar_of(key);
}

// --- bodies ---

static const char *json_of(struct compiling *c, const struct node *node, const char *const *without)
{
    struct buffer out;
    struct json_writer w;
    const char *text;

    buffer_init(&out);
    jw_init(&w, &out);
    if (node->type == NODE_MAP) {
        jw_object_begin(&w);
        for (size_t i = 0; i < node->count; i++) {
            if (one_of(node->items[i].key, without))
                continue;
            jw_key(&w, node->items[i].key);
            node_write(&node->items[i], &w);
        }
        jw_object_end(&w);
    } else {
        node_write(node, &w);
    }
    text = arena_strndup(c->arena, out.data ? out.data : "", out.length);
    buffer_fini(&out);
    return text;
}

// The node that an error's path leads to, as far as it does; *inout is then the rest of it.
static const struct node *node_at(const struct node *node, const char **inout)
{
    while (**inout) {
        const char *path = *inout;
        size_t length = strcspn(path, ".[");
        const struct node *next = NULL;

        if (*path == '[') {
            size_t index = strtoul(path + 1, NULL, 10);
            next = node->type == NODE_LIST && index < node->count ? &node->items[index] : NULL;
            length = strcspn(path, "]") + (strchr(path, ']') != NULL);
        }
        for (size_t i = 0; *path != '[' && node->type == NODE_MAP && i < node->count; i++)
            if (strlen(node->items[i].key) == length &&
                memcmp(node->items[i].key, path, length) == 0)
                next = &node->items[i];
        if (!next)
            return node;
        node = next;
        *inout = path + length + (path[length] == '.');
    }
    return node;
}

// Where an error's field is, or would be: what the body lacks has the place of what lacks it.
static struct node place_of(struct compiling *c, const struct node *body, const char *field)
{
    struct node at = *node_at(body, &field);
    const char *separator = *at.path && *field && *field != '[' ? "." : "";

    at.path = arena_printf(c->arena, "%s%s%s", at.path, separator, field);
    return at;
}

// PUT: what its body must have and does not keeps its value, so that is no error here.
static bool stays(const struct endpoint *e, const struct error *err)
{
    return e->method == METHOD_PUT && strcmp(err->message, "is required") == 0 &&
           !strchr(err->field, '.');
}

// What only the run knows is checked when it runs.
static int check_body(struct compiling *c, const struct node *node, const struct endpoint *e,
                      const char *body)
{
    void *scratch = arena_alloc(c->arena, sizeof(struct change));
    const struct schema *schema = e->body ? e->body : &body_none;
    struct error err = {0};
    struct node at;

    if (!body || strstr(body, "${"))
        return 0;
    if (json_in_body(schema, body, strlen(body), c->arena, scratch, &err) == 0 || stays(e, &err))
        return 0;
    at = place_of(c, node, err.field);
    return diagnose(c->d, &at, "%s", err.message);
}

static int read_body(struct compiling *c, const struct node *node, const char *const *without,
                     const struct endpoint *e, struct scenario_action *out)
{
    if (node && node->type != NODE_MAP)
        return diagnose(c->d, node, "must be a map: the body of %s", e->operation);
    if (!node && !e->body)
        return 0;
    out->body = node ? json_of(c, node, without) : "{}";
    if (!e->body && strcmp(out->body, "{}") != 0)
        return diagnose(c->d, node, "%s takes no body", e->operation);
    if (!e->body)
        out->body = NULL;
    return 0;
}

// --- what an action acts on ---

static uint32_t default_states(const struct endpoint *e)
{
    static const struct {
        const char *operation;
        uint32_t states;
    } usual[] = {{"instances.start", 1U << INSTANCE_STOPPED},
                 {"instances.stop", 1U << INSTANCE_RUNNING},
                 {"instances.reboot", 1U << INSTANCE_RUNNING},
                 {"instances.interrupt", 1U << INSTANCE_RUNNING}};

    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        if (strcmp(usual[i].operation, e->operation) == 0)
            return usual[i].states;
    return compile_live_states((int)e->kind);
}

static bool can_be_selected(const struct endpoint *e)
{
    return endpoint_parameters(e) > 0 && e->kind < KIND_COUNT && kind_ops_of(e->kind);
}

static int select_by(struct compiling *c, const struct node *node, const struct endpoint *e,
                     const char *const *others, struct scenario_action *out)
{
    if (!can_be_selected(e))
        return diagnose(c->d, node, "%s acts on nothing that could be selected", e->operation);
    out->has_select = true;
    return compile_selector(c, node, (int)e->kind, default_states(e), others, &out->select);
}

static int check_target(struct compiling *c, const struct node *map, const struct endpoint *e,
                        const struct scenario_action *action)
{
    size_t wanted = endpoint_parameters(e);

    if (action->id && action->has_select)
        return diagnose(c->d, map, "has both id and select");
    if (wanted == 0 && (action->id || action->has_select))
        return diagnose(c->d, map, "%s takes no id", e->operation);
    if (wanted > 0 && !action->id && !action->has_select)
        return diagnose(c->d, map, "%s needs an id%s", e->operation,
                        can_be_selected(e) ? " or select" : "");
    if ((wanted > 1) != (action->part != NULL))
        return diagnose(c->d, map, wanted > 1 ? "%s needs a part" : "%s takes no part",
                        e->operation);
    return 0;
}

// --- the keys that all actions have ---

static int read_save(struct compiling *c, const struct node *node, struct scenario_action *out)
{
    size_t count = node->type == NODE_MAP ? node->count : 1;

    out->saves = arena_alloc(c->arena, count * sizeof(*out->saves) + 1);
    out->save_count = count;
    if (node->type != NODE_MAP)
        return compile_text(c, node, &out->saves[0].variable);
    for (size_t i = 0; i < count; i++) {
        out->saves[i].variable = node->items[i].key;
        if (compile_text(c, &node->items[i], &out->saves[i].path) < 0)
            return -ERROR_INVALID;
    }
    return 0;
}

static bool is_error_code(const char *text)
{
#define X(code, status, string, title) \
    if (strcmp(text, string) == 0)     \
        return true;
    ERROR_CODES(X)
#undef X
    return false;
}

static int read_expect_error(struct compiling *c, const struct node *node,
                             struct scenario_action *out)
{
    if (compile_text(c, node, &out->expect_error) < 0)
        return -ERROR_INVALID;
    if (!is_error_code(out->expect_error))
        return diagnose(c->d, node, "is no code of an error, such as not_found");
    return 0;
}

static int read_common(struct compiling *c, const struct node *map, struct scenario_action *out)
{
    const struct node *save = node_get(map, "save"), *expected = node_get(map, "expect_error"),
                      *may_fail = node_get(map, "may_fail"), *keep = node_get(map, "keep");

    if ((save && read_save(c, save, out) < 0) ||
        (expected && read_expect_error(c, expected, out) < 0) ||
        (may_fail && compile_bool(c, may_fail, &out->may_fail) < 0) ||
        (keep && compile_bool(c, keep, &out->keep) < 0))
        return -ERROR_INVALID;
    return 0;
}

// What the hand of God changed is put back at the end, what the cloud's user did is not.
static bool kept_by_default(const struct endpoint *e)
{
    return e->access != ACCESS_SIM ||
           (e->method != METHOD_PUT && !(e->method == METHOD_POST && e->status == 201) &&
            !endpoint_patches_rule(e));
}

static int find_endpoint(struct compiling *c, const struct node *node, const char *operation,
                         const struct endpoint **out)
{
    *out = endpoint_find(operation);
    if (!*out) {
        diagnose(c->d, node, "there is no operation \"%.64s\"", operation);
        return -ERROR_INVALID;
    }
    if (!endpoint_is_action(*out))
        return diagnose(c->d, node, "%s cannot be an action", (*out)->operation);
    return 0;
}

static int begin(struct compiling *c, const struct node *node, const char *operation,
                 const struct endpoint **out_endpoint, struct scenario_action *out)
{
    if (find_endpoint(c, node, operation, out_endpoint) < 0)
        return -ERROR_INVALID;
    *out = (struct scenario_action){.operation = (*out_endpoint)->operation,
                                    .line = node->line,
                                    .keep = kept_by_default(*out_endpoint)};
    return 0;
}

// --- long form ---

static int read_long(struct compiling *c, const struct node *map, struct scenario_action *out)
{
    const struct node *what = node_get(map, "do"), *id = node_get(map, "id"),
                      *part = node_get(map, "part"), *body = node_get(map, "body"),
                      *select = node_get(map, "select");
    const struct endpoint *e;
    const char *operation;

    if (compile_text(c, what, &operation) < 0 || begin(c, what, operation, &e, out) < 0 ||
        read_common(c, map, out) < 0 || (id && compile_text(c, id, &out->id) < 0) ||
        (part && compile_text(c, part, &out->part) < 0) ||
        (select && select_by(c, select, e, NULL, out) < 0) || check_target(c, map, e, out) < 0 ||
        read_body(c, body, NULL, e, out) < 0)
        return -ERROR_INVALID;
    return check_body(c, body ? body : map, e, out->body);
}

// --- short forms ---

// Fields of the operation's body, which are not the selector's.
static const char *const *body_keys(struct compiling *c, const struct endpoint *e)
{
    size_t count = 0;
    const char **keys;

    while (e->body && e->body->fields[count].name)
        count++;
    keys = arena_alloc(c->arena, (count + 1) * sizeof(*keys));
    for (size_t i = 0; i < count; i++)
        keys[i] = e->body->fields[i].name;
    return keys;
}

// The keys of `node` that are not in `keys`.
static const char *const *other_keys(struct compiling *c, const struct node *node,
                                     const char *const *keys)
{
    const char **others = arena_alloc(c->arena, (node->count + 1) * sizeof(*others));
    size_t count = 0;

    for (size_t i = 0; node->type == NODE_MAP && i < node->count; i++)
        if (!one_of(node->items[i].key, keys))
            others[count++] = node->items[i].key;
    return others;
}

static int read_selector_form(struct compiling *c, const struct node *node,
                              const struct endpoint *e, struct scenario_action *out)
{
    const char *const *keys = body_keys(c, e);

    if (select_by(c, node, e, keys, out) < 0)
        return -ERROR_INVALID;
    if (!e->body || node->type != NODE_MAP)
        return read_body(c, NULL, NULL, e, out);
    return read_body(c, node, other_keys(c, node, keys), e, out);
}

static int read_named_form(struct compiling *c, const struct node *node, const struct sugar *sugar,
                           const struct endpoint *e, struct scenario_action *out)
{
    const char *const name[] = {sugar->name, NULL};
    const struct node *id = node_get(node, sugar->name);

    if (!id)
        return diagnose(c->d, node, "%s is required", sugar->name);
    if (compile_text(c, id, &out->id) < 0)
        return -ERROR_INVALID;
    return read_body(c, node, name, e, out);
}

static int read_clock(struct compiling *c, const struct node *node, struct scenario_action *out)
{
    static const struct {
        const char *key, *operation, *field;
    } verbs[] = {{"advance", "clock.advance", "by"},
                 {"to", "clock.advance", "to"},
                 {"scale", "clock.update", "scale"},
                 {"freeze", "clock.freeze", NULL},
                 {"resume", "clock.resume", NULL}};
    const struct endpoint *e;
    struct node body = *node, field;

    if (node->type == NODE_STRING) { // clock: freeze
        field = (struct node){.key = node->text, .line = node->line, .path = node->path};
        body = (struct node){.type = NODE_MAP, .items = &field, .count = 1};
    }
    if (body.type != NODE_MAP || body.count != 1)
        return diagnose(c->d, node, "must have one of advance, to, scale, freeze and resume");
    for (size_t i = 0; i < 5; i++) {
        if (strcmp(verbs[i].key, body.items[0].key) != 0)
            continue;
        if (begin(c, node, verbs[i].operation, &e, out) < 0)
            return -ERROR_INVALID;
        if (!verbs[i].field)
            return 0;
        field = body.items[0];
        field.key = verbs[i].field;
        body.items = &field;
        out->body = json_of(c, &body, NULL);
        return check_body(c, &body, e, out->body);
    }
    return diagnose(c->d, node, "must have one of advance, to, scale, freeze and resume");
}

static int read_short(struct compiling *c, const struct node *map, const struct node *node,
                      const struct sugar *sugar, struct scenario_action *out)
{
    const struct endpoint *e;
    int rc = 0;

    if (sugar->shape == SHAPE_CLOCK)
        return read_clock(c, node, out);
    if (begin(c, node, sugar->operation, &e, out) < 0 || read_common(c, map, out) < 0)
        return -ERROR_INVALID;
    if (sugar->shape == SHAPE_SELECTOR)
        rc = read_selector_form(c, node, e, out);
    else if (sugar->shape == SHAPE_NAMED)
        rc = read_named_form(c, node, sugar, e, out);
    else
        rc = read_body(c, node, NULL, e, out);
    return rc < 0 ? rc : check_body(c, node, e, out->body);
}

// --- actions ---

static int read_action(struct compiling *c, const struct node *map, const char *const *others,
                       struct scenario_action *out)
{
    const struct node *form = NULL;
    int rc = 0;

    for (size_t i = 0; map->type == NODE_MAP && i < map->count; i++) {
        const struct node *item = &map->items[i];
        bool is_form = strcmp(item->key, "do") == 0 || sugar_of(item->key);
        if (is_form && form)
            return diagnose(c->d, item, "a second action; several are a list under do");
        if (is_form)
            form = item;
        else if (!one_of(item->key, action_keys) && !one_of(item->key, others))
            rc = diagnose_key(c->d, item, "no such field");
    }
    if (!form)
        return diagnose(c->d, map, "must be an action, such as {do: instances.stop, id: …}");
    if (rc == 0 && strcmp(form->key, "do") == 0)
        return read_long(c, map, out);
    for (size_t i = 0; rc == 0 && i < map->count; i++) {
        static const char *const long_keys[] = {"id", "part", "body", "select", NULL};
        if (one_of(map->items[i].key, long_keys))
            rc = diagnose(c->d, &map->items[i], "goes with do, not with %s", form->key);
    }
    return rc < 0 ? rc : read_short(c, map, form, sugar_of(form->key), out);
}

int compile_action_list(struct compiling *c, const struct node *list, struct scenario_action **out,
                        size_t *out_count)
{
    int rc = 0;

    if (list->type != NODE_LIST || list->count == 0 || list->count > SCENARIO_ACTIONS_MAX)
        return diagnose(c->d, list, "must be a list of 1 to %d actions", SCENARIO_ACTIONS_MAX);
    *out = arena_alloc(c->arena, list->count * sizeof(**out));
    *out_count = list->count;
    for (size_t i = 0; i < list->count; i++)
        if (read_action(c, &list->items[i], NULL, &(*out)[i]) < 0)
            rc = -ERROR_INVALID;
    return rc;
}

int compile_actions(struct compiling *c, const struct node *map, const char *const *others,
                    struct scenario_action **out, size_t *out_count)
{
    const struct node *list = node_get(map, "do");
    bool has_action = false;

    for (size_t i = 0; i < map->count; i++)
        has_action |=
            compile_is_action_key(map->items[i].key) && strcmp(map->items[i].key, "may_fail") != 0;
    if (list && list->type == NODE_LIST) {
        for (size_t i = 0; i < map->count; i++)
            if (compile_is_action_key(map->items[i].key) && &map->items[i] != list &&
                strcmp(map->items[i].key, "may_fail") != 0)
                return diagnose(c->d, &map->items[i], "goes into the list under do");
        return compile_action_list(c, list, out, out_count);
    }
    *out_count = 0;
    if (!has_action)
        return 0;
    *out = arena_alloc(c->arena, sizeof(**out));
    *out_count = 1;
    return read_action(c, map, others, *out);
}
