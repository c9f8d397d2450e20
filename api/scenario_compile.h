// From the text of a scenario (YAML or JSON) to the program that the writer carries out
// (sim/scenario.h). Needs no cloud: what can be known to be wrong is told here, by line.
// The language is described in docs/SCENARIOS.md and by docs/scenario.schema.json.
#ifndef API_SCENARIO_COMPILE_H
#define API_SCENARIO_COMPILE_H

#include "api/yaml_in.h"
#include "sim/scenario.h"

struct scenario_input {
    const char *text;
    size_t length;
    const struct store_tag *variables; // that take the place of the file's own
    size_t variable_count;
};

// Into d->arena; strings of `input` are copied. 0, or -ERROR_INVALID with at least one diagnostic.
int scenario_compile(const struct scenario_input *input, struct diagnostics *d,
                     struct scenario *out);

// --- between the files of the compiler ---

#define SCENARIO_STEPS_MAX 500
#define SCENARIO_ACTIONS_MAX 100 // of a step
#define SCENARIO_REPEAT_MAX 10000
#define SCENARIO_COUNT_MAX 1000000

struct compiling {
    struct diagnostics *d;
    struct arena *arena;
    struct scenario *program;
};

// Values of nodes; each tells what is wrong with it.
int compile_known(struct compiling *c, const struct node *map, const char *const *names);
int compile_text(struct compiling *c, const struct node *node, const char **out);
int compile_int(struct compiling *c, const struct node *node, int64_t minimum, int64_t maximum,
                int64_t *out);
int compile_bool(struct compiling *c, const struct node *node, bool *out);
int compile_duration(struct compiling *c, const struct node *node, int64_t minimum, int64_t *out);
bool compile_is_dynamic(const struct node *node); // has a ${variable} of the run in it

// api/scenario_variables.c: replaces what is known before the run in the whole tree.
int compile_variables(struct compiling *c, struct node *root, const struct scenario_input *input);
// api/scenario_select.c
int compile_selector(struct compiling *c, const struct node *node, int kind, uint32_t states,
                     const char *const *other_keys, struct selector *out);
int compile_conditions(struct compiling *c, const struct node *node, struct condition **out,
                       size_t *out_count);
// "is" of a condition.
int compile_comparison(struct compiling *c, const struct node *node, struct condition *out);
// api/scenario_calls.c: {calls: …}
int compile_calls(struct compiling *c, const struct node *map, struct condition *out);
uint32_t compile_live_states(int kind); // those in which something can be done to it
// api/scenario_action.c
// The actions of a step, an action of a list or of on_failure and cleanup. `others`: keys beside.
int compile_actions(struct compiling *c, const struct node *map, const char *const *others,
                    struct scenario_action **out, size_t *out_count);
int compile_action_list(struct compiling *c, const struct node *list, struct scenario_action **out,
                        size_t *out_count);
bool compile_is_action_key(const char *key);

#endif
