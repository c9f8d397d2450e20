#include "sim/pack.h"

#include <string.h>

static void pack_varint(struct buffer *out, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = 0;

    while (value >= 0x80) {
        bytes[n++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    bytes[n++] = (unsigned char)value;
    buffer_append(out, bytes, n);
}

void pack_int(struct buffer *out, int64_t value)
{
    pack_varint(out, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

// Length + 1 (0: NULL), the bytes, a NUL, so that a reader can borrow the string where it lies.
void pack_string(struct buffer *out, const char *value)
{
    if (value == NULL) {
        pack_varint(out, 0);
        return;
    }
    size_t length = strlen(value);
    pack_varint(out, (uint64_t)length + 1);
    buffer_append(out, value, length + 1);
}

void pack_ip(struct buffer *out, const struct ip *ip)
{
    pack_varint(out, (uint64_t)ip->family);
    if (ip->family != 0) {
        buffer_append(out, ip->bytes, ip->family == IP_V4 ? 4 : 16);
    }
}

static uint64_t unpack_varint(struct unpacker *in)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        unsigned char byte = *in->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    in->failed = true;
    return 0;
}

int64_t unpack_int(struct unpacker *in)
{
    uint64_t value = unpack_varint(in);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

int unpack_enum(struct unpacker *in, int count)
{
    int64_t value = unpack_int(in);

    if (value < 0 || value >= count) {
        in->failed = true;
        return 0;
    }
    return (int)value;
}

size_t unpack_count(struct unpacker *in)
{
    int64_t count = unpack_int(in);

    if (count < 0 || count > in->end - in->at) {
        in->failed = true;
        return 0;
    }
    return (size_t)count;
}

const char *unpack_string(struct unpacker *in)
{
    uint64_t length = unpack_varint(in);

    if (length == 0) {
        return NULL;
    }
    if (length > (uint64_t)(in->end - in->at) || in->at[length - 1] != '\0') {
        in->failed = true;
        return NULL;
    }
    const char *string = (const char *)in->at;
    in->at += length;
    return string;
}

struct ip unpack_ip(struct unpacker *in)
{
    struct ip ip = {0};
    uint64_t family = unpack_varint(in);
    size_t length = family == IP_V4 ? 4 : family == IP_V6 ? 16 : 0;

    if ((length == 0 && family != 0) || length > (size_t)(in->end - in->at)) {
        in->failed = true;
        return ip;
    }
    ip.family = (enum ip_family)family;
    memcpy(ip.bytes, in->at, length);
    in->at += length;
    return ip;
}
