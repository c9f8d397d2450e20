// Streaming JSON writer into a buffer: no tree, canonical output (no white space, fields in the
// order of the calls). Strings must be UTF-8; control characters, quotes and backslashes are
// escaped. Nesting mistakes are our own and are asserted. The prefix is jw_: json_string and
// json_null are jansson's.
#ifndef BASE_JSON_WRITER_H
#define BASE_JSON_WRITER_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

struct json_writer {
    struct buffer *out; // borrowed
    unsigned depth;
    uint64_t has_items; // bit per depth: whether a comma is due; depth is at most 63
    bool after_key;
};

void jw_init(struct json_writer *w, struct buffer *out);
void jw_object_begin(struct json_writer *w);
void jw_object_end(struct json_writer *w);
void jw_array_begin(struct json_writer *w);
void jw_array_end(struct json_writer *w);
void jw_key(struct json_writer *w, const char *key); // keys of ours: no escaping needed but done
void jw_string(struct json_writer *w, const char *value);
void jw_string_n(struct json_writer *w, const char *value, size_t length);
void jw_int(struct json_writer *w, int64_t value);
void jw_double(struct json_writer *w,
               double value); // finite; shortest form that reads back the same
void jw_bool(struct json_writer *w, bool value);
void jw_null(struct json_writer *w);
void jw_time(struct json_writer *w, int64_t ns); // RFC 3339 UTC string with milliseconds
void jw_raw(struct json_writer *w, const char *json, size_t length); // one value, already JSON

// key + value in one call
void jw_field_string(struct json_writer *w, const char *key, const char *value);
void jw_field_int(struct json_writer *w, const char *key, int64_t value);
void jw_field_time(struct json_writer *w, const char *key, int64_t ns);
void jw_field_duration(struct json_writer *w, const char *key, int64_t ns); // Go's notation

#endif
