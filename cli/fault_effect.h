// The flags that say what a fault rule does, as its effect in the API.
#ifndef CLI_FAULT_EFFECT_H
#define CLI_FAULT_EFFECT_H

#include "cli/args.h"

#include <jansson.h>

struct fault_effect_flag {
    const char *flag;
    const char *name; // in the API
    int (*make)(const char *value, json_t **out, struct failure *f);
    const char *field;     // with `make` NULL: the one that the value goes into as it is
    const char *details;   // flags that belong to it
    const char *operation; // when no --op is given; NULL: one must be
};

// The one that was given; NULL: none was.
int fault_effect_given(const struct command *c, const struct fault_effect_flag **out,
                       struct failure *f);
const struct fault_effect_flag *fault_effect_named(const char *name); // NULL: there is none
// The effect's object from the flag's value.
int fault_effect_make(const struct fault_effect_flag *effect, const char *value, json_t **out,
                      struct failure *f);
// Sets the fields of the flags of details that were given.
int fault_effect_details(const struct command *c, const struct fault_effect_flag *effect,
                         json_t *out, struct failure *f);

// A number of at least 0; *end is where it ends.
bool fault_number(const char *text, char **end, double *out);
int fault_bad_flag(const char *flag, const char *value, const char *form, struct failure *f);

#endif
