// Session tokens of EC2's metadata service, version 2. They carry their end and a signature, so
// nothing is kept of them; they are of one instance and of this run of the server. They are there
// to find clients that handle them wrongly, not to keep an attacker out.
#ifndef API_METADATA_TOKEN_H
#define API_METADATA_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#define METADATA_TOKEN_MAX 49 // 48 hexadecimal digits and the NUL
#define METADATA_TOKEN_TTL_MAX 21600

void metadata_token_make(uint64_t secret, const char *instance_id, int64_t expires_ns,
                         char out[METADATA_TOKEN_MAX]);
// Cloud time left, 0: expired, or not a token of this instance.
int64_t metadata_token_left(uint64_t secret, const char *instance_id, const char *token,
                            int64_t now_ns);

#endif
