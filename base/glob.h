// Patterns of names: '*' stands for any run of characters, '?' for one; anything else for itself.
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include <stdbool.h>

// Takes time in proportion to the lengths multiplied, whatever the pattern.
bool glob_match(const char *pattern, const char *text);

#endif
