// The steps that the operations of all kinds share. Internal to sim/.
#ifndef SIM_OPERATION_H
#define SIM_OPERATION_H

#include "sim/change.h"
#include "sim/machine.h"
#include "sim/txn.h"

// Loads what the change is for and checks If-Match.
int operation_load(struct txn *t, const struct change *c, enum kind kind, struct resource **out,
                   struct error *err);

// Names a new resource (NULL: its id), gives it its tags, and asks the fault rules whether it may
// be made; what rules select by is set before. `dead`: see txn_name_free.
int operation_head(struct txn *t, struct resource *r, const char *name, uint32_t dead,
                   const struct tags_spec *tags, struct error *err);

// Applies name (NULL: kept) and tags of a merge patch; *changed turns true if anything differs.
int operation_patch_head(struct txn *t, struct resource *r, const char *name, uint32_t dead,
                         const struct tags_spec *tags, bool *changed, struct error *err);

// ERROR_STATE: "<noun> <id> is <state>".
int operation_refuse(const struct machine *m, const struct resource *r, struct error *err);

// Moves the record into `state`, through every state that takes no time, and sets its deadline.
// Returns whether the machine's end was reached: the resource is then to be removed.
bool operation_enter(struct txn *t, const struct machine *m, struct resource *r, int state);

// Writes it, or removes it when `gone`.
int operation_write(struct txn *t, struct resource *r, bool gone, struct error *err);

// Names the timed transition that is due now in the change and returns the state that follows: the
// same one when a fault rule holds it, the record is then to be written as it is.
int operation_due(struct txn *t, const struct machine *m, struct resource *r);

// Whether two strings, either of which may be NULL, are equal.
bool operation_same(const char *a, const char *b);

#endif
