#include "sim/packed.h"

#include "store/store.h"

#include <string.h>

const struct packed_field packed_tag_fields[] = {PACKED_OF(STRING, store_tag, key),
                                                 PACKED_OF(STRING, store_tag, value), PACKED_END};

static void pack_list(const struct packed_field *f, const char *object, struct buffer *out)
{
    const char *items;
    size_t count;

    memcpy(&items, object + f->offset, sizeof(items));
    memcpy(&count, object + f->count, sizeof(count));
    pack_int(out, (int64_t)count);
    for (size_t i = 0; i < count; i++)
        pack_fields(f->fields, items + i * f->size, out);
}

static void pack_field(const struct packed_field *f, const char *object, struct buffer *out)
{
    const char *at = object + f->offset;

    switch (f->type) {
    case PACKED_INT:
        pack_int(out, *(const int *)(const void *)at);
        break;
    case PACKED_UINT32:
        pack_int(out, *(const uint32_t *)(const void *)at);
        break;
    case PACKED_INT64:
        pack_int(out, *(const int64_t *)(const void *)at);
        break;
    case PACKED_BOOL:
        pack_int(out, *(const bool *)(const void *)at);
        break;
    case PACKED_STRING:
        pack_string(out, *(const char *const *)(const void *)at);
        break;
    case PACKED_STRUCT:
        pack_fields(f->fields, at, out);
        break;
    case PACKED_LIST:
        pack_list(f, object, out);
        break;
    }
}

void pack_fields(const struct packed_field *fields, const void *object, struct buffer *out)
{
    for (const struct packed_field *f = fields; !f->end; f++)
        pack_field(f, object, out);
}

static void unpack_list(const struct packed_field *f, char *object, struct unpacker *in,
                        struct arena *arena)
{
    size_t count = unpack_count(in);
    char *items = count > 0 ? arena_alloc(arena, count * f->size) : NULL;

    for (size_t i = 0; i < count && !in->failed; i++)
        unpack_fields(f->fields, items + i * f->size, in, arena);
    memcpy(object + f->offset, &items, sizeof(items));
    memcpy(object + f->count, &count, sizeof(count));
}

static void unpack_field(const struct packed_field *f, char *object, struct unpacker *in,
                         struct arena *arena)
{
    char *at = object + f->offset;

    switch (f->type) {
    case PACKED_INT:
        *(int *)(void *)at = f->limit > 0 ? unpack_enum(in, f->limit) : (int)unpack_int(in);
        break;
    case PACKED_UINT32:
        *(uint32_t *)(void *)at = (uint32_t)unpack_int(in);
        break;
    case PACKED_INT64:
        *(int64_t *)(void *)at = unpack_int(in);
        break;
    case PACKED_BOOL:
        *(bool *)(void *)at = unpack_int(in) != 0;
        break;
    case PACKED_STRING:
        *(const char **)(void *)at = unpack_string(in);
        break;
    case PACKED_STRUCT:
        unpack_fields(f->fields, at, in, arena);
        break;
    case PACKED_LIST:
        unpack_list(f, object, in, arena);
        break;
    }
}

void unpack_fields(const struct packed_field *fields, void *object, struct unpacker *in,
                   struct arena *arena)
{
    for (const struct packed_field *f = fields; !f->end; f++)
        if (in->version >= f->since)
            unpack_field(f, object, in, arena);
}
