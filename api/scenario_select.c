// Selectors and conditions of a scenario's file.
#include "api/scenario_compile.h"
#include "sim/txn.h"

#include <stdlib.h>
#include <string.h>

#define TAGS_ASKED_MAX 15

// --- states ---

static int state_of(int kind, const char *name, size_t length)
{
    const char *const *names = kind_ops_of((enum kind)kind)->state_names;

    for (int i = 0; names && names[i]; i++)
        if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
            return i;
    return -1;
}

uint32_t compile_live_states(int kind)
{
    static const char *const dead[] = {"terminating", "terminated", "deleting", "deleted"};
    const char *const *names = kind_ops_of((enum kind)kind)->state_names;
    uint32_t states = 0;

    for (int i = 0; names && names[i]; i++) {
        bool lives = true;
        for (size_t k = 0; k < sizeof(dead) / sizeof(dead[0]); k++)
            lives = lives && strcmp(names[i], dead[k]) != 0;
        states |= lives ? 1U << i : 0;
    }
    return states;
}

// "running" or "running,stopped"
static int add_states(struct compiling *c, const struct node *node, int kind, uint32_t *states)
{
    const char *text;

    if (compile_text(c, node, &text) < 0)
        return -ERROR_INVALID;
    for (const char *at = text;;) {
        size_t length = strcspn(at, ",");
        int state = state_of(kind, at, length);
        if (state < 0)
            return diagnose(c->d, node, "%s has no state \"%.*s\"", kind_name((enum kind)kind),
                            (int)length, at);
        *states |= 1U << state;
        if (at[length] == '\0')
            return 0;
        at += length + 1;
    }
}

static int read_states(struct compiling *c, const struct node *node, int kind, uint32_t *out)
{
    uint32_t states = 0;
    int rc = 0;

    if (node->type != NODE_LIST)
        rc = add_states(c, node, kind, &states);
    for (size_t i = 0; rc == 0 && node->type == NODE_LIST && i < node->count; i++)
        rc = add_states(c, &node->items[i], kind, &states);
    if (rc == 0)
        *out = states;
    return rc;
}

// --- maps of texts ---

static bool path_ok(const char *path)
{
    size_t length =
        strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");

    return length > 0 && length <= 128 && path[length] == '\0' && path[0] != '.' &&
           path[length - 1] != '.' && !strstr(path, "..");
}

static const char *scalar_text(struct compiling *c, const struct node *node)
{
    if (node->type == NODE_BOOL) // as SQLite sees it in a document
        return node->integer ? "1" : "0";
    (void)c;
    return node->text;
}

static int read_pairs(struct compiling *c, const struct node *node, bool paths,
                      struct store_tag **out, size_t *out_count)
{
    struct store_tag *pairs;

    if (node->type != NODE_MAP || node->count > TAGS_ASKED_MAX)
        return diagnose(c->d, node, "must be a map of at most %d", TAGS_ASKED_MAX);
    pairs = arena_alloc(c->arena, (node->count + TAGS_ASKED_MAX) * sizeof(*pairs));
    for (size_t i = 0; i < node->count; i++) {
        const struct node *item = &node->items[i];
        if (paths && !path_ok(item->key))
            return diagnose(c->d, item, "must be a path in the document, such as tags.role");
        if (!item->text)
            return diagnose(c->d, item, "must be a text or a number");
        pairs[i] = (struct store_tag){item->key, paths ? scalar_text(c, item) : item->text};
    }
    *out = pairs;
    *out_count = node->count;
    return 0;
}

// --- selectors ---

static int read_random(struct compiling *c, const struct node *node, struct selector *out)
{
    char *end;
    long percent;
    int64_t number;

    if (node->type != NODE_STRING) {
        if (compile_int(c, node, 1, SCENARIO_COUNT_MAX, &number) < 0)
            return -ERROR_INVALID;
        out->random_count = (int)number;
        return 0;
    }
    percent = strtol(node->text, &end, 10);
    if (end == node->text || strcmp(end, "%") != 0 || percent < 1 || percent > 100)
        return diagnose(c->d, node, "must be a number of at least 1, or 1%% to 100%%");
    out->random_percent = (int)percent;
    return 0;
}

// NULL: the kind has no such column.
static const char **column_of(struct selector *selector, const char *key)
{
    const char *names[KIND_COLUMNS_MAX];
    size_t count = kind_columns((enum kind)selector->kind, names);

    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], key) == 0)
            return &selector->columns[i];
    return NULL;
}

