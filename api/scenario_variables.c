// Variables of a scenario's file: what is known before the run takes its place here.
#include "api/scenario_compile.h"

#include <string.h>

enum mark { UNSEEN, OPEN, RESOLVED };

struct variables {
    struct compiling *c;
    struct node *map; // of the file; NULL: none
    enum mark *marks;
    const char **saved; // names that steps give values to
    size_t saved_count, saved_room;
};

static int resolve(struct variables *v, size_t index);

// --- names ---

static const char *const built_in[] = {"index", "firing", "scenario", "id", "event", "now", NULL};

static bool is(const char *name, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(name, word, length) == 0;
}

static bool known_in_the_run(const struct variables *v, const char *name, size_t length)
{
    for (size_t i = 0; built_in[i]; i++)
        if (is(name, length, built_in[i]))
            return true;
    for (size_t i = 0; i < v->saved_count; i++)
        if (is(name, length, v->saved[i]))
            return true;
    return false;
}

static bool name_ok(const char *name)
{
    size_t length =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    return length > 0 && length <= 64 && name[length] == '\0';
}

static void add_saved(struct variables *v, const char *name)
{
    if (v->saved_count == v->saved_room) {
        size_t room = 2 * v->saved_room + 16;
        const char **more = arena_alloc(v->c->arena, room * sizeof(*more));
        for (size_t i = 0; i < v->saved_count; i++)
            more[i] = v->saved[i];
        v->saved = more;
        v->saved_room = room;
    }
    v->saved[v->saved_count++] = name;
}

// Every `save` of an action, wherever it stands.
static void find_saved(struct variables *v, const struct node *node)
{
    for (size_t i = 0; i < node->count; i++) {
        const struct node *item = &node->items[i];
        if (item->key && strcmp(item->key, "body") == 0)
            continue;
        if (item->key && strcmp(item->key, "save") == 0 && item->type == NODE_STRING)
            add_saved(v, item->text);
        for (size_t k = 0; item->key && strcmp(item->key, "save") == 0 && k < item->count; k++)
            if (item->items[k].key)
                add_saved(v, item->items[k].key);
        find_saved(v, item);
    }
}

// --- replacing ---

// The value of a variable of the file; NULL: it has none of that name.
static int find(struct variables *v, const char *name, size_t length, struct node **out)
{
    *out = NULL;
    for (size_t i = 0; v->map && i < v->map->count; i++) {
        if (!is(name, length, v->map->items[i].key))
            continue;
        *out = &v->map->items[i];
        return resolve(v, i);
    }
    return 0;
}

// One ${name} at *at, which moves behind it.
static int replace_one(struct variables *v, struct node *node, const char **at, struct buffer *out,
                       struct node **whole)
{
    const char *name = *at + 2, *end = strchr(name, '}');
    struct node *value;
    size_t length;
    int rc;

    if (!end)
        return diagnose(v->c->d, node, "${ without }");
    length = (size_t)(end - name);
    rc = find(v, name, length, &value);
    if (rc < 0)
        return rc;
    if (!value && !known_in_the_run(v, name, length))
        return diagnose(v->c->d, node, "there is no variable \"%.*s\"", (int)length, name);
    if (value)
        buffer_append_string(out, value->text);
    else
        buffer_append(out, *at, length + 3);
    *whole = *at == node->text && end[1] == '\0' ? value : NULL;
    *at = end + 1;
    return 0;
}

static int replace(struct variables *v, struct node *node)
{
    const char *at = node->text, *next;
    struct node *whole = NULL;
    struct buffer out;
    int rc = 0;

    buffer_init(&out);
    while (rc == 0 && (next = strstr(at, "${")) != NULL) {
        bool escaped = next > at && next[-1] == '$';
        buffer_append(&out, at, (size_t)(next - at) + (escaped ? 2 : 0));
        at = next + (escaped ? 2 : 0);
        if (!escaped)
            rc = replace_one(v, node, &at, &out, &whole);
    }
    buffer_append_string(&out, at);
    if (rc == 0 && whole) {
        node->type = whole->type;
        node->text = whole->text;
        node->integer = whole->integer;
        node->real = whole->real;
    } else if (rc == 0) {
        node->text = arena_strndup(v->c->arena, out.data, out.length);
    }
    buffer_fini(&out);
    return rc;
}

