// Errors as application/problem+json (RFC 9457).
#ifndef API_PROBLEM_H
#define API_PROBLEM_H

#include "base/buffer.h"
#include "base/error.h"

#define PROBLEM_TYPE "application/problem+json"
#define REQUEST_ID_MAX 32 // with the NUL

void problem_encode(const struct error *err, const char *request_id, struct buffer *out);

// As a fault rule has it: any status and code; NULL: the usual ones of the status.
void problem_encode_injected(int status, const char *code, const char *message,
                             const char *request_id, struct buffer *out);

#endif
