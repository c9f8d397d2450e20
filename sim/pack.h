// The packed form of a record in its row: little and self-delimiting, read back only by us.
// Integers are zigzag varints, strings length-prefixed and NUL-terminated (NULL differs from
// empty), so that reading borrows them where they lie: they live as long as the packed bytes.
#ifndef SIM_PACK_H
#define SIM_PACK_H

#include "base/buffer.h"
#include "base/ip.h"

#include <stdbool.h>
#include <stdint.h>

void pack_int(struct buffer *out, int64_t value);
void pack_string(struct buffer *out, const char *value); // NULL allowed
void pack_ip(struct buffer *out, const struct ip *ip);   // family 0 allowed

// Reads what was packed, in the same order. After the first malformed byte `failed` is set and
// every read gives 0 or NULL: check it once at the end.
struct unpacker {
    const unsigned char *at;
    const unsigned char *end;
    int version; // of the record: what was packed by an older program lacks later fields
    bool failed;
};

int64_t unpack_int(struct unpacker *in);
// An enumeration with `count` values: refuses (0, failed) others.
int unpack_enum(struct unpacker *in, int count);
// A count of items that follow, each at least one byte: refuses (0, failed) what cannot be there.
size_t unpack_count(struct unpacker *in);
const char *unpack_string(struct unpacker *in);
struct ip unpack_ip(struct unpacker *in);

#endif
