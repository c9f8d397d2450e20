// SHA-256 (FIPS 180-4), for digests of event logs: nothing here is about secrets.
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_TEXT_MAX 65 // 64 hex digits and the NUL

struct sha256 {
    uint32_t state[8];
    uint64_t length; // bytes so far
    unsigned char block[64];
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *bytes, size_t length);
void sha256_text(struct sha256 *s, char out[SHA256_TEXT_MAX]); // ends it

#endif
