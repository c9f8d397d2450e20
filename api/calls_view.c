// What the call log shows: its calls, newest first, and its counters.
#include "api/calls_internal.h"

#include "base/glob.h"
#include "base/json_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- filters ---

// One item of "429,5xx"; 0 when it is not well-formed.
static size_t status_item(const char *text, int *out_low, int *out_high)
{
    size_t length = strcspn(text, ",");

    if (length != 3 || text[0] < '0' || text[0] > '5')
        return 0;
    *out_low = (text[0] - '0') * 100;
    *out_high = *out_low + 99;
    if (text[1] == 'x' && text[2] == 'x')
        return length;
    if (text[1] < '0' || text[1] > '9' || text[2] < '0' || text[2] > '9')
        return 0;
    *out_low += (text[1] - '0') * 10 + (text[2] - '0');
    *out_high = *out_low;
    return length;
}

bool calls_statuses_valid(const char *statuses)
{
    int low = 0, high = -1;

    for (;;) {
        size_t length = status_item(statuses, &low, &high);
        if (length == 0)
            return false;
        if (statuses[length] == '\0')
            return true;
        statuses += length + 1;
    }
}

static bool status_matches(const char *statuses, int status)
{
    int low = 0, high = -1;

    while (statuses) {
        size_t length = status_item(statuses, &low, &high);
        if (status >= low && status <= high)
            return true;
        statuses = statuses[length] == ',' ? statuses + length + 1 : NULL;
    }
    return false;
}

static bool caller_matches(const struct calls_filter *f, const struct caller *c)
{
    char product[CALLER_AGENT_MAX];

    if (f->project && c->project != f->project)
        return false;
    if (!f->caller || glob_match(f->caller, c->agent) || glob_match(f->caller, c->token))
        return true;
    snprintf(product, sizeof(product), "%.*s", (int)strcspn(c->agent, "/ "), c->agent);
    return glob_match(f->caller, product);
}

static const char *operation_name(unsigned operation)
{
    return operation < endpoint_count ? endpoints[operation].operation : "none";
}

#define STATUSES 600

struct sieve { // a filter, worked out once
    const struct calls_filter *filter;
    bool operations[ENDPOINT_MAX + 1];
    bool statuses[STATUSES];
};

static void sieve_init(struct sieve *s, const struct calls_filter *filter)
{
    s->filter = filter;
    for (unsigned i = 0; i <= endpoint_count; i++)
        s->operations[i] = !filter->operation || glob_match(filter->operation, operation_name(i));
    for (int i = 0; i < STATUSES; i++)
        s->statuses[i] = !filter->statuses || status_matches(filter->statuses, i);
}

static bool passes(const struct sieve *s, unsigned operation, unsigned status)
{
    return s->operations[operation] && status < STATUSES && s->statuses[status];
}

// --- all shards at once ---

static void lock_all(struct calls *calls)
{
    for (unsigned i = 0; i < calls->shard_count; i++)
        pthread_mutex_lock(&calls->shards[i].lock);
}

static void unlock_all(struct calls *calls)
{
    for (unsigned i = calls->shard_count; i-- > 0;)
        pthread_mutex_unlock(&calls->shards[i].lock);
}

// Which callers of the shard the filter takes, and copies of them: used after the locks are gone.
struct known {
    struct caller *copies[CALLERS_MAX]; // NULL: not taken
};

static struct caller *caller_copy(const struct caller *c, struct arena *arena)
{
    size_t size = sizeof(*c) + strlen(c->project_name) + 1;
    struct caller *copy = arena_alloc(arena, size);

    memcpy(copy, c, size);
    return copy;
}

static struct known *know(const struct shard *s, const struct calls_filter *filter,
                          struct arena *arena)
{
    struct known *known = arena_alloc(arena, sizeof(*known));

    for (size_t i = 0; i < s->caller_count; i++)
        if (s->callers[i] && caller_matches(filter, s->callers[i]))
            known->copies[i] = caller_copy(s->callers[i], arena);
    return known;
}

static const struct caller *caller_of(const struct shard *s, const struct known *known,
                                      const struct call *call)
{
    return s->generations[call->caller] == call->generation ? known->copies[call->caller] : NULL;
}

