#include "base/hash.h"

#include <string.h>

// One multiplication per eight bytes; the shift brings what it moved up down again.
static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 32);
}

uint64_t hash_bytes(uint64_t hash, const void *data, size_t length)
{
    const unsigned char *at = data;
    uint64_t word;

    for (size_t left = length; left > 0;) {
        size_t n = left < sizeof(word) ? left : sizeof(word);
        word = 0;
        memcpy(&word, at, n);
        hash = mix(hash, word);
        at += n;
        left -= n;
    }
    return mix(hash, length);
}

uint64_t hash_text(uint64_t hash, const char *text)
{
    return hash_bytes(hash, text, strlen(text));
}
