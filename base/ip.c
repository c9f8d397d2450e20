#include "base/ip.h"

#include "base/decimal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

const char *ip_family_name(enum ip_family family)
{
    return family == IP_V4 ? "ipv4" : "ipv6";
}

int ip_family_parse(const char *text, enum ip_family *out, struct error *err)
{
    if (strcmp(text, "ipv4") == 0)
        *out = IP_V4;
    else if (strcmp(text, "ipv6") == 0)
        *out = IP_V6;
    else
        return error_set(err, ERROR_INVALID, NULL, "\"%.40s\" is neither ipv4 nor ipv6", text);
    return 0;
}

static int bits_of(enum ip_family family)
{
    return family == IP_V4 ? 32 : 128;
}

static bool is_mapped(const struct ip *ip)
{
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};

    return ip->family == IP_V6 && memcmp(ip->bytes, prefix, sizeof(prefix)) == 0;
}

int ip_parse(const char *text, struct ip *out, struct error *err)
{
    struct ip ip = {.family = strchr(text, ':') ? IP_V6 : IP_V4};

    // glibc's inet_pton takes neither leading zeros in IPv4 nor zones
    if (inet_pton(ip.family == IP_V4 ? AF_INET : AF_INET6, text, ip.bytes) != 1)
        return error_set(err, ERROR_INVALID, NULL, "\"%.60s\" is not an IP address", text);
    if (is_mapped(&ip))
        return error_set(err, ERROR_INVALID, NULL,
                         "\"%.60s\" is an IPv4-mapped address; write it as IPv4", text);
    *out = ip;
    return 0;
}

static unsigned group(const struct ip *ip, int i)
{
    return (unsigned)(ip->bytes[2 * i] << 8 | ip->bytes[2 * i + 1]);
}

// RFC 5952: the longest run of two or more zero groups, the first of equals. *out_start is -1 if
// none.
static void longest_zero_run(const struct ip *ip, int *out_start, int *out_length)
{
    int length = 0;

    *out_start = -1;
    *out_length = 1;
    for (int i = 0; i < 8; i++) {
        length = group(ip, i) == 0 ? length + 1 : 0;
        if (length > *out_length) {
            *out_length = length;
            *out_start = i - length + 1;
        }
    }
}

static void format_v6(const struct ip *ip, char *out)
{
    static const char hex[] = "0123456789abcdef";
    int start, length;

    longest_zero_run(ip, &start, &length);
    for (int i = 0; i < 8; i++) {
        unsigned value = group(ip, i);
        if (i == start) {
            *out++ = ':';
            i += length - 1;
            if (i == 7)
                *out++ = ':';
            continue;
        }
        if (i > 0)
            *out++ = ':';
        for (int shift = 12; shift >= 0; shift -= 4)
            if (value >> shift || shift == 0)
                *out++ = hex[value >> shift & 15];
    }
    *out = '\0';
}

static void format_v4(const struct ip *ip, char *out)
{
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            *out++ = '.';
        out = decimal_put(out, ip->bytes[i]);
    }
}

void ip_format(const struct ip *ip, char out[IP_TEXT_MAX])
{
    if (ip->family == IP_V4)
        format_v4(ip, out);
    else
        format_v6(ip, out);
}

int ip_compare(const struct ip *a, const struct ip *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    return memcmp(a->bytes, b->bytes, (size_t)bits_of(a->family) / 8);
}

// Whether the first `prefix` bits agree.
static bool same_prefix(const unsigned char *a, const unsigned char *b, int prefix)
{
    size_t whole = (size_t)prefix / 8;
    int rest = prefix % 8;

    return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

static bool host_bits_zero(const struct cidr *cidr)
{
    for (int bit = cidr->prefix; bit < bits_of(cidr->base.family); bit++)
        if (cidr->base.bytes[bit / 8] & (0x80 >> bit % 8))
            return false;
    return true;
}

static bool parse_prefix(const char *text, int max, int *out)
{
    int value = 0, digits = 0;

    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 3; digits++)
        value = value * 10 + (text[digits] - '0');
    if (digits == 0 || text[digits] != '\0' || value > max || (text[0] == '0' && digits > 1))
        return false;
    *out = value;
    return true;
}

int cidr_parse(const char *text, struct cidr *out, struct error *err)
{
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : 0;
    char address[IP_TEXT_MAX];
    struct cidr cidr;

    if (!slash || length >= sizeof(address))
        goto refuse;
    memcpy(address, text, length);
    address[length] = '\0';
    if (ip_parse(address, &cidr.base, NULL) < 0 ||
        !parse_prefix(slash + 1, bits_of(cidr.base.family), &cidr.prefix))
        goto refuse;
    if (!host_bits_zero(&cidr))
        return error_set(err, ERROR_INVALID, NULL, "\"%.60s\" has host bits that are not zero",
                         text);
    *out = cidr;
    return 0;
refuse:
    return error_set(err, ERROR_INVALID, NULL, "\"%.60s\" is not a CIDR block like 10.0.0.0/16",
                     text);
}

void cidr_format(const struct cidr *cidr, char out[CIDR_TEXT_MAX])
{
    char address[IP_TEXT_MAX];

    ip_format(&cidr->base, address);
    snprintf(out, CIDR_TEXT_MAX, "%.45s/%u", address, (unsigned)cidr->prefix & 0xffu);
}

bool cidr_contains(const struct cidr *cidr, const struct ip *ip)
{
    return cidr->base.family == ip->family &&
           same_prefix(cidr->base.bytes, ip->bytes, cidr->prefix);
}

bool cidr_overlaps(const struct cidr *a, const struct cidr *b)
{
    int prefix = a->prefix < b->prefix ? a->prefix : b->prefix;

    return a->base.family == b->base.family && same_prefix(a->base.bytes, b->base.bytes, prefix);
}

uint64_t cidr_size(const struct cidr *cidr)
{
    int host = bits_of(cidr->base.family) - cidr->prefix;

    return host >= 64 ? UINT64_MAX : UINT64_C(1) << host;
}

struct ip cidr_nth(const struct cidr *cidr, uint64_t n)
{
    struct ip ip = cidr->base;

    // the host bits of the base are zero, so nothing carries
    for (int i = bits_of(ip.family) / 8 - 1; i >= 0 && n; i--, n >>= 8)
        ip.bytes[i] |= (unsigned char)n;
    return ip;
}

uint64_t cidr_index(const struct cidr *cidr, const struct ip *ip)
{
    uint64_t index = 0;

    for (int i = 0; i < bits_of(ip->family) / 8; i++) {
        if (index >> 56)
            return UINT64_MAX; // more than 2^64 addresses lie before it
        index = index << 8 | (unsigned char)(ip->bytes[i] ^ cidr->base.bytes[i]);
    }
    return index;
}