// The n-th newest call of a ring.
static const struct call *newest(const struct shard *s, size_t n)
{
    return &s->ring[(s->next + s->length - 1 - n) % s->length];
}

// --- the list ---

struct cursor { // on a shard, from newest to oldest
    const struct shard *shard;
    const struct known *known;
    size_t at;
    const struct call *call; // the next one that passes; NULL: none
    const struct caller *caller;
};

static void cursor_next(struct cursor *c, const struct sieve *sieve, int64_t before)
{
    c->call = NULL;
    while (!c->call && c->at < c->shard->length) {
        const struct call *call = newest(c->shard, c->at++);
        if (call->wall_ns < sieve->filter->since_ns)
            continue; // not the end: threads write the time down before they take their turn
        c->caller = caller_of(c->shard, c->known, call);
        if (c->caller && call->number < before && passes(sieve, call->operation, call->status))
            c->call = call;
    }
}

struct taken {
    struct call call;
    const struct caller *caller;
};

static struct cursor *newest_of(struct cursor *cursors, unsigned count)
{
    struct cursor *best = NULL;

    for (unsigned i = 0; i < count; i++)
        if (cursors[i].call && (!best || cursors[i].call->number > best->call->number))
            best = &cursors[i];
    return best;
}

// Copies what the page shows, so that nobody waits while it is written out.
static size_t take_page(struct calls *calls, const struct sieve *sieve, int64_t before,
                        size_t limit, struct arena *arena, struct taken *out)
{
    struct cursor *cursors = arena_alloc(arena, calls->shard_count * sizeof(*cursors));
    struct cursor *best;
    size_t count = 0;

    lock_all(calls);
    for (unsigned i = 0; i < calls->shard_count; i++) {
        cursors[i].shard = &calls->shards[i];
        cursors[i].known = know(cursors[i].shard, sieve->filter, arena);
        cursor_next(&cursors[i], sieve, before);
    }
    while (count < limit && (best = newest_of(cursors, calls->shard_count))) {
        out[count].caller = best->caller;
        out[count++].call = *best->call;
        cursor_next(best, sieve, before);
    }
    unlock_all(calls);
    return count;
}

static void put_caller(struct json_writer *w, const struct caller *c)
{
    static const char *const scopes[] = {[SCOPE_CLOUD] = "cloud", [SCOPE_SIM] = "sim"};

    jw_key(w, "caller");
    jw_object_begin(w);
    jw_field_string(w, "user_agent", c->agent);
    if (c->scope >= 0) {
        jw_field_string(w, "token_id", c->token);
        jw_field_string(w, "scope", scopes[c->scope]);
        jw_field_string(w, "project", c->project_name);
    }
    jw_object_end(w);
}

static void put_seconds(struct json_writer *w, const char *key, int64_t ns)
{
    jw_key(w, key);
    jw_double(w, (double)ns / 1e9);
}

static void put_call(struct json_writer *w, const struct calls *calls, const struct taken *t)
{
    const struct call *c = &t->call;
    char id[REQUEST_ID_MAX];

    snprintf(id, sizeof(id), "%s-%" PRIu64, calls->request_prefix, c->request);
    jw_object_begin(w);
    jw_field_int(w, "number", c->number);
    jw_field_time(w, "time", c->cloud_ns);
    jw_field_time(w, "wall_time", c->wall_ns);
    put_caller(w, t->caller);
    jw_field_string(w, "operation", operation_name(c->operation));
    jw_field_string(w, "method", c->method >= 0 ? method_names[c->method] : "other");
    jw_field_string(w, "path", c->path);
    jw_field_int(w, "status", c->status);
    put_seconds(w, "latency_seconds", c->latency_ns);
    jw_field_string(w, "request_id", id);
    if (c->fault[0])
        jw_field_string(w, "fault", c->fault);
    jw_object_end(w);
}

void calls_list(struct calls *calls, const struct calls_filter *filter, int64_t before, int limit,
                struct buffer *out, int64_t *out_next)
{
    struct taken *page;
    struct sieve sieve;
    struct json_writer w;
    struct arena arena;
    size_t count;

