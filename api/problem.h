// Errors as application/problem+json (RFC 9457).
#ifndef API_PROBLEM_H
#define API_PROBLEM_H

#include "base/buffer.h"
#include "base/error.h"

#define PROBLEM_TYPE "application/problem+json"
#define REQUEST_ID_MAX 32 // with the NUL

void problem_encode(const struct error *err, const char *request_id, struct buffer *out);

#endif
