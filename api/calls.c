#include "api/calls_internal.h"

#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING_BEGIN 256
#define COUNTERS_BEGIN 256
#define HASHES ((size_t)CALLERS_MAX * 2)
#define ANONYMOUS_MAX (CALLERS_MAX / 8)
#define SWEEP_AFTER_NS (INT64_C(10) * 1000000000)

// --- life ---

static bool shard_init(struct shard *s)
{
    pthread_mutex_init(&s->lock, NULL);
    s->callers = calloc(CALLERS_MAX, sizeof(struct caller *));
    s->generations = calloc(CALLERS_MAX, sizeof(*s->generations));
    s->by_hash = calloc(HASHES, sizeof(*s->by_hash));
    s->counters = calloc(COUNTERS_BEGIN, sizeof(*s->counters));
    s->counter_capacity = COUNTERS_BEGIN;
    if (!s->callers || !s->generations || !s->by_hash || !s->counters)
        return false;
    s->callers[OTHER] = calloc(1, sizeof(struct caller) + 1);
    s->caller_count = 1;
    if (!s->callers[OTHER])
        return false;
    s->callers[OTHER]->scope = -1;
    strcpy(s->callers[OTHER]->agent, "(other)");
    return true;
}

static void shard_fini(struct shard *s)
{
    for (size_t i = 0; s->callers && i < s->caller_count; i++)
        free(s->callers[i]);
    free(s->callers);
    free(s->generations);
    free(s->by_hash);
    free(s->counters);
    free(s->ring);
    pthread_mutex_destroy(&s->lock);
}

struct calls *calls_new(int64_t kept, unsigned threads, const char *request_prefix)
{
    struct calls *calls = calloc(1, sizeof(*calls));

    if (!calls)
        return NULL;
    if (pthread_key_create(&calls->mine, NULL) != 0) {
        free(calls);
        return NULL;
    }
    calls->kept = (size_t)kept;
    snprintf(calls->request_prefix, sizeof(calls->request_prefix), "%s", request_prefix);
    atomic_store(&calls->since_wall_ns, clock_wall());
    calls->shards = calloc(threads, sizeof(*calls->shards));
    for (unsigned i = 0; calls->shards && i < threads; i++) {
        calls->shard_count = i + 1;
        if (!shard_init(&calls->shards[i])) {
            calls_free(calls);
            return NULL;
        }
    }
    return calls;
}

void calls_free(struct calls *calls)
{
    if (!calls)
        return;
    if (calls->cloud)
        cloud_set_call_log(calls->cloud, NULL);
    for (unsigned i = 0; i < calls->shard_count; i++)
        shard_fini(&calls->shards[i]);
    free(calls->shards);
    pthread_key_delete(calls->mine);
    free(calls);
}

// More threads than shards share them, in turn.
static struct shard *my_shard(struct calls *calls)
{
    struct shard *s = pthread_getspecific(calls->mine);

    if (!s) {
        s = &calls->shards[atomic_fetch_add(&calls->threads, 1) % calls->shard_count];
        pthread_setspecific(calls->mine, s);
    }
    return s;
}

// --- callers ---

static const char *agent_of(const struct request *r)
{
    return r->headers.user_agent ? r->headers.user_agent : "";
}

static bool has_token(const struct request *r)
{
    return r->who.project != 0;
}

// What the call acts on, or else the token's own project.
static int64_t project_of(const struct request *r)
{
    return r->project ? r->project : r->who.project;
}

