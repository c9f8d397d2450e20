// The parts of a fault rule's body, for whoever reads patches of it.
#ifndef API_BODIES_FAULT_H
#define API_BODIES_FAULT_H

#include "api/json_in.h"

extern const struct schema fault_match_schema, fault_when_schema;
const struct schema *fault_effect_schema(const char *name); // NULL: there is no such effect

struct change;
struct bytes;
// Makes the change's request a patch (struct fault_patch) of this text, which is copied.
void fault_patch_set(struct change *c, struct bytes text);

#endif
