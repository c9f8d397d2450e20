// The call log: who called which operation, how it ended and how long it took, and how often.
//
// Every thread that answers requests has a shard of its own (ring of calls, table of callers,
// counters) behind a lock that only readers ever contend for: a call costs a look-up by hash and a
// few stores. Readers look at all shards at once, so they miss nothing and see nothing twice.
//
// Memory is bounded whatever callers send: texts are cut, a shard knows at most CALLERS_MAX callers
// (an eighth of them without a token) and COUNTERS_MAX counters; what is beyond is counted for the
// caller "(other)". Callers of projects that are gone make room first.
#ifndef API_CALLS_H
#define API_CALLS_H

#include "api/request.h"
#include "sim/call_log.h"

#define CALLS_KEPT_DEFAULT 10000
#define CALLS_KEPT_MAX INT64_C(1000000)
#define CALLER_AGENT_MAX 128 // with the NUL, as is
#define CALL_PATH_MAX 128
#define CALLERS_MAX 1024
#define COUNTERS_MAX 65536

struct calls; // opaque

// At least the newest `kept` calls are kept; 0: none is, and none is counted. `threads`: how many
// will record. `request_prefix` of the request ids. NULL: out of memory.
struct calls *calls_new(int64_t kept, unsigned threads, const char *request_prefix);
void calls_free(struct calls *calls); // NULL allowed
// The cloud's scenarios may ask for what is counted here, and are told of it, from now until
// calls_free.
void calls_attach(struct calls *calls, struct cloud *cloud);
// A request was answered (status 0: it was left without an answer) after `ns`.
void calls_record(struct calls *calls, const struct request *r, int status, int64_t ns);
// Log and counters begin anew.
void calls_reset(struct calls *calls);

struct calls_filter {
    const char *caller;    // glob of a user agent, of its first product's name, or of a token's id
    const char *operation; // glob
    const char *statuses;  // "429,5xx"; NULL: any. See calls_statuses_valid.
    int64_t project;       // that was acted on; 0: any
    int64_t since_ns;      // wall time; 0: any
};
bool calls_statuses_valid(const char *statuses);

// The items of a page, newest first, comma-separated; `before`: only older ones than the call of
// this number (0: from the newest). *out_next: the number to go on before; 0: that was all.
void calls_list(struct calls *calls, const struct calls_filter *filter, int64_t before, int limit,
                struct buffer *out, int64_t *out_next);
// How many calls the counters have, and since when (wall time; 0: none is counted). since_ns of the
// filter has no meaning here.
int64_t calls_total(struct calls *calls, const struct calls_filter *filter, int64_t *out_began_ns);
// The counters by caller and operation, as openapi.json's CallCounters. With since_ns they are
// counted from the log, which may not go back that far: `complete` tells.
void calls_count(struct calls *calls, const struct calls_filter *filter, struct buffer *out);

#endif
