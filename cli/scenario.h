// Running and validating scenario files.
#ifndef CLI_SCENARIO_H
#define CLI_SCENARIO_H

#include "cli/verbs.h"

int verb_scenario_run(struct cli *cli, struct failure *f);
int verb_scenario_validate(struct cli *cli, struct failure *f); // needs no server
int verb_scenario_steps(struct cli *cli, struct failure *f);
int verb_scenario_stop(struct cli *cli, struct failure *f);

// --- cli/scenario_report.c ---
// Writes a report of a scenario that is over: JUnit's XML when the file's name ends in .xml, else
// JSON. "-" is standard output.
int scenario_report(const json_t *scenario, const char *path, struct failure *f);
// Tells on standard error the steps whose state differs from what `before` (may be NULL) says.
void scenario_tell(const json_t *before, const json_t *now);

#endif
