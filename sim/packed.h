// Packing by tables: for records made of many small structs (scenarios, chaos). A table lists the
// fields of a struct in the order in which they are packed.
#ifndef SIM_PACKED_H
#define SIM_PACKED_H

#include "base/arena.h"
#include "sim/pack.h"

#include <stddef.h>

enum packed_type {
    PACKED_INT,    // int or enum; `limit` > 0: refuses values that are not below it
    PACKED_UINT32, // uint32_t
    PACKED_INT64,  // int64_t
    PACKED_BOOL,   // bool
    PACKED_STRING, // const char *
    PACKED_STRUCT, // in place, by `fields`
    PACKED_LIST    // pointer to structs of `size`, their size_t number at `count`
};

struct packed_field {
    enum packed_type type;
    size_t offset;
    int limit;
    size_t count, size;
    const struct packed_field *fields; // ends with `end`
    int since;                         // version of the record from which on it is there; 0: always
    bool end;
};

// Rows of such tables.
#define PACKED_OF(type_, object, member)                                  \
    {                                                                     \
        .type = PACKED_##type_, .offset = offsetof(struct object, member) \
    }
#define PACKED_ENUM(object, member, count_)                                              \
    {                                                                                    \
        .type = PACKED_INT, .offset = offsetof(struct object, member), .limit = (count_) \
    }
#define PACKED_PART(object, member, fields_)                                                  \
    {                                                                                         \
        .type = PACKED_STRUCT, .offset = offsetof(struct object, member), .fields = (fields_) \
    }
#define PACKED_LIST_OF(object, member, count_, of_, fields_)                                      \
    {                                                                                             \
        .type = PACKED_LIST, .offset = offsetof(struct object, member),                           \
        .count = offsetof(struct object, count_), .size = sizeof(struct of_), .fields = (fields_) \
    }
#define PACKED_SINCE(version_, type_, object, member)                                          \
    {                                                                                          \
        .type = PACKED_##type_, .offset = offsetof(struct object, member), .since = (version_) \
    }
#define PACKED_PART_SINCE(version_, object, member, fields_)                                   \
    {                                                                                          \
        .type = PACKED_STRUCT, .offset = offsetof(struct object, member), .fields = (fields_), \
        .since = (version_)                                                                    \
    }
#define PACKED_END  \
    {               \
        .end = true \
    }

extern const struct packed_field packed_tag_fields[]; // of a struct store_tag

void pack_fields(const struct packed_field *fields, const void *object, struct buffer *out);
// `object` is zeroed by the caller; lists are built in the arena, strings borrowed (sim/pack.h).
void unpack_fields(const struct packed_field *fields, void *object, struct unpacker *in,
                   struct arena *arena);

#endif
