#include "api/scenario_check.h"

#include "api/scenario_compile.h"

#include <string.h>

static struct store_tag *split_all(struct arena *arena, const char *const *variables, size_t count)
{
    struct store_tag *out = arena_alloc(arena, count * sizeof(*out) + 1);

    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(variables[i], "=");
        out[i].key = arena_strndup(arena, variables[i], length);
        out[i].value = variables[i] + length + (variables[i][length] == '=');
    }
    return out;
}

bool scenario_check(const char *file, const char *text, size_t length, const char *const *variables,
                    size_t variable_count, void (*tell)(void *context, const char *diagnostic),
                    void *context)
{
    struct arena arena;
    struct diagnostics d = {.file = file, .arena = &arena};
    struct scenario_input input = {
        .text = text, .length = length, .variable_count = variable_count};
    struct scenario program;
    bool valid;

    arena_init(&arena);
    input.variables = split_all(&arena, variables, variable_count);
    valid = scenario_compile(&input, &d, &program) == 0;
    for (size_t i = 0; i < d.count; i++)
        tell(context, diagnostic_text(&d, i));
    arena_fini(&arena);
    return valid;
}
