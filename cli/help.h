// Help texts and the man page, made from the tables of cli/spec.h.
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/args.h"

#include <stdio.h>

// Of the verb, of the noun, or of everything, whatever the command names.
void help_print(FILE *out, const struct command *c);
// docs/mockcloud.1
void manual_print(FILE *out);

#endif
