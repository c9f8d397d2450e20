// api/openapi.json as it was when the program was built.
#ifndef API_OPENAPI_JSON_H
#define API_OPENAPI_JSON_H

#include <stdint.h>

extern const char openapi_json[]; // a NUL follows
extern const uint64_t openapi_json_length;

#endif
