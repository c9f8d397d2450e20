// YAML, and JSON, which is YAML too, as a tree whose nodes know their line, column and path. For
// files that people write: what is wrong in them is told as file:line:column: field: message.
#ifndef API_YAML_IN_H
#define API_YAML_IN_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json_writer.h"

#include <stdint.h>

#define YAML_DEPTH_MAX 32
#define YAML_NODES_MAX 10000 // aliases are counted as often as they are used

enum node_type { NODE_NULL, NODE_BOOL, NODE_INT, NODE_REAL, NODE_STRING, NODE_LIST, NODE_MAP };

struct node {
    enum node_type type;
    int line, column; // from 1
    const char *path; // "steps[2].terminate.zone"; of the root ""
    const char *key;  // of an item of a map
    int key_line, key_column;
    const char *text;   // of a scalar
    int64_t integer;    // NODE_INT, NODE_BOOL
    double real;        // NODE_REAL, NODE_INT
    struct node *items; // of a list or map
    size_t count;
};

#define DIAGNOSTICS_MAX 20

struct diagnostic {
    int line, column; // 0: of the whole
    const char *path, *message;
};

struct diagnostics { // of one file; what is beyond the maximum is dropped
    const char *file;
    struct arena *arena;
    struct diagnostic items[DIAGNOSTICS_MAX];
    size_t count;
};

// Adds one; returns -ERROR_INVALID.
int diagnose(struct diagnostics *d, const struct node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int diagnose_key(struct diagnostics *d, const struct node *node, const char *message); // at its key
// "file:line:column: path: message"
const char *diagnostic_text(const struct diagnostics *d, size_t index);

// Built in d->arena. Refuses more than one document, duplicate keys, keys that are not text,
// recursion by aliases, and what is too deep or too large.
int yaml_in_load(const char *text, size_t length, struct diagnostics *d, struct node **out);

struct node *node_get(const struct node *map, const char *key);  // NULL: not there
void node_write(const struct node *node, struct json_writer *w); // as JSON
// A scalar's type from its text, as if it stood there plain.
void node_resolve(struct node *node, const char *text);

#endif
