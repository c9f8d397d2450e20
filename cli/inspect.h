// What a snapshot file holds, as JSON. A file of its own: the store's kinds and the CLI's are not
// the same.
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include "base/error.h"

#include <jansson.h>

json_t *inspect_snapshot(const char *path, struct error *err); // NULL: not a snapshot of ours

#endif
