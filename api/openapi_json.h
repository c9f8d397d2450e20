// api/openapi.json as it was when the program was built: bytes openapi_json up to openapi_json_end.
#ifndef API_OPENAPI_JSON_H
#define API_OPENAPI_JSON_H

extern const char openapi_json[];
extern const char openapi_json_end[];

#endif