static bool has_variable(const struct node *node)
{
    return node->type == NODE_STRING && strstr(node->text, "${");
}

static int replace_all(struct variables *v, struct node *node)
{
    int rc = has_variable(node) ? replace(v, node) : 0;

    for (size_t i = 0; i < node->count; i++)
        if (replace_all(v, &node->items[i]) < 0)
            rc = -ERROR_INVALID;
    return rc;
}

static int resolve(struct variables *v, size_t index)
{
    struct node *node = &v->map->items[index];
    int rc;

    if (v->marks[index] == RESOLVED)
        return 0;
    if (v->marks[index] == OPEN)
        return diagnose(v->c->d, node, "is made of itself");
    v->marks[index] = OPEN;
    rc = has_variable(node) ? replace(v, node) : 0;
    if (rc == 0 && compile_is_dynamic(node))
        rc = diagnose(v->c->d, node, "a variable cannot be made of what only the run knows");
    v->marks[index] = RESOLVED;
    return rc;
}

// --- the section ---

static int check_variable(struct variables *v, const struct node *node)
{
    if (!name_ok(node->key))
        return diagnose(v->c->d, node, "a name has 1 to 64 of A-Z, a-z, 0-9, '_' and '-'");
    for (size_t i = 0; built_in[i]; i++)
        if (strcmp(node->key, built_in[i]) == 0)
            return diagnose(v->c->d, node, "this name has a meaning of its own");
    if (node->type == NODE_LIST || node->type == NODE_MAP || node->type == NODE_NULL)
        return diagnose(v->c->d, node, "must be a text, a number, true or false");
    return 0;
}

static int override(struct variables *v, const struct store_tag *given)
{
    struct node *node = v->map ? node_get(v->map, given->key) : NULL;

    if (!node)
        return diagnose(v->c->d, NULL, "there is no variable \"%s\" to be given a value",
                        given->key);
    node_resolve(node, arena_strdup(v->c->arena, given->value));
    if (node->type == NODE_NULL)
        node->type = NODE_STRING;
    return 0;
}

static void keep_variables(struct variables *v)
{
    struct scenario *program = v->c->program;
    size_t count = v->map ? v->map->count : 0;

    program->variables = arena_alloc(v->c->arena, count * sizeof(*program->variables) + 1);
    program->variable_count = count;
    for (size_t i = 0; i < count; i++)
        program->variables[i] = (struct scenario_variable){
            .name = v->map->items[i].key,
            .value = v->map->items[i].text,
            .is_number = v->map->items[i].type == NODE_INT || v->map->items[i].type == NODE_REAL};
}

int compile_variables(struct compiling *c, struct node *root, const struct scenario_input *input)
{
    struct variables v = {.c = c, .map = node_get(root, "variables")};
    int rc = 0;

    if (v.map && v.map->type != NODE_MAP)
        return diagnose(c->d, v.map, "must be a map");
    v.marks = arena_alloc(c->arena, (v.map ? v.map->count : 0) * sizeof(*v.marks) + 1);
    for (size_t i = 0; v.map && i < v.map->count; i++)
        rc = check_variable(&v, &v.map->items[i]) < 0 ? -ERROR_INVALID : rc;
    for (size_t i = 0; i < input->variable_count; i++)
        rc = override(&v, &input->variables[i]) < 0 ? -ERROR_INVALID : rc;
    for (size_t i = 0; rc == 0 && v.map && i < v.map->count; i++)
        rc = resolve(&v, i);
    if (rc < 0)
        return rc;
    find_saved(&v, root);
    for (size_t i = 0; i < root->count; i++)
        if (&root->items[i] != v.map && replace_all(&v, &root->items[i]) < 0)
            rc = -ERROR_INVALID;
    keep_variables(&v);
    return rc;
}