    arena_init(&arena);
    sieve_init(&sieve, filter);
    page = arena_alloc(&arena, ((size_t)limit + 1) * sizeof(*page));
    count = take_page(calls, &sieve, before ? before : INT64_MAX, (size_t)limit + 1, &arena, page);
    *out_next = count > (size_t)limit ? page[limit - 1].call.number : 0;
    jw_init(&w, out);
    for (size_t i = 0; i < count && i < (size_t)limit; i++) {
        if (i > 0)
            buffer_append(out, ",", 1);
        put_call(&w, calls, &page[i]);
    }
    arena_fini(&arena);
}

// --- counters ---

struct tally { // of one caller, operation and status
    const struct caller *caller;
    struct counter counter;
};

struct tallies {
    struct tally *items;
    size_t count, capacity;
    struct arena *arena;
};

static void tallies_add(struct tallies *tallies, const struct caller *caller,
                        const struct counter *c)
{
    if (tallies->count == tallies->capacity) {
        size_t capacity = tallies->capacity ? tallies->capacity * 2 : 64;
        struct tally *items = arena_alloc(tallies->arena, capacity * sizeof(*items));
        if (tallies->count > 0)
            memcpy(items, tallies->items, tallies->count * sizeof(*items));
        tallies->items = items;
        tallies->capacity = capacity;
    }
    tallies->items[tallies->count++] = (struct tally){caller, *c};
}

static void tallies_from_counters(struct tallies *tallies, const struct shard *s,
                                  const struct known *known, const struct sieve *sieve)
{
    for (size_t i = 0; i < s->counter_capacity; i++) {
        uint64_t key = s->counters[i].key;
        const struct caller *caller = key ? known->copies[counter_slot(key)] : NULL;
        if (caller && passes(sieve, counter_operation(key), counter_status(key)))
            tallies_add(tallies, caller, &s->counters[i]);
    }
}

static void tallies_from_ring(struct tallies *tallies, const struct shard *s,
                              const struct known *known, const struct sieve *sieve)
{
    for (size_t i = 0; i < s->length; i++) {
        const struct call *c = newest(s, i);
        const struct caller *caller = caller_of(s, known, c);
        struct counter one = {.key = counter_key(c->caller, c->operation, c->status),
                              .count = 1,
                              .latency_ns = c->latency_ns,
                              .longest_ns = c->latency_ns};
        if (caller && c->wall_ns >= sieve->filter->since_ns &&
            passes(sieve, c->operation, c->status))
            tallies_add(tallies, caller, &one);
    }
}

static int by_caller(const struct caller *a, const struct caller *b)
{
    int order = strcmp(a->agent, b->agent);

    order = order ? order : strcmp(a->token, b->token);
    return order ? order : (a->project > b->project) - (a->project < b->project);
}

static int by_operation(const void *a, const void *b)
{
    const struct tally *x = a, *y = b;
    int order = by_caller(x->caller, y->caller);
    unsigned xo = counter_operation(x->counter.key), yo = counter_operation(y->counter.key);
    unsigned xs = counter_status(x->counter.key), ys = counter_status(y->counter.key);

    order = order ? order : (xo > yo) - (xo < yo);
    return order ? order : (xs > ys) - (xs < ys);
}

static bool same_item(const struct tally *a, const struct tally *b)
{
    return counter_operation(a->counter.key) == counter_operation(b->counter.key) &&
           by_caller(a->caller, b->caller) == 0;
}

// The tallies of one caller and operation as an item; returns how often it was called.
static int64_t put_item(struct json_writer *w, const struct tally *tallies, size_t count)
{
    struct counter all = {0};
    char status[16];

    jw_object_begin(w);
    put_caller(w, tallies->caller);
    jw_field_string(w, "operation", operation_name(counter_operation(tallies->counter.key)));
    jw_key(w, "statuses");
    jw_object_begin(w);
    for (size_t i = 0, next; i < count; i = next) {
        int64_t times = 0;
        for (next = i; next < count && counter_status(tallies[next].counter.key) ==
                                           counter_status(tallies[i].counter.key);
             next++) {
            const struct counter *c = &tallies[next].counter;
            times += c->count;
            all.latency_ns += c->latency_ns;
            all.longest_ns = c->longest_ns > all.longest_ns ? c->longest_ns : all.longest_ns;
        }
        all.count += times;
        snprintf(status, sizeof(status), "%u", counter_status(tallies[i].counter.key));
        jw_field_int(w, status, times);
    }
    jw_object_end(w);
    jw_field_int(w, "count", all.count);
    put_seconds(w, "latency_seconds_sum", all.latency_ns);
    put_seconds(w, "latency_seconds_max", all.longest_ns);
    jw_object_end(w);
    return all.count;
}