static int read_key(struct compiling *c, const struct node *item, struct selector *out)
{
    const char **column = column_of(out, item->key);

    if (column)
        return compile_text(c, item, column);
    if (strcmp(item->key, "id") == 0)
        return compile_text(c, item, &out->id);
    if (strcmp(item->key, "name") == 0)
        return compile_text(c, item, &out->name);
    if (strcmp(item->key, "project") == 0)
        return compile_text(c, item, &out->project);
    if (strcmp(item->key, "state") == 0)
        return read_states(c, item, out->kind, &out->states);
    if (strcmp(item->key, "tags") == 0)
        return read_pairs(c, item, false, &out->tags, &out->tag_count);
    if (strcmp(item->key, "where") == 0)
        return read_pairs(c, item, true, &out->where, &out->where_count);
    if (strcmp(item->key, "random") == 0)
        return read_random(c, item, out);
    if (strcmp(item->key, "allow_none") == 0)
        return compile_bool(c, item, &out->allow_none);
    return diagnose(c->d, item, "%s cannot be selected by that", kind_name((enum kind)out->kind));
}

static bool one_of(const char *key, const char *const *keys)
{
    for (; keys && *keys; keys++)
        if (strcmp(key, *keys) == 0)
            return true;
    return false;
}

// A text: an id, or else a name.
static int read_short(struct compiling *c, const struct node *node, struct selector *out)
{
    const char *dash = strrchr(node->text, '-');
    bool is_id = strstr(node->text, "${") ||
                 (dash && strspn(dash + 1, "0123456789abcdef") == 17 && strlen(dash + 1) == 17);

    return compile_text(c, node, is_id ? &out->id : &out->name);
}

int compile_selector(struct compiling *c, const struct node *node, int kind, uint32_t states,
                     const char *const *other_keys, struct selector *out)
{
    int rc = 0;

    *out = (struct selector){.kind = kind, .states = states};
    if (node->type == NODE_STRING)
        return read_short(c, node, out);
    if (node->type == NODE_NULL)
        return 0;
    if (node->type != NODE_MAP)
        return diagnose(c->d, node, "must be a selector, such as {zone: mock-1a, random: 2}");
    for (size_t i = 0; i < node->count; i++)
        if (!one_of(node->items[i].key, other_keys) && read_key(c, &node->items[i], out) < 0)
            rc = -ERROR_INVALID;
    return rc;
}

// --- conditions ---

static int read_kind(struct compiling *c, const struct node *map, int fallback, int *out)
{
    const struct node *node = node_get(map, "kind");
    enum kind kind;
    const char *text;

    *out = fallback;
    if (!node)
        return 0;
    if (compile_text(c, node, &text) < 0)
        return -ERROR_INVALID;
    if (kind_parse(text, &kind, NULL) < 0 || kind == KIND_CLOCK || !kind_ops_of(kind))
        return diagnose(c->d, node, "there is no kind \"%.64s\" to look for", text);
    *out = (int)kind;
    return 0;
}

int compile_comparison(struct compiling *c, const struct node *node, struct condition *out)
{
    static const char *const signs[] = {"==", "!=", "<=", "<", ">=", ">"};
    static const enum comparison meanings[] = {IS_EQUAL, IS_NOT_EQUAL, IS_AT_MOST,
                                               IS_LESS,  IS_AT_LEAST,  IS_GREATER};
    struct node number;
    size_t i = 0;

    out->comparison = IS_EQUAL;
    if (node->type == NODE_INT)
        return compile_int(c, node, 0, SCENARIO_COUNT_MAX, &out->number);
    if (node->type != NODE_STRING)
        return diagnose(c->d, node, "must be a number, or a comparison such as \">= 3\"");
    while (i < 6 && strncmp(node->text, signs[i], strlen(signs[i])) != 0)
        i++;
    if (i == 6)
        return diagnose(c->d, node, "must be a number, or a comparison such as \">= 3\"");
    number = *node;
    node_resolve(&number,
                 node->text + strlen(signs[i]) + strspn(node->text + strlen(signs[i]), " "));
    out->comparison = meanings[i];
    if (compile_int(c, &number, 0, SCENARIO_COUNT_MAX, &out->number) < 0)
        return -ERROR_INVALID;
    if (out->comparison == IS_LESS && out->number == 0)
        return diagnose(c->d, node, "can never hold");
    return 0;
}

