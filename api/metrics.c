#include "api/metrics.h"

#include "base/thread.h"
#include "base/timefmt.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef MOCKCLOUD_VERSION
#define MOCKCLOUD_VERSION "dev"
#endif

#define STATUSES 24
static const int statuses[STATUSES] = {200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 406, 409,
                                       410, 412, 413, 414, 415, 421, 422, 429, 500, 503, 507};

#define BUCKETS 10
static const struct {
    int64_t ns;
    const char *text;
} buckets[BUCKETS] = {{100000, "0.0001"},        {500000, "0.0005"}, {1000000, "0.001"},
                      {5000000, "0.005"},        {10000000, "0.01"}, {50000000, "0.05"},
                      {100000000, "0.1"},        {500000000, "0.5"}, {1000000000, "1"},
                      {INT64_C(5000000000), "5"}};

#define SHARES 8 // threads count in their own, so that processors do not pass the counters about

struct share {
    atomic_ullong codes[STATUSES];
    atomic_ullong buckets[BUCKETS + 1]; // the last: longer than all
    atomic_ullong total_ns;
};

struct metrics {
    struct share shares[SHARES][ENDPOINT_MAX + 1]; // [endpoint_count]: none found
};

struct operation_metrics { // of all threads together
    uint64_t codes[STATUSES], buckets[BUCKETS + 1], total_ns;
    uint64_t count;
};

struct metrics *metrics_new(void)
{
    return calloc(1, sizeof(struct metrics));
}

void metrics_free(struct metrics *m)
{
    free(m);
}

static void add(atomic_ullong *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void metrics_observe(struct metrics *m, const struct endpoint *endpoint, int status, int64_t ns)
{
    size_t index = endpoint ? (size_t)(endpoint - endpoints) : endpoint_count;
    struct share *o = &m->shares[thread_number() % SHARES][index];
    size_t code = 0, bucket = 0;

    while (code < STATUSES - 1 && statuses[code] != status)
        code++;
    while (bucket < BUCKETS && ns > buckets[bucket].ns)
        bucket++;
    add(&o->codes[code], 1);
    add(&o->buckets[bucket], 1);
    add(&o->total_ns, (uint64_t)ns);
}

// --- text ---

static const char *operation_name(size_t index)
{
    return index < endpoint_count ? endpoints[index].operation : "none";
}

static uint64_t value_of(const atomic_ullong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static struct operation_metrics sum_up(const struct metrics *m, size_t index)
{
    struct operation_metrics sum = {0};

    for (size_t i = 0; i < SHARES; i++) {
        const struct share *share = &m->shares[i][index];
        for (size_t k = 0; k < STATUSES; k++)
            sum.codes[k] += value_of(&share->codes[k]);
        for (size_t k = 0; k <= BUCKETS; k++)
            sum.buckets[k] += value_of(&share->buckets[k]);
        sum.total_ns += value_of(&share->total_ns);
    }
    for (size_t k = 0; k <= BUCKETS; k++)
        sum.count += sum.buckets[k];
    return sum;
}

static void write_requests(const struct metrics *m, struct buffer *out)
{
    buffer_append_string(out, "# HELP mockcloud_requests_total Answers by operation and status.\n"
                              "# TYPE mockcloud_requests_total counter\n");
    for (size_t i = 0; i <= endpoint_count; i++) {
        struct operation_metrics o = sum_up(m, i);
        for (size_t k = 0; k < STATUSES; k++)
            if (o.codes[k] > 0)
                buffer_printf(
                    out, "mockcloud_requests_total{operation=\"%s\",code=\"%d\"} %" PRIu64 "\n",
                    operation_name(i), statuses[k], o.codes[k]);
    }
}

static void write_duration(const struct operation_metrics *o, const char *operation,
                           struct buffer *out)
{
    static const char name[] = "mockcloud_request_duration_seconds";
    uint64_t total = 0;

    for (size_t k = 0; k <= BUCKETS; k++) {
        total += o->buckets[k];
        buffer_printf(out, "%s_bucket{operation=\"%s\",le=\"%s\"} %" PRIu64 "\n", name, operation,
                      k < BUCKETS ? buckets[k].text : "+Inf", total);
    }
    buffer_printf(out, "%s_sum{operation=\"%s\"} %.9f\n", name, operation,
                  (double)o->total_ns / (double)NS_PER_S);
    buffer_printf(out, "%s_count{operation=\"%s\"} %" PRIu64 "\n", name, operation, total);
}

static void write_durations(const struct metrics *m, struct buffer *out)
{
    buffer_append_string(
        out, "# HELP mockcloud_request_duration_seconds From the head of a request to its answer.\n"
             "# TYPE mockcloud_request_duration_seconds histogram\n");
    for (size_t i = 0; i <= endpoint_count; i++) {
        struct operation_metrics o = sum_up(m, i);
        if (o.count > 0)
            write_duration(&o, operation_name(i), out);
    }
}

static void write_one(struct buffer *out, const char *name, const char *type, const char *help,
                      double value)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name,
                  value);
}

static void write_cloud(const struct cloud_stats *s, struct buffer *out)
{
    write_one(out, "mockcloud_revision", "gauge", "Newest committed revision.",
              (double)s->revision);
    write_one(out, "mockcloud_changes_total", "counter", "Changes applied.", (double)s->changes);
    write_one(out, "mockcloud_changes_refused_total", "counter", "Changes refused.",
              (double)s->refused);
    write_one(out, "mockcloud_batches_total", "counter", "Transactions committed.",
              (double)s->batches);
    write_one(out, "mockcloud_transitions_total", "counter", "Timed transitions applied.",
              (double)s->transitions_fired);
    write_one(out, "mockcloud_queue_length", "gauge", "Changes waiting for the writer.",
              (double)s->queue_length);
    write_one(out, "mockcloud_database_bytes", "gauge", "Size of the database and its log.",
              (double)s->database_bytes);
    write_one(out, "mockcloud_writable", "gauge", "1 unless the last commit failed for storage.",
              s->writable ? 1 : 0);
}

static double resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file) {
        if (fscanf(file, "%*s %ld", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double open_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    double count = -3; // ".", ".." and the directory itself

    if (!directory)
        return 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

void metrics_write(struct metrics *m, const struct cloud_stats *stats, long in_flight,
                   size_t watchers, struct buffer *out)
{
    write_requests(m, out);
    write_durations(m, out);
    write_one(out, "mockcloud_requests_in_flight", "gauge",
              "Requests that have been read and are not done with.", (double)in_flight);
    write_one(out, "mockcloud_watchers", "gauge", "Open event streams.", (double)watchers);
    write_cloud(stats, out);
    buffer_append_string(out, "# HELP mockcloud_build_info The version.\n"
                              "# TYPE mockcloud_build_info gauge\n"
                              "mockcloud_build_info{version=\"" MOCKCLOUD_VERSION "\"} 1\n");
    write_one(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
    write_one(out, "process_open_fds", "gauge", "Open file descriptors.", open_fds());
}
