#include "api/yaml_in.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct loading {
    yaml_document_t document;
    struct diagnostics *d;
    size_t nodes;
};

// --- diagnostics ---

int diagnose(struct diagnostics *d, const struct node *node, const char *format, ...)
{
    struct diagnostic *item = &d->items[d->count];
    char message[256];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (d->count == DIAGNOSTICS_MAX)
        return -ERROR_INVALID;
    d->count++;
    item->line = node ? node->line : 0;
    item->column = node ? node->column : 0;
    item->path = node && node->path ? node->path : "";
    item->message = arena_strdup(d->arena, message);
    return -ERROR_INVALID;
}

int diagnose_key(struct diagnostics *d, const struct node *node, const char *message)
{
    struct node key = {.line = node->key_line, .column = node->key_column, .path = node->path};

    return diagnose(d, &key, "%s", message);
}

const char *diagnostic_text(const struct diagnostics *d, size_t index)
{
    const struct diagnostic *item = &d->items[index];
    const char *separator = item->path[0] ? ": " : "";

    if (item->line == 0)
        return arena_printf(d->arena, "%s: %s%s%s", d->file, item->path, separator, item->message);
    return arena_printf(d->arena, "%s:%d:%d: %s%s%s", d->file, item->line, item->column, item->path,
                        separator, item->message);
}

// --- scalars ---

static bool one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static bool looks_like_number(const char *text)
{
    const char *digits = text + (*text == '-' || *text == '+');

    return *digits >= '0' && *digits <= '9' && strspn(digits, "0123456789.eE+-") == strlen(digits);
}

static bool resolve_number(struct node *node, const char *text)
{
    char *end;

    if (!looks_like_number(text))
        return false;
    errno = 0;
    node->integer = strtoll(text, &end, 10);
    if (*end == '\0' && errno == 0) {
        node->type = NODE_INT;
        node->real = (double)node->integer;
        return true;
    }
    node->real = strtod(text, &end);
    if (*end != '\0' || !isfinite(node->real))
        return false;
    node->type = NODE_REAL;
    return true;
}

void node_resolve(struct node *node, const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};

    node->text = text;
    node->type = NODE_STRING;
    if (one_of(text, nulls)) {
        node->type = NODE_NULL;
    } else if (one_of(text, trues) || one_of(text, falses)) {
        node->type = NODE_BOOL;
        node->integer = one_of(text, trues);
    } else {
        resolve_number(node, text);
    }
}

static int load_scalar(struct loading *l, const yaml_node_t *y, struct node *out)
{
    const char *text = (const char *)y->data.scalar.value;
    size_t length = y->data.scalar.length;

    if (strlen(text) != length)
        return diagnose(l->d, out, "must not contain NUL");
    text = arena_strndup(l->d->arena, text, length);
    if (y->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        node_resolve(out, text);
    } else {
        out->type = NODE_STRING;
        out->text = text;
    }
    return 0;
}

// --- the tree ---

static int load(struct loading *l, int index, int depth, struct node *out);

static int load_list(struct loading *l, const yaml_node_t *y, int depth, struct node *out)
{
    size_t count = (size_t)(y->data.sequence.items.top - y->data.sequence.items.start);
    int rc = 0;

    out->type = NODE_LIST;
    out->items = arena_alloc(l->d->arena, count * sizeof(*out->items) + 1);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        out->items[i].path = arena_printf(l->d->arena, "%s[%zu]", out->path, i);
        rc = load(l, y->data.sequence.items.start[i], depth + 1, &out->items[i]);
    }
    out->count = count;
    return rc;
}

static int load_key(struct loading *l, int index, const struct node *map, struct node *out)
{
    const yaml_node_t *key = yaml_document_get_node(&l->document, index);

    out->line = out->key_line = (int)key->start_mark.line + 1;
    out->column = out->key_column = (int)key->start_mark.column + 1;
    out->path = map->path;
    if (key->type != YAML_SCALAR_NODE ||
        strlen((const char *)key->data.scalar.value) != key->data.scalar.length)
        return diagnose(l->d, out, "a key must be text");
    out->key = arena_strdup(l->d->arena, (const char *)key->data.scalar.value);
    out->path =
        arena_printf(l->d->arena, "%s%s%.100s", map->path, map->path[0] ? "." : "", out->key);
    for (const struct node *other = map->items; other < out; other++)
        if (strcmp(other->key, out->key) == 0)
            return diagnose(l->d, out, "is there twice; first in line %d", other->line);
    return 0;
}