static int read_count(struct compiling *c, const struct node *map, struct condition *out)
{
    static const char *const keys[] = {"count", "is", NULL};
    static const char *const others[] = {"kind", NULL};
    const struct node *what = node_get(map, "count"), *is = node_get(map, "is");
    int kind, rc = compile_known(c, map, keys);

    if (what->type != NODE_MAP)
        return diagnose(c->d, what, "must be a map that says what is counted");
    out->type = CONDITION_COUNT;
    out->comparison = IS_AT_LEAST;
    out->number = 1;
    if (rc < 0 || read_kind(c, what, KIND_INSTANCE, &kind) < 0)
        return -ERROR_INVALID;
    rc = compile_selector(c, what, kind, 0, others, &out->what);
    if (rc == 0 && (out->what.random_count || out->what.random_percent))
        rc = diagnose(c->d, what, "what is counted is not drawn at random");
    return rc < 0 || !is ? rc : compile_comparison(c, is, out);
}

static int read_event_type(struct compiling *c, const struct node *node, int *out)
{
    static const char *const names[] = {"created", "updated", "deleted", "fired"};

    for (int i = 0; i < 4 && node->type == NODE_STRING; i++) {
        if (strcmp(node->text, names[i]) == 0) {
            *out = i;
            return 0;
        }
    }
    return diagnose(c->d, node, "must be created, updated, deleted or fired");
}

// Fields of an event's document are compared as they are in it.
static int read_event_field(struct compiling *c, const struct node *item, struct selector *what)
{
    const char *text;

    if (what->where_count >= TAGS_ASKED_MAX)
        return diagnose(c->d, item, "at most %d fields can be asked for", TAGS_ASKED_MAX);
    if (strcmp(item->key, "state") == 0 && what->kind >= 0) {
        uint32_t checked;
        if (read_states(c, item, what->kind, &checked) < 0)
            return -ERROR_INVALID;
    }
    if (item->type == NODE_LIST)
        return diagnose(c->d, item, "must be a text; several are separated by commas");
    if (compile_text(c, item, &text) < 0)
        return -ERROR_INVALID;
    what->where[what->where_count++] = (struct store_tag){item->key, text};
    return 0;
}

static int read_event_key(struct compiling *c, const struct node *item, struct condition *out)
{
    static const char *const fields[] = {
        "name", "state", "zone", "network", "destination_cidr", "lifecycle", NULL};

    if (strcmp(item->key, "kind") == 0 || strcmp(item->key, "where") == 0)
        return 0;
    if (strcmp(item->key, "type") == 0)
        return read_event_type(c, item, &out->event_type);
    if (strcmp(item->key, "id") == 0)
        return compile_text(c, item, &out->what.id);
    if (strcmp(item->key, "project") == 0)
        return compile_text(c, item, &out->what.project);
    if (strcmp(item->key, "operation") == 0)
        return compile_text(c, item, &out->operation);
    if (one_of(item->key, fields))
        return read_event_field(c, item, &out->what);
    return diagnose_key(c->d, item, "an event cannot be recognised by that");
}

static int read_event(struct compiling *c, const struct node *map, struct condition *out)
{
    static const char *const keys[] = {"event", NULL};
    const struct node *what = node_get(map, "event"), *where;
    int rc = compile_known(c, map, keys);

    if (what->type != NODE_MAP)
        return diagnose(c->d, what, "must be a map that says which event");
    out->type = CONDITION_EVENT;
    out->event_type = -1;
    out->what.where = arena_alloc(c->arena, 2 * TAGS_ASKED_MAX * sizeof(*out->what.where));
    where = node_get(what, "where");
    if (read_kind(c, what, -1, &out->what.kind) < 0 ||
        (where && read_pairs(c, where, true, &out->what.where, &out->what.where_count) < 0))
        return -ERROR_INVALID;
    for (size_t i = 0; i < what->count; i++)
        if (read_event_key(c, &what->items[i], out) < 0)
            rc = -ERROR_INVALID;
    return rc;
}

static int read_condition(struct compiling *c, const struct node *node, struct condition *out)
{
    if (node_get(node, "count"))
        return read_count(c, node, out);
    if (node_get(node, "event"))
        return read_event(c, node, out);
    if (node_get(node, "calls"))
        return compile_calls(c, node, out);
    return diagnose(c->d, node,
                    "must be a condition: {count: …, is: …}, {event: …} or {calls: …, is: …}");
}

int compile_conditions(struct compiling *c, const struct node *node, struct condition **out,
                       size_t *out_count)
{
    const struct node *items = node->type == NODE_LIST ? node->items : node;
    size_t count = node->type == NODE_LIST ? node->count : 1;
    int rc = 0;

    if (count == 0 || count > TAGS_ASKED_MAX)
        return diagnose(c->d, node, "must have 1 to %d conditions", TAGS_ASKED_MAX);
    *out = arena_alloc(c->arena, count * sizeof(**out));
    *out_count = count;
    for (size_t i = 0; i < count; i++)
        if (read_condition(c, &items[i], &(*out)[i]) < 0)
            rc = -ERROR_INVALID;
    return rc;
}
