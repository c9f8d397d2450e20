// Documents altered on their way out, as fault rules of the effect wrong_answer say. What is made
// up is a function of the rule and the resource, so that a client that asks again is told the same.
#ifndef API_WRONG_ANSWERS_H
#define API_WRONG_ANSWERS_H

#include "sim/fault.h"

#include <jansson.h>

// `name`: the one that all are to have (of duplicate_names). Fields that the document does not have
// stay away.
void wrong_answer(json_t *document, const struct fault *fault, const char *name);
// Permutes those of the items whose `chosen` is true.
void wrong_order(json_t *items, const bool *chosen, uint64_t seed);

#endif