static void clean(const char *text, size_t length, char *out, size_t size)
{
    size_t n = length < size - 1 ? length : size - 1;

    for (size_t i = 0; i < n; i++)
        out[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
    out[n] = '\0';
}

static struct caller *caller_new(const struct request *r, uint64_t hash)
{
    const char *project = r->project ? r->project_name : r->who.project_name;
    size_t size = strlen(project) + 1;
    struct caller *c = calloc(1, sizeof(*c) + size);

    if (!c)
        return NULL;
    c->hash = hash;
    c->project = project_of(r);
    c->scope = has_token(r) ? (int)r->who.scope : -1;
    strcpy(c->token, r->who.token_id);
    clean(agent_of(r), strlen(agent_of(r)), c->agent, sizeof(c->agent));
    memcpy(c->project_name, project, size);
    return c;
}

// By the hash alone: that two of a thousand callers share one of 64 bits is not worth a comparison.
static uint32_t *place_of(const struct shard *s, uint64_t hash)
{
    size_t at = hash % HASHES;

    while (s->by_hash[at] && s->callers[s->by_hash[at] - 1]->hash != hash)
        at = (at + 1) % HASHES;
    return &s->by_hash[at];
}

static void counters_rebuild(struct shard *s, size_t capacity);

// Makes room: forgets the callers of projects that are gone, with their counters. Their calls in
// the ring are left without a caller and are passed over.
static void sweep(struct shard *s, struct cloud *cloud)
{
    int64_t now = clock_monotonic();

    if (s->swept_ns && now - s->swept_ns < SWEEP_AFTER_NS)
        return;
    s->swept_ns = now;
    memset(s->by_hash, 0, HASHES * sizeof(*s->by_hash));
    for (uint32_t slot = 1; slot < s->caller_count; slot++) {
        struct caller *c = s->callers[slot];
        if (c && c->project && !cloud_project_lives(cloud, c->project)) {
            free(c);
            s->callers[slot] = NULL;
            s->generations[slot]++;
        } else if (c) {
            *place_of(s, c->hash) = slot + 1;
        }
    }
    counters_rebuild(s, s->counter_capacity);
}

static uint32_t free_slot(struct shard *s)
{
    if (s->caller_count < CALLERS_MAX)
        return (uint32_t)s->caller_count++;
    for (uint32_t slot = 1; slot < CALLERS_MAX; slot++)
        if (!s->callers[slot])
            return slot;
    return OTHER;
}

static uint32_t caller_add(struct shard *s, const struct request *r, uint64_t hash)
{
    struct caller *c;
    uint32_t slot;

    if (!has_token(r) && s->anonymous_count >= ANONYMOUS_MAX)
        return OTHER;
    slot = free_slot(s);
    if (slot == OTHER) {
        sweep(s, r->api->cloud);
        slot = free_slot(s);
    }
    c = slot == OTHER ? NULL : caller_new(r, hash);
    if (!c)
        return OTHER;
    s->callers[slot] = c;
    s->anonymous_count += !has_token(r);
    *place_of(s, hash) = slot + 1;
    return slot;
}

static uint32_t caller_slot(struct shard *s, const struct request *r)
{
    uint64_t hash = hash_text(HASH_START ^ (uint64_t)project_of(r), r->who.token_id);
    uint32_t found;

    hash = hash_text(hash, agent_of(r));
    found = *place_of(s, hash);
    return found ? found - 1 : caller_add(s, r, hash);
}

// --- counters ---

static struct counter *counter_place(struct counter *counters, size_t capacity, uint64_t key)
{
    size_t at = (key * UINT64_C(0x9e3779b97f4a7c15) >> 20) % capacity;

    while (counters[at].key && counters[at].key != key)
        at = (at + 1) % capacity;
    return &counters[at];
}

// Into a table of this size, without those of callers that are gone.
static void counters_rebuild(struct shard *s, size_t capacity)
{
    struct counter *made = calloc(capacity, sizeof(*made));

    if (!made)
        return;
    s->counter_count = 0;
    for (size_t i = 0; i < s->counter_capacity; i++) {
        const struct counter *old = &s->counters[i];
        if (old->key && s->callers[counter_slot(old->key)]) {
            *counter_place(made, capacity, old->key) = *old;
            s->counter_count++;
        }
    }
    free(s->counters);
    s->counters = made;
    s->counter_capacity = capacity;
}

static struct counter *counter_of(struct shard *s, uint32_t slot, unsigned operation,
                                  unsigned status)
{
    uint64_t key = counter_key(slot, operation, status);
    struct counter *c = counter_place(s->counters, s->counter_capacity, key);

    if (c->key)
        return c;
    if (s->counter_count >= COUNTERS_MAX && slot != OTHER)
        return counter_of(s, OTHER, operation, status);
    if (s->counter_count * 2 >= s->counter_capacity) {
        counters_rebuild(s, s->counter_capacity * 2);
        c = counter_place(s->counters, s->counter_capacity, key);
    }
    if (s->counter_count + 1 >= s->counter_capacity)
        return NULL; // no memory to grow
    c->key = key;
    s->counter_count++;
    return c;
}

static void count(struct shard *s, const struct call *call)
{
    struct counter *c = counter_of(s, call->caller, call->operation, call->status);

    if (!c)
        return;
    c->count++;
    c->latency_ns += call->latency_ns;
    if (call->latency_ns > c->longest_ns)
        c->longest_ns = call->latency_ns;
}

// --- the ring ---

static struct call *ring_slot(struct shard *s, size_t kept)
{
    if (s->length == s->capacity && s->capacity < kept && s->next == 0) {
        size_t capacity = s->capacity ? s->capacity * 2 : RING_BEGIN;
        capacity = capacity < kept ? capacity : kept;
        struct call *ring = realloc(s->ring, capacity * sizeof(*ring));
        if (ring) {
            s->ring = ring;
            s->capacity = capacity;
        }
    }
    if (s->length < s->capacity)
        return &s->ring[s->length++];
    if (s->capacity == 0)
        return NULL;
    struct call *oldest = &s->ring[s->next];
    s->lost_wall_ns = oldest->wall_ns;
    s->next = (s->next + 1) % s->capacity;
    return oldest;
}

// What needs no lock.
static void describe(const struct request *r, int status, int64_t ns, struct call *out)
{
    out->latency_ns = ns;
    out->wall_ns = clock_wall();
    out->cloud_ns = cloud_now(r->api->cloud);
    out->request = r->number;
    out->operation = (uint16_t)(r->endpoint ? (size_t)(r->endpoint - endpoints) : endpoint_count);
    out->status = (uint16_t)status;
    out->method = r->method;
    strcpy(out->fault, r->fault);
    clean(r->path.data, r->path.length, out->path, sizeof(out->path));
}

void calls_record(struct calls *calls, const struct request *r, int status, int64_t ns)
{
    struct call call, *kept;
    struct shard *s;

    if (calls->kept == 0)
        return;
    s = my_shard(calls);
    describe(r, status, ns, &call);
    pthread_mutex_lock(&s->lock);
    call.number = atomic_fetch_add_explicit(&calls->numbers, 1, memory_order_relaxed) + 1;
    call.caller = caller_slot(s, r);
    call.generation = s->generations[call.caller];
    count(s, &call);
    kept = ring_slot(s, calls->kept);
    if (kept) // as far as the path goes
        memcpy(kept, &call, offsetof(struct call, path) + strlen(call.path) + 1);
    pthread_mutex_unlock(&s->lock);
    if (calls->cloud)
        cloud_call_counted(calls->cloud);
}

static void shard_reset(struct shard *s)
{
    for (uint32_t slot = 1; slot < s->caller_count; slot++) {
        free(s->callers[slot]);
        s->callers[slot] = NULL;
        s->generations[slot]++;
    }
    s->caller_count = 1;
    s->anonymous_count = 0;
    memset(s->by_hash, 0, HASHES * sizeof(*s->by_hash));
    memset(s->counters, 0, s->counter_capacity * sizeof(*s->counters));
    s->counter_count = 0;
    s->length = s->next = 0;
    s->lost_wall_ns = 0;
}

void calls_reset(struct calls *calls)
{
    for (unsigned i = 0; i < calls->shard_count; i++)
        pthread_mutex_lock(&calls->shards[i].lock);
    for (unsigned i = 0; i < calls->shard_count; i++)
        shard_reset(&calls->shards[i]);
    atomic_store(&calls->since_wall_ns, clock_wall());
    for (unsigned i = calls->shard_count; i-- > 0;)
        pthread_mutex_unlock(&calls->shards[i].lock);
}
