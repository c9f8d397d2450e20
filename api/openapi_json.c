#include "api/openapi_json.h"

// The path is relative to the root of the source tree, where make runs the compiler. A NUL follows
// the document, for whoever takes it for a string.
__asm__(".pushsection .rodata\n"
        ".global openapi_json, openapi_json_end\n"
        "openapi_json:\n"
        ".incbin \"api/openapi.json\"\n"
        "openapi_json_end:\n"
        ".byte 0\n"
        ".popsection\n");
