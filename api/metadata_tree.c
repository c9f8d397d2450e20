#include "api/metadata_tree.h"

#include <stdio.h>
#include <string.h>

struct tree *tree_new(struct arena *arena)
{
    struct tree *node = arena_alloc(arena, sizeof(*node));

    node->shape = TREE_OBJECT;
    return node;
}

struct tree *tree_add(struct arena *arena, struct tree *parent, const char *name,
                      enum tree_shape shape)
{
    struct tree *node = arena_alloc(arena, sizeof(*node));

    node->name = name;
    node->shape = shape;
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    return node;
}

void tree_text(struct arena *arena, struct tree *parent, const char *name, const char *text)
{
    if (text)
        tree_add(arena, parent, name, TREE_TEXT)->text = text;
}

void tree_raw(struct arena *arena, struct tree *parent, const char *name, const char *json)
{
    tree_add(arena, parent, name, TREE_RAW)->text = json;
}

bool tree_is_leaf(const struct tree *node)
{
    return node->shape == TREE_TEXT || node->shape == TREE_RAW;
}

static const struct tree *child(const struct tree *node, const char *name, size_t length)
{
    const struct tree *at = node->first;

    while (at && (strlen(at->name) != length || memcmp(at->name, name, length) != 0))
        at = at->next;
    return at;
}

const struct tree *tree_find(const struct tree *root, const char *path)
{
    const struct tree *node = root;

    while (node && *path) {
        size_t length = strcspn(path, "/");

        node = child(node, path, length);
        path += length;
        if (*path == '/') {
            path++;
            node = node && !tree_is_leaf(node) ? node : NULL;
        }
    }
    return node;
}

void tree_list(const struct tree *node, bool last, struct buffer *out)
{
    for (const struct tree *at = node->first; at; at = at->next) {
        buffer_append_string(out, at->name);
        if (!tree_is_leaf(at))
            buffer_append_string(out, "/");
        if (at->next || last)
            buffer_append_string(out, "\n");
    }
}

void tree_lines(const struct tree *node, const char *prefix, struct buffer *out)
{
    for (const struct tree *at = node->first; at; at = at->next) {
        char path[512];

        snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "/" : "", at->name);
        if (tree_is_leaf(at))
            buffer_printf(out, "%s %s\n", path, at->text);
        else
            tree_lines(at, path, out);
    }
}

// "machine-type" as "machineType".
static void put_key(struct json_writer *w, const char *name, bool camel)
{
    char key[128];
    size_t used = 0;

    if (!camel) {
        jw_key(w, name);
        return;
    }
    for (; *name && used + 1 < sizeof(key); name++) {
        bool up = *name == '-' && name[1] >= 'a' && name[1] <= 'z';

        name += up;
        key[used++] = up ? (char)(*name - 'a' + 'A') : *name;
    }
    key[used] = '\0';
    jw_key(w, key);
}

void tree_json(const struct tree *node, bool camel, struct json_writer *w)
{
    if (node->shape == TREE_TEXT) {
        jw_string(w, node->text);
    } else if (node->shape == TREE_RAW) {
        jw_raw(w, node->text, strlen(node->text));
    } else if (node->shape == TREE_ARRAY) {
        jw_array_begin(w);
        for (const struct tree *at = node->first; at; at = at->next)
            tree_json(at, camel, w);
        jw_array_end(w);
    } else {
        jw_object_begin(w);
        for (const struct tree *at = node->first; at; at = at->next) {
            put_key(w, at->name, camel && node->shape != TREE_MAP);
            tree_json(at, camel, w);
        }
        jw_object_end(w);
    }
}
