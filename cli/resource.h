// Finding resources by name or id, listing them, and drawing some of them at random.
#ifndef CLI_RESOURCE_H
#define CLI_RESOURCE_H

#include "base/buffer.h"
#include "cli/args.h"
#include "cli/http.h"

#include <jansson.h>
#include <stdint.h>

struct resource_list {
    json_t *items;    // array, owned by whoever asked
    int64_t revision; // of the cloud, before the list was made
};

bool resource_is_id(const char *text); // PREFIX-17 hex digits
// The key of a document of this kind ("" when it has none), and its name or else its key.
const char *resource_key(const struct kind *kind, const json_t *document);
const char *resource_name(const struct kind *kind, const json_t *document);

// All pages of a list, at most `limit` items (0: all). `query` is encoded and may be empty.
int resource_list(struct http *h, const struct kind *kind, const char *query, int64_t limit,
                  struct resource_list *out, struct failure *f);
// The cloud's revision now, learnt from a list of this kind.
int resource_revision(struct http *h, const struct kind *kind, int64_t *out, struct failure *f);
// The one with this name or id. A name shared with terminated ones means the one that still lives.
int resource_find(struct http *h, const struct kind *kind, const char *ref, json_t **out,
                  struct failure *f);
// As resource_find, but its key only, and no request when `ref` is one already. Caller frees.
int resource_resolve(struct http *h, const struct kind *kind, const char *ref, char **out,
                     struct failure *f);
// Keeps `count` of the items, drawn at random: the same seed draws the same from the same list.
void resource_draw(json_t *items, size_t count, uint64_t seed);
// Appends the filters of the command as query parameters ("a=b&c=d").
void resource_query(const struct command *c, struct buffer *out);
// The items that the command's filters, --random, --seed and --limit ask for. `default_states` is
// used when no --state was given; NULL: all.
int resource_select(struct http *h, const struct command *c, const char *default_states,
                    json_t **out_items, struct failure *f);

// `pattern` with the key and then the part (if it has a place for it) in the places of its "{}",
// encoded; the caller frees. NULL: out of memory.
char *resource_path(const char *pattern, const char *key, const char *part);

#endif