static int load_map(struct loading *l, const yaml_node_t *y, int depth, struct node *out)
{
    size_t count = (size_t)(y->data.mapping.pairs.top - y->data.mapping.pairs.start);
    int rc = 0;

    out->type = NODE_MAP;
    out->items = arena_alloc(l->d->arena, count * sizeof(*out->items) + 1);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const yaml_node_pair_t *pair = &y->data.mapping.pairs.start[i];
        rc = load_key(l, pair->key, out, &out->items[i]);
        if (rc == 0)
            rc = load(l, pair->value, depth + 1, &out->items[i]);
    }
    out->count = count;
    return rc;
}

static int load(struct loading *l, int index, int depth, struct node *out)
{
    const yaml_node_t *y = yaml_document_get_node(&l->document, index);

    out->line = (int)y->start_mark.line + 1;
    out->column = (int)y->start_mark.column + 1;
    if (depth > YAML_DEPTH_MAX)
        return diagnose(l->d, out, "nested more than %d deep, or an alias of what it is part of",
                        YAML_DEPTH_MAX);
    if (++l->nodes > YAML_NODES_MAX)
        return diagnose(l->d, out, "has more than %d values", YAML_NODES_MAX);
    switch (y->type) {
    case YAML_SEQUENCE_NODE:
        return load_list(l, y, depth, out);
    case YAML_MAPPING_NODE:
        return load_map(l, y, depth, out);
    default:
        return load_scalar(l, y, out);
    }
}

static int fail_parser(struct diagnostics *d, const yaml_parser_t *parser)
{
    struct node at = {.line = (int)parser->problem_mark.line + 1,
                      .column = (int)parser->problem_mark.column + 1,
                      .path = ""};

    if (parser->error == YAML_MEMORY_ERROR || parser->error == YAML_READER_ERROR)
        at.line = 0;
    return diagnose(d, &at, "%s", parser->problem ? parser->problem : "is not YAML");
}

static int load_root(struct loading *l, struct node **out)
{
    const yaml_node_t *root = yaml_document_get_root_node(&l->document);

    if (!root)
        return diagnose(l->d, NULL, "is empty");
    *out = arena_alloc(l->d->arena, sizeof(**out));
    (*out)->path = "";
    return load(l, 1, 0, *out);
}

// A second document, or what is not YAML behind the first.
static int check_end(yaml_parser_t *parser, struct diagnostics *d)
{
    yaml_document_t document;
    const yaml_node_t *root;
    int rc = 0;

    if (!yaml_parser_load(parser, &document))
        return fail_parser(d, parser);
    root = yaml_document_get_root_node(&document);
    if (root)
        rc = diagnose(d, &(struct node){.line = (int)root->start_mark.line + 1, .column = 1},
                      "a second document");
    yaml_document_delete(&document);
    return rc;
}

int yaml_in_load(const char *text, size_t length, struct diagnostics *d, struct node **out)
{
    struct loading l = {.d = d};
    yaml_parser_t parser;
    int rc;

    if (!yaml_parser_initialize(&parser))
        return diagnose(d, NULL, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    if (!yaml_parser_load(&parser, &l.document)) {
        rc = fail_parser(d, &parser);
    } else {
        rc = load_root(&l, out);
        yaml_document_delete(&l.document);
        if (rc == 0)
            rc = check_end(&parser, d);
    }
    yaml_parser_delete(&parser);
    return rc;
}

// --- reading it ---

struct node *node_get(const struct node *map, const char *key)
{
    for (size_t i = 0; map->type == NODE_MAP && i < map->count; i++)
        if (strcmp(map->items[i].key, key) == 0)
            return &map->items[i];
    return NULL;
}

static void write_items(const struct node *node, struct json_writer *w)
{
    for (size_t i = 0; i < node->count; i++) {
        if (node->type == NODE_MAP)
            jw_key(w, node->items[i].key);
        node_write(&node->items[i], w);
    }
}

void node_write(const struct node *node, struct json_writer *w)
{
    switch (node->type) {
    case NODE_NULL:
        jw_null(w);
        break;
    case NODE_BOOL:
        jw_bool(w, node->integer != 0);
        break;
    case NODE_INT:
        jw_int(w, node->integer);
        break;
    case NODE_REAL:
        jw_double(w, node->real);
        break;
    case NODE_STRING:
        jw_string(w, node->text);
        break;
    case NODE_LIST:
        jw_array_begin(w);
        write_items(node, w);
        jw_array_end(w);
        break;
    case NODE_MAP:
        jw_object_begin(w);
        write_items(node, w);
        jw_object_end(w);
        break;
    }
}
