// The metadata service's own small HTTP server; what it says is api/metadata*.
#ifndef API_HTTP_METADATA_H
#define API_HTTP_METADATA_H

#include "sim/cloud.h"

struct http_metadata; // opaque

struct http_metadata_config {
    const char *listen;               // as of the API
    const char *const *allowed_hosts; // NULL ends; needed beyond loopback, as by the API
    bool tokens_required;             // of EC2's shape: version 1 is refused
};

// Binds and serves. Errors name --metadata-listen.
int http_metadata_start(const struct http_metadata_config *config, struct cloud *cloud,
                        struct http_metadata **out, struct error *err);
const char *http_metadata_address(const struct http_metadata *server); // http://HOST:PORT
// Answers whoever waits. Before cloud_close. NULL allowed.
void http_metadata_stop(struct http_metadata *server);

#endif
