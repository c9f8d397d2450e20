// IP addresses and CIDR blocks, both families in one 128-bit form. Text is canonical: dotted
// decimal for IPv4 (no leading zeros), RFC 5952 for IPv6; IPv4-mapped IPv6 and zones are refused.
#ifndef BASE_IP_H
#define BASE_IP_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define IP_TEXT_MAX 46
#define CIDR_TEXT_MAX 50

enum ip_family { IP_V4 = 4, IP_V6 = 6 };

struct ip {
    enum ip_family family;
    unsigned char bytes[16]; // network order; IPv4 uses the first four
};

struct cidr {
    struct ip base; // host bits zero
    int prefix;     // 0..32 or 0..128
};

const char *ip_family_name(enum ip_family family); // "ipv4", "ipv6"
int ip_family_parse(const char *text, enum ip_family *out, struct error *err);
int ip_parse(const char *text, struct ip *out, struct error *err);
void ip_format(const struct ip *ip, char out[IP_TEXT_MAX]);
int ip_compare(const struct ip *a, const struct ip *b); // family first
// Refuses host bits that are not zero, as the Kubernetes API does.
int cidr_parse(const char *text, struct cidr *out, struct error *err);
void cidr_format(const struct cidr *cidr, char out[CIDR_TEXT_MAX]);
bool cidr_contains(const struct cidr *cidr, const struct ip *ip);
bool cidr_overlaps(const struct cidr *a, const struct cidr *b);
// How many addresses it holds, at most UINT64_MAX.
uint64_t cidr_size(const struct cidr *cidr);
// The n-th address (0 is the base); n < cidr_size.
struct ip cidr_nth(const struct cidr *cidr, uint64_t n);
uint64_t cidr_index(const struct cidr *cidr, const struct ip *ip); // inverse; ip must lie inside

#endif
