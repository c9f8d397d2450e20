// Errors: a code that means the same all the way up, the offending field, and a sentence for
// people.
//
// A function that can fail returns 0 or a negative code (-ERROR_…) and takes a last `struct error
// *` (NULL allowed). The first error wins: error_set on an error that is already set changes
// nothing.
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stddef.h>

// X(enum, HTTP status, stable API string, title)
#define ERROR_CODES(X)                                                           \
    X(ERROR_INVALID, 400, "invalid_argument", "Bad Request")                     \
    X(ERROR_UNKNOWN_FIELD, 400, "unknown_field", "Bad Request")                  \
    X(ERROR_MALFORMED, 400, "malformed_body", "Bad Request")                     \
    X(ERROR_UNAUTHORIZED, 401, "unauthorized", "Unauthorized")                   \
    X(ERROR_FORBIDDEN, 403, "forbidden", "Forbidden")                            \
    X(ERROR_QUOTA, 403, "quota_exceeded", "Forbidden")                           \
    X(ERROR_NOT_FOUND, 404, "not_found", "Not Found")                            \
    X(ERROR_NO_PATH, 404, "no_such_path", "Not Found")                           \
    X(ERROR_METHOD, 405, "method_not_allowed", "Method Not Allowed")             \
    X(ERROR_NOT_ACCEPTABLE, 406, "not_acceptable", "Not Acceptable")             \
    X(ERROR_EXISTS, 409, "already_exists", "Conflict")                           \
    X(ERROR_IN_USE, 409, "in_use", "Conflict")                                   \
    X(ERROR_STATE, 409, "illegal_transition", "Conflict")                        \
    X(ERROR_ZONE_UNAVAILABLE, 409, "zone_unavailable", "Conflict")               \
    X(ERROR_EXHAUSTED, 409, "exhausted", "Conflict")                             \
    X(ERROR_COMPACTED, 410, "revision_compacted", "Gone")                        \
    X(ERROR_PRECONDITION, 412, "precondition_failed", "Precondition Failed")     \
    X(ERROR_TOO_LARGE, 413, "too_large", "Content Too Large")                    \
    X(ERROR_URI_TOO_LONG, 414, "uri_too_long", "URI Too Long")                   \
    X(ERROR_MEDIA_TYPE, 415, "unsupported_media_type", "Unsupported Media Type") \
    X(ERROR_MISDIRECTED, 421, "host_not_allowed", "Misdirected Request")         \
    X(ERROR_IDEMPOTENCY, 422, "idempotency_key_reused", "Unprocessable Content") \
    X(ERROR_THROTTLED, 429, "throttled", "Too Many Requests")                    \
    X(ERROR_INTERNAL, 500, "internal", "Internal Server Error")                  \
    X(ERROR_UNAVAILABLE, 503, "unavailable", "Service Unavailable")              \
    X(ERROR_CAPACITY, 503, "insufficient_capacity", "Service Unavailable")       \
    X(ERROR_STORAGE, 507, "insufficient_storage", "Insufficient Storage")

enum error_code {
    ERROR_NONE,
#define X(code, status, string, title) code,
    ERROR_CODES(X)
#undef X
};

struct error {
    enum error_code code;
    char field[96];    // offending field, flag, header or file position; may be empty
    char message[256]; // one line, no trailing period needed
};

// Sets `err` unless it is NULL or set already; cuts what does not fit. Returns -code always, so
// that `return error_set(err, ERROR_INVALID, "name", "…")` reads as one step. `field` may be NULL.
// A macro, so that compilers and analysers see the result to be negative.
#define error_set(err, code, ...) (error_record((err), (code), __VA_ARGS__), error_result(code))
static inline int error_result(enum error_code code)
{
    return -(int)code;
}
void error_record(struct error *err, enum error_code code, const char *field, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));

int error_status(enum error_code code);         // HTTP status
const char *error_string(enum error_code code); // stable API string
const char *error_title(enum error_code code);  // RFC 9457 title

#endif
