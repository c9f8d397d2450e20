// What `mockcloud serve` is told by flags and by its configuration file: the same names in both
// (--events-kept, "events_kept"), read by one table; flags win.
#ifndef CLI_SERVE_OPTIONS_H
#define CLI_SERVE_OPTIONS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "sim/cloud.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum forwarding { FORWARD_NOTHING, FORWARD_TCP };
enum imds_tokens { IMDS_TOKENS_OPTIONAL, IMDS_TOKENS_REQUIRED };

struct serve_options {
    const char *db, *listen, *clock, *seed_file, *token_file; // token_file NULL: the standard one
    const char *record, *replay;                              // files; NULL: neither
    struct clock_state clock_state;                           // what `clock` says
    bool has_clock, has_seed;
    int64_t seed;
    enum log_format log_format;
    enum log_level log_level;
    enum durability durability;
    const char *metadata_listen; // "none": no metadata service
    bool has_metadata_listen;    // else a port that is taken only turns it off
    int imds_tokens;             // enum imds_tokens
    int forward;                 // enum forwarding
    const char **allowed_hosts;  // NULL ends
    size_t allowed_host_count;
    int64_t max_body;
    int64_t max_upload;
    int64_t events_kept;
    int64_t calls_kept;
    int64_t keepalive_ns;
    int threads;
    const char *docker_socket;                     // NULL: as docker_config.host
    int64_t docker_resync_ns, backend_deadline_ns; // 0: the default
    // of the configuration file only
    struct pool_config pools;
    bool duplicate_names[KIND_COUNT];
    const json_t *catalogue; // the whole file: zones, instance_types, latencies; NULL: no file
    const char *config;      // its name
};

// 0: serve; 1: --help was asked for; negative: an error that names flag, or file and key.
// Strings live in the arena, *out_file until the caller decref's it.
int serve_options_read(int argc, char **argv, struct arena *arena, struct serve_options *out,
                       json_t **out_file, struct error *err);
void serve_options_help(FILE *out);

// A JSON file; errors name it, with line and column.
int json_file_load(const char *path, json_t **out, struct error *err);

#endif
