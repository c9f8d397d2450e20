// Whether the text of a scenario is one, for who runs no cloud: the CLI.
#ifndef API_SCENARIO_CHECK_H
#define API_SCENARIO_CHECK_H

#include <stdbool.h>
#include <stddef.h>

// Calls `tell` with each diagnostic, "file:line:column: field: message". `variables`: KEY=VALUE.
bool scenario_check(const char *file, const char *text, size_t length, const char *const *variables,
                    size_t variable_count, void (*tell)(void *context, const char *diagnostic),
                    void *context);

#endif
