// Shell completion: small scripts that ask the program itself, so that they know its tables and the
// names of what is in the cloud.
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include <stdio.h>

const char *completion_script(const char *shell); // "bash" or "zsh"; else NULL
// Candidates for the last of the words, a line each: the word, and after a tab what it is.
void completion_print(FILE *out, int count, const char *const *words);

#endif
