// Parser of a stream of server-sent events (HTML standard, 9.2.6), fed in pieces of any size.
#ifndef CLI_SSE_H
#define CLI_SSE_H

#include "base/buffer.h"

#include <stdbool.h>

#define SSE_ID_MAX 48

struct sse {
    struct buffer line;
    struct buffer data;
    bool has_data;
    bool skip_lf;             // the last line ended in CR
    char id[SSE_ID_MAX];      // of the last complete event, as it was sent; "": none yet
    char next_id[SSE_ID_MAX]; // of the event that is being read
    bool (*on_event)(void *user, const char *data, size_t length); // false stops
    void *user;
};

void sse_init(struct sse *s, bool (*on_event)(void *user, const char *data, size_t length),
              void *user);
void sse_fini(struct sse *s);
void sse_restart(struct sse *s); // a new connection: drops a half event and its id
// False: on_event asked to stop, or memory ran out.
bool sse_feed(struct sse *s, const char *bytes, size_t length);

#endif
