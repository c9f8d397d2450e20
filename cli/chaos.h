// Starting and stopping chaos.
#ifndef CLI_CHAOS_H
#define CLI_CHAOS_H

#include "cli/verbs.h"

int verb_chaos_start(struct cli *cli, struct failure *f);
int verb_chaos_stop(struct cli *cli, struct failure *f);
int verb_chaos_profiles(struct cli *cli, struct failure *f);

#endif
