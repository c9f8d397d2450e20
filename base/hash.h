// A hash of bytes for tables and fingerprints: fast, spread over all 64 bits, and the same on every
// machine with its bytes in this order. Not for secrets and not against who chooses the bytes.
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

// Goes on from `hash`. Two calls are not one with the bytes joined, so parts need no separator.
uint64_t hash_bytes(uint64_t hash, const void *data, size_t length);
uint64_t hash_text(uint64_t hash, const char *text); // NUL-terminated

#endif
