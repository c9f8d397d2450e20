// Numbers as text, without printf: what is made for every request and every event would show in a
// profile.
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stdint.h>

#define DECIMAL_MAX 21 // with the NUL

char *decimal_put(char *out, uint64_t number); // returns where the NUL stands

#endif
