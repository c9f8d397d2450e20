// Scenario files: YAML and JSON from anywhere, to the program that the writer would carry out.
#include "api/scenario_compile.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1); // without a NUL: exactly the bytes that may be read
    struct scenario program;
    struct arena arena;

    must(text);
    if (size > 0)
        memcpy(text, data, size);
    arena_init(&arena);
    struct diagnostics d = {.file = "fuzz.yaml", .arena = &arena};
    struct scenario_input input = {.text = text, .length = size};
    if (scenario_compile(&input, &d, &program) < 0) {
        must(d.count > 0);
        for (size_t i = 0; i < d.count; i++)
            must(diagnostic_text(&d, i)[0]);
    } else {
        must(d.count == 0 && program.step_count > 0 && program.r.name);
    }
    arena_fini(&arena);
    free(text);
    return 0;
}
