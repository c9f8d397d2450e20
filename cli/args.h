// The command line, parsed and checked against the tables of cli/spec.h.
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include "cli/failure.h"
#include "cli/spec.h"

struct option {
    const struct flag *flag;
    const char *value; // borrowed from argv; "" for a switch
};

struct command {
    const struct kind *kind; // the noun that was given, or NULL
    const struct verb *verb; // NULL: only help was asked for
    bool help;
    struct option *options;
    size_t option_count;
    const char **operands;
    size_t operand_count;
};

// Parses argv[1..]. On failure nothing is left to free. args_free takes a zeroed command too.
int args_parse(struct command *out, int argc, const char *const *argv, struct failure *f);
void args_free(struct command *c);

bool args_has(const struct command *c, const char *flag);
const char *args_value(const struct command *c, const char *flag); // the last one given, or NULL
// The number of a FLAG_INT; `otherwise` when it was not given.
int64_t args_int(const struct command *c, const char *flag, int64_t otherwise);
// Whether any flag with this use was given.
bool args_uses(const struct command *c, enum flag_use use);

#endif
