// The body with which a scenario is run or validated.
#ifndef API_BODIES_SCENARIO_H
#define API_BODIES_SCENARIO_H

#include "api/json_in.h"
#include "api/scenario_compile.h"

struct scenario_body {
    const char *source;   // YAML or JSON; NULL:
    const char *scenario; // the scenario itself, as JSON
    const char *file;     // its name in messages
    struct store_tag *variables;
    size_t variable_count;
    int64_t seed;
    bool has_seed;
};

extern const struct schema body_scenario_validate; // into a struct scenario_body

int scenario_body_compile(const struct scenario_body *body, struct diagnostics *d,
                          struct scenario *out);

#endif
