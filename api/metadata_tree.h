// A tree of keys, as the metadata services of EC2 and GCE are: built for a request, then listed,
// read or rendered. Everything lies in the arena.
#ifndef API_METADATA_TREE_H
#define API_METADATA_TREE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/json_writer.h"

enum tree_shape {
    TREE_TEXT,   // a leaf; a string in JSON
    TREE_RAW,    // a leaf whose text is JSON already
    TREE_OBJECT, // a directory
    TREE_MAP,    // a directory whose keys are not ours: they are kept as they are
    TREE_ARRAY   // a directory whose names are the places of an array
};

struct tree {
    const char *name;
    enum tree_shape shape;
    const char *text;
    struct tree *first, *last, *next;
};

struct tree *tree_new(struct arena *arena); // an object without a name
struct tree *tree_add(struct arena *arena, struct tree *parent, const char *name,
                      enum tree_shape shape);
// A leaf; text NULL: none is added.
void tree_text(struct arena *arena, struct tree *parent, const char *name, const char *text);
void tree_raw(struct arena *arena, struct tree *parent, const char *name, const char *json);

bool tree_is_leaf(const struct tree *node);
// The node at a path such as "a/b" or "a/b/"; NULL: there is none, or it is a leaf and the path
// ends with a slash.
const struct tree *tree_find(const struct tree *root, const char *path);
// Names, a line each, directories with a slash; no newline at the end unless `last`.
void tree_list(const struct tree *node, bool last, struct buffer *out);
// "a/b value" lines of everything below.
void tree_lines(const struct tree *node, const char *prefix, struct buffer *out);
void tree_json(const struct tree *node, bool camel, struct json_writer *w);

#endif
