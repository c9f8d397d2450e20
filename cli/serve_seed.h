// What a cloud begins with: the catalogue of the configuration file, and the seed file.
#ifndef CLI_SERVE_SEED_H
#define CLI_SERVE_SEED_H

#include "sim/cloud.h"

#include <jansson.h>

// Puts zones, instance_types ({"name": …} beside the fields of their bodies) and latencies
// ({"instance.pending": {…}}) of a document called `path`. `fresh`: zones and types that it does
// not name are removed, when it names any. `where` errors happen: "path: zones[0].region: …".
int seed_catalogue(struct cloud *cloud, const json_t *document, const char *path, bool fresh,
                   struct error *err);
// The catalogue and instances, target_pools, load_balancers and routes: bodies as the API takes
// them, except that ids of instances and pools may be names of ones in the same file.
int seed_apply(struct cloud *cloud, const json_t *document, const char *path, struct error *err);

#endif
