// What can be done with scenarios, and when the writer looks at them.
#ifndef SIM_SCENARIO_OPS_H
#define SIM_SCENARIO_OPS_H

#include "sim/scenario.h"

struct cloud;

int scenario_due(struct txn *t, struct resource *r, struct error *err); // kind_ops.due
// kind_ops.remove: ends one that runs, with what its end cleans up.
int scenario_remove(struct txn *t, struct resource *r, struct error *err);

// After each change that was applied and each transition that fired: lets scenarios that wait for
// a change do what they can. Costs nothing when none does. Looking after every change, not once per
// batch, makes the event log independent of how changes were batched.
void scenarios_look(struct cloud *cloud);
// With each commit: tells those who count calls whether any scenario waits for some.
void calls_publish(struct cloud *cloud);
// Counts the scenarios that wait for a change, when the cloud is opened.
int scenarios_load(struct cloud *cloud, struct error *err);

#endif
