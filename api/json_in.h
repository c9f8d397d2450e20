// Bodies described by tables: a schema lists the fields of an object, each with its type, bounds
// and place in a C struct, and one parser reads them all. Errors name the path of the field
// ("listeners[0].port"); the first one wins. Strings and arrays are built in the arena.
#ifndef API_JSON_IN_H
#define API_JSON_IN_H

#include "base/arena.h"
#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 32

struct json_in { // one parse in progress
    struct arena *arena;
    struct error *err;
    size_t path_length;
    char path[96]; // of the value being read; cut when it does not fit
};

enum field_type {
    FIELD_STRING,     // const char *; minimum..maximum characters
    FIELD_NAME,       // const char *; ^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$, at most 253
    FIELD_ENUM,       // enum; index into choices
    FIELD_INT,        // int; minimum..maximum
    FIELD_INT64,      // int64_t; minimum..maximum
    FIELD_DOUBLE,     // double; minimum..maximum
    FIELD_BOOL,       // bool
    FIELD_TAGS,       // struct tags_spec
    FIELD_TAGS_PATCH, // struct tags_spec; null deletes
    FIELD_OBJECT,     // a struct in place, by `schema`
    FIELD_LIST,       // pointer to minimum..maximum items, each by `item`; number at `count`
    FIELD_PARSED,     // by `parse`
};

struct schema;

struct field {
    const char *name; // NULL ends the table
    enum field_type type;
    bool required;
    size_t offset;
    size_t present; // offset of a bool that says it was given; 0: none
    size_t count;   // FIELD_LIST: offset of the size_t
    size_t size;    // FIELD_LIST: of one item
    int64_t minimum, maximum;
    int64_t fallback;           // of FIELD_ENUM, FIELD_INT(64), FIELD_BOOL when absent
    const char *text;           // fallback of FIELD_STRING
    const char *const *choices; // NULL ends
    const struct schema *schema;
    const struct field *item; // its offset is 0
    // Reads into `object` at f->offset.
    int (*parse)(struct json_in *in, const struct field *f, const json_t *value, char *object);
};

struct schema {
    const char *name; // of openapi.json's components
    const struct field *fields;
    bool optional;                                  // the request may have no body at all
    size_t minimum;                                 // number of fields that must be given
    int (*check)(struct json_in *in, void *object); // across fields; may be NULL
    // When the fields do not lie in the object itself but in a struct of `size` bytes, made for the
    // parse, that is then turned into the object. Such schemas are not used by FIELD_OBJECT.
    size_t size;
    int (*convert)(struct json_in *in, const void *given, void *object);
};

// `object` is zeroed by the caller. json_in_body refuses duplicate keys and deep nesting.
int json_in_body(const struct schema *schema, const char *text, size_t length, struct arena *arena,
                 void *object, struct error *err);
// A value of a larger document, which calls it `where` ("instances[3]", may be "").
int json_in_value(const struct schema *schema, const json_t *value, const char *where,
                  struct arena *arena, void *object, struct error *err);
// ERROR_MALFORMED with line and column. The caller decref's *out.
int json_in_load(const char *text, size_t length, json_t **out, struct error *err);

// For `parse` and `check` functions.
int json_in_object(struct json_in *in, const struct schema *schema, const json_t *value,
                   void *object);
// Item `index` of an array, under its own path.
int json_in_item(struct json_in *in, const struct field *item, const json_t *list, size_t index,
                 void *out);
int json_in_fail(struct json_in *in, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4))); // field below the current path; NULL: the path itself
int json_in_unknown(struct json_in *in, const char *field); // below the path: no such field
const char *json_in_string(struct json_in *in, const json_t *value); // copied; NULL: failed
int json_in_duration(struct json_in *in, const json_t *value, int64_t *out_ns); // Go's notation
struct tags_spec;
int json_in_tags(struct json_in *in, const json_t *value, struct tags_spec *out);
// Repeats an error that another parser (ip_parse, …) gave, under the current path.
int json_in_repeat(struct json_in *in, const char *field, const struct error *other);

bool name_valid(const char *name, size_t length);
bool hostname_valid(const char *name);

#endif
