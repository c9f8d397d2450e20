// Rate limits of projects: a token bucket for each class of operations, taken from by the threads
// of the front doors. They live in cloud time: under a manual clock they refill when it is
// advanced, and the same calls at the same times get the same answers. A restart fills them.
#ifndef SIM_RATES_H
#define SIM_RATES_H

#include "sim/cloud.h"

extern const char *const rate_class_names[RATE_CLASSES]; // "read", "list", "write"

struct rates; // opaque

struct rates *rates_new(void);
void rates_free(struct rates *r); // NULL allowed

#endif
