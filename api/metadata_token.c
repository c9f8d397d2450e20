#include "api/metadata_token.h"

#include "base/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS 16 // of each of its three numbers

static uint64_t key_of(uint64_t secret, const char *instance_id)
{
    uint64_t hash = secret;

    for (; *instance_id; instance_id++)
        hash = random_u64(hash, (unsigned char)*instance_id, 0);
    return hash;
}

void metadata_token_make(uint64_t secret, const char *instance_id, int64_t expires_ns,
                         char out[METADATA_TOKEN_MAX])
{
    uint64_t key = key_of(secret, instance_id);

    snprintf(out, METADATA_TOKEN_MAX, "%016" PRIx64 "%016" PRIx64 "%016" PRIx64,
             (uint64_t)expires_ns, random_u64(key, expires_ns, 1), random_u64(key, expires_ns, 2));
}

int64_t metadata_token_left(uint64_t secret, const char *instance_id, const char *token,
                            int64_t now_ns)
{
    char digits[DIGITS + 1] = "", expected[METADATA_TOKEN_MAX];
    int64_t expires_ns;
    unsigned differ = 0;

    if (strlen(token) != METADATA_TOKEN_MAX - 1)
        return 0;
    memcpy(digits, token, DIGITS);
    expires_ns = (int64_t)strtoull(digits, NULL, 16);
    metadata_token_make(secret, instance_id, expires_ns, expected);
    for (size_t i = 0; i < METADATA_TOKEN_MAX; i++)
        differ |= (unsigned)(token[i] ^ expected[i]);
    return differ == 0 && expires_ns > now_ns ? expires_ns - now_ns : 0;
}
