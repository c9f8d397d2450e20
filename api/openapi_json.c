#include "api/openapi_json.h"

// The path is relative to the root of the source tree, where make runs the compiler.
__asm__(".pushsection .rodata\n"
        ".global openapi_json, openapi_json_length\n"
        "openapi_json:\n"
        ".incbin \"api/openapi.json\"\n"
        "1: .byte 0\n"
        ".balign 8\n"
        "openapi_json_length:\n"
        ".quad 1b - openapi_json\n"
        ".popsection\n");
