// Where the server is and how to talk to it: flags first, then the environment, then defaults.
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "cli/args.h"
#include "cli/failure.h"

#include <stdint.h>

#define CONFIG_SERVER "http://127.0.0.1:9080"
#define CONFIG_TIMEOUT_S 30

struct config {
    const char *server;  // borrowed
    const char *project; // borrowed; NULL: the token's own
    char token[1024];    // "" : none
    int64_t timeout_ns;  // 0: never
};

// A missing default token file means no token; one that was named must be there.
int config_load(struct config *out, const struct command *c, struct failure *f);

#endif