// Returns up to when calls have been overwritten in the log; 0: none, or not counted from there.
static int64_t take_tallies(struct calls *calls, const struct sieve *sieve, struct tallies *tallies)
{
    int64_t since = sieve->filter->since_ns, lost = 0;

    lock_all(calls);
    for (unsigned i = 0; i < calls->shard_count; i++) {
        const struct shard *s = &calls->shards[i];
        const struct known *known = know(s, sieve->filter, tallies->arena);
        if (!since)
            tallies_from_counters(tallies, s, known, sieve);
        else
            tallies_from_ring(tallies, s, known, sieve);
        if (since && s->lost_wall_ns > lost)
            lost = s->lost_wall_ns;
    }
    unlock_all(calls);
    return lost;
}

static int64_t shard_total(const struct shard *s, const struct sieve *sieve)
{
    int64_t total = 0;

    for (size_t i = 0; i < s->counter_capacity; i++) {
        uint64_t key = s->counters[i].key;
        if (key && passes(sieve, counter_operation(key), counter_status(key)) &&
            caller_matches(sieve->filter, s->callers[counter_slot(key)]))
            total += s->counters[i].count;
    }
    return total;
}

int64_t calls_total(struct calls *calls, const struct calls_filter *filter, int64_t *out_began_ns)
{
    struct sieve sieve;
    int64_t total = 0;

    sieve_init(&sieve, filter);
    lock_all(calls);
    for (unsigned i = 0; i < calls->shard_count; i++)
        total += shard_total(&calls->shards[i], &sieve);
    *out_began_ns = calls->kept ? atomic_load(&calls->since_wall_ns) : 0;
    unlock_all(calls);
    return total;
}

static int64_t total(const struct call_log *log, const struct calls_asked *asked,
                     int64_t *out_began_ns)
{
    const struct calls_filter filter = {.caller = asked->caller,
                                        .operation = asked->operation,
                                        .statuses = asked->statuses,
                                        .project = asked->project};

    return calls_total((struct calls *)(uintptr_t)log, &filter, out_began_ns);
}

void calls_attach(struct calls *calls, struct cloud *cloud)
{
    calls->log.total = total;
    calls->cloud = cloud;
    cloud_set_call_log(cloud, &calls->log);
}

void calls_count(struct calls *calls, const struct calls_filter *filter, struct buffer *out)
{
    struct tallies tallies = {0};
    struct sieve sieve;
    struct json_writer w;
    struct arena arena;
    int64_t since, lost, total = 0, now = clock_wall();

    arena_init(&arena);
    tallies.arena = &arena;
    sieve_init(&sieve, filter);
    lost = take_tallies(calls, &sieve, &tallies);
    since = atomic_load(&calls->since_wall_ns);
    since = filter->since_ns > since ? filter->since_ns : since;
    if (tallies.count > 0)
        qsort(tallies.items, tallies.count, sizeof(*tallies.items), by_operation);
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "items");
    jw_array_begin(&w);
    for (size_t i = 0, next; i < tallies.count; i = next) {
        for (next = i + 1;
             next < tallies.count && same_item(&tallies.items[i], &tallies.items[next]);)
            next++;
        total += put_item(&w, &tallies.items[i], next - i);
    }
    jw_array_end(&w);
    jw_field_int(&w, "total", total);
    jw_field_time(&w, "since", since);
    put_seconds(&w, "window_seconds", now > since ? now - since : 0);
    jw_key(&w, "complete");
    jw_bool(&w, since > lost || lost == 0);
    jw_object_end(&w);
    arena_fini(&arena);
}
