// What the verbs print: aligned tables, JSON, names, ids.
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "cli/args.h"
#include "cli/http.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

enum output_format { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON, OUTPUT_NAME, OUTPUT_ID };

struct output {
    FILE *file;
    enum output_format format;
    struct http *http; // knows cloud time, for ages; NULL: times are shown
};

void output_init(struct output *out, FILE *file, const struct command *c, struct http *http);
// A list: a JSON array, or rows under a header.
void output_items(struct output *out, const struct kind *kind, const json_t *items);
// One: a JSON object, or a row under a header.
void output_item(struct output *out, const struct kind *kind, const json_t *item);
// One of a stream: a JSON line, or a row of fixed width without a header. Flushed.
void output_streamed(struct output *out, const struct kind *kind, const json_t *item);

// "pool/front-pool deleted", or with -o name and id the name alone; nothing with -o json.
void output_deleted(struct output *out, const struct kind *kind, const char *name);

// The text of a cell, control characters replaced. In cell.c
void output_cell(struct output *out, const struct column *column, const json_t *item,
                 struct buffer *cell);
void output_age(int64_t age_ns, struct buffer *cell); // "45s", "3m12s", "5h", "12d"

#endif
