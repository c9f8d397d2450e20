// Between the files api/calls*.c.
#ifndef API_CALLS_INTERNAL_H
#define API_CALLS_INTERNAL_H

#include "api/calls.h"

#include <pthread.h>
#include <stdatomic.h>

#define OTHER 0 // slot of the caller that stands for all who found no room

struct caller {
    uint64_t hash;
    int64_t project; // that it acts on; 0: none
    int scope;       // enum scope; -1: no token
    char token[ID_MAX];
    char agent[CALLER_AGENT_MAX]; // printable ASCII
    char project_name[];
};

struct call {
    int64_t number; // in the order of the answers
    int64_t wall_ns, cloud_ns, latency_ns;
    uint64_t request;
    uint32_t caller; // slot
    uint32_t generation;
    uint16_t operation; // index of the endpoint; endpoint_count: none
    uint16_t status;    // 0: no answer
    int8_t method;      // -1: none of ours
    char fault[REQUEST_FAULT_MAX];
    char path[CALL_PATH_MAX];
};

struct counter {
    uint64_t key; // counter_key(), 0: empty
    int64_t count, latency_ns, longest_ns;
};

struct shard {
    pthread_mutex_t lock;
    struct call *ring; // grows up to `kept`
    size_t length, capacity;
    size_t next;             // where the oldest stands once the ring is full
    int64_t lost_wall_ns;    // of the newest call that was overwritten; 0: none
    struct caller **callers; // by slot, CALLERS_MAX
    uint32_t *generations;   // of slots: counts its callers
    size_t caller_count;     // slots ever used
    size_t anonymous_count;
    uint32_t *by_hash;        // slot + 1; 0: empty. 2 * CALLERS_MAX
    int64_t swept_ns;         // monotonic
    struct counter *counters; // open addressing
    size_t counter_count, counter_capacity;
};

struct calls {
    struct call_log log; // first; what scenarios see of it
    struct cloud *cloud; // they are in; NULL: none
    pthread_key_t mine;  // shard of the thread
    struct shard *shards;
    unsigned shard_count;
    atomic_uint threads;
    size_t kept;
    atomic_llong numbers;
    atomic_llong since_wall_ns; // when counting began
    char request_prefix[9];
};

static inline uint64_t counter_key(uint32_t slot, unsigned operation, unsigned status)
{
    return ((uint64_t)(slot + 1) << 32) | (uint64_t)operation << 16 | status;
}
static inline uint32_t counter_slot(uint64_t key)
{
    return (uint32_t)(key >> 32) - 1;
}
static inline unsigned counter_operation(uint64_t key)
{
    return (unsigned)(key >> 16) & 0xffff;
}
static inline unsigned counter_status(uint64_t key)
{
    return (unsigned)key & 0xffff;
}

#endif
