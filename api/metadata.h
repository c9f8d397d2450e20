// The metadata service: what an instance is told about itself, in the shapes of EC2, GCE and Azure.
// Everything but HTTP's library, which is api/http_metadata*.
//
// Who asks is told by the source address of the connection, matched to the addresses of instances;
// X-Forwarded-For is not believed. On one host, where all callers share an address, a prefix names
// the instance: /instance/NAME|ID/… or /project/PROJECT/instance/NAME|ID/…
#ifndef API_METADATA_H
#define API_METADATA_H

#include "api/router.h"
#include "base/buffer.h"
#include "sim/cloud.h"

struct metadata { // what every request shares
    struct cloud *cloud;
    const char *const *allowed_hosts; // NULL ends
    bool tokens_required;             // of EC2: version 1 is refused
    uint64_t secret;                  // signs EC2's session tokens
};

// The header fields that we read; NULL: not sent. Borrowed from the connection.
struct metadata_headers {
    const char *host, *origin, *forwarded_for;
    const char *ec2_token, *ec2_ttl;
    const char *gce_flavor;
    const char *azure_metadata;
};

struct metadata_header {
    const char *name, *value; // static or in the arena
};
#define METADATA_HEADERS_MAX 4

struct metadata_reply {
    int status;
    const char *content_type; // NULL: text/plain
    struct buffer body;       // owned
    struct metadata_header headers[METADATA_HEADERS_MAX];
    size_t header_count;
};

// What a long poll waits for: anything new of the instance, until the deadline.
struct metadata_waiting {
    const char *instance_id; // in the arena
    int64_t revision;        // of the cloud, before it was looked at
    int64_t deadline_ns;     // monotonic; INT64_MAX: none
    const char *etag;        // in the arena: what the caller knows already; NULL: not waiting yet
};

struct metadata_request {
    const struct metadata *service;
    const char *method;      // "GET" for HEAD too
    struct span path, query; // as sent, without '?'
    struct metadata_headers headers;
    struct ip peer;
    struct buffer body;
    struct arena arena;

    struct instance *instance; // who asks
    const char *rest;          // the path without prefix, decoded, in the arena
    struct metadata_reply reply;
    struct change *change; // to be submitted, then answered by metadata_answer
    struct metadata_waiting waiting;
};

enum metadata_outcome { METADATA_REPLY, METADATA_CHANGE, METADATA_WAIT };

// With the whole body. After METADATA_WAIT it is called again when there may be news or the
// deadline has passed.
enum metadata_outcome metadata_handle(struct metadata_request *r);
void metadata_answer(struct metadata_request *r); // r->change is done
void metadata_request_fini(struct metadata_request *r);

// --- the dialects; r->rest begins behind their root ---
enum metadata_outcome ec2_handle(struct metadata_request *r, const char *path);
enum metadata_outcome gce_handle(struct metadata_request *r, const char *path);
enum metadata_outcome azure_handle(struct metadata_request *r, const char *path);
void azure_answer(struct metadata_request *r);

// --- for the dialects ---
void metadata_header_add(struct metadata_request *r, const char *name, const char *value);
// A reply of one line; returns METADATA_REPLY.
enum metadata_outcome metadata_line(struct metadata_request *r, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// The parameter, decoded into the arena; NULL: not given or not well-formed.
const char *metadata_parameter(struct metadata_request *r, const char *name);
bool metadata_is(const struct metadata_request *r, const char *method);
// Finds who asks; false: the reply says why not.
bool metadata_identify(struct metadata_request *r);

#endif
