#include "cli/serve.h"

#include "api/actor.h"
#include "api/auth.h"
#include "api/http_metadata.h"
#include "api/http_server.h"
#include "backend/docker.h"
#include "backend/forward.h"
#include "cli/serve_options.h"
#include "cli/serve_recording.h"
#include "cli/serve_seed.h"
#include "cli/serve_signals.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXIT_FAILED 1
#define EXIT_WRONG_USE 2

// One line; what a flag says wrongly is wrong use.
static int complain(const struct error *err)
{
    fprintf(stderr, "mockcloud serve: %s%s%s\n", err->field, err->field[0] ? ": " : "",
            err->message);
    if (err->code == ERROR_UNKNOWN_FIELD || (err->code == ERROR_INVALID && err->field[0] == '-'))
        return EXIT_WRONG_USE;
    return EXIT_FAILED;
}

// --- the cloud ---

// What a new cloud begins with. The seed file is read once: resets go back to what it said then.
struct beginning {
    const struct serve_options *options;
    json_t *seed; // NULL: no seed file
    bool is_new;  // the database
};

static int fill(void *context, struct cloud *cloud, struct error *err)
{
    const struct beginning *b = context;
    const struct serve_options *o = b->options;
    int result = o->catalogue ? seed_catalogue(cloud, o->catalogue, o->config, true, err) : 0;

    return result == 0 && b->seed ? seed_apply(cloud, b->seed, o->seed_file, err) : result;
}

static struct cloud_config cloud_config_of(const struct serve_options *o, struct beginning *b)
{
    struct cloud_config config = {
        .store = {.path = o->db, .durability = o->durability, .address = o->listen},
        .clock = o->clock_state,
        .has_clock = o->has_clock,
        .seed = o->has_seed ? (uint64_t)o->seed : random_seed(),
        .has_seed = o->has_seed,
        .pools = o->pools,
        .events_kept = o->events_kept,
        .backend_deadline_ns = o->backend_deadline_ns,
        .fill = o->catalogue || b->seed ? fill : NULL,
        .fill_context = b,
        .actor = &api_actor,
    };

    memcpy(config.duplicate_names, o->duplicate_names, sizeof(config.duplicate_names));
    return config;
}

// What a new database begins with is put into one of another name, which then takes its place: what
// fails, or is killed meanwhile, leaves nothing behind.
static int make_database(const char *db, struct cloud_config config, struct arena *arena,
                         struct error *err)
{
    struct cloud *cloud = NULL;
    const char *path = arena_printf(arena, "%s.new", db);
    int result;

    unlink(path);
    unlink(arena_printf(arena, "%s-wal", path));
    config.store.path = path;
    result = cloud_open(&config, &cloud, err);
    if (result == 0)
        result = config.fill(config.fill_context, cloud, err);
    cloud_close(cloud);
    unlink(arena_printf(arena, "%s.lock", path));
    if (result == 0 && rename(path, db) < 0)
        result = error_set(err, ERROR_INTERNAL, NULL, "%s: %s", db, strerror(errno));
    if (result < 0)
        unlink(path);
    return result;
}

static int open_new(const struct serve_options *o, const struct cloud_config *config,
                    struct arena *arena, struct cloud **out, struct error *err)
{
    bool in_memory = strcmp(o->db, ":memory:") == 0;
    int result = !in_memory && config->fill ? make_database(o->db, *config, arena, err) : 0;

    if (result == 0)
        result = cloud_open(config, out, err);
    if (result == 0 && in_memory && config->fill)
        result = config->fill(config->fill_context, *out, err);
    return result < 0 ? result : cloud_keep_origin(*out, err);
}

static int open_old(const struct serve_options *o, const struct cloud_config *config,
                    struct serve_signals *signals, struct cloud **out, struct error *err)
{
    int result = cloud_open(config, out, err);

    serve_signals_cloud(signals, *out); // it may have much to catch up with
    if (result == 0 && o->seed_file)
        log_line(LOG_INFO, "the database is not new: the seed file is not applied", "file",
                 o->seed_file, NULL);
    if (result == 0 && o->catalogue)
        result = seed_catalogue(*out, o->catalogue, o->config, false, err);
    return result;
}

// A new database is not made for a server that could not listen. (An old one is opened first: that
// somebody else serves it says more than that the port is taken.)
static int check_listen(const struct serve_options *o, struct error *err)
{
    int result = http_listen_check(o->listen, "--listen", o->allowed_hosts, err);

    if (result == 0 && o->has_metadata_listen && strcmp(o->metadata_listen, "none") != 0)
        result = http_listen_check(o->metadata_listen, "--metadata-listen", o->allowed_hosts, err);
    return result;
}

// *out is to be closed by the caller, whatever the result; *b lives at least as long.
static int open_cloud(const struct serve_options *o, struct arena *arena,
                      struct serve_signals *signals, struct beginning *b, struct cloud **out,
                      struct error *err)
{
    bool is_new = strcmp(o->db, ":memory:") == 0 || access(o->db, F_OK) < 0;
    struct cloud_config config;
    struct error local = {0};
    int result;

    *b = (struct beginning){.options = o, .is_new = is_new};
    result = is_new ? check_listen(o, err) : 0;
    if (result < 0)
        return result;
    if (o->seed_file && json_file_load(o->seed_file, &b->seed, &local) < 0) {
        if (is_new)
            return error_set(err, local.code, local.field, "%s", local.message);
        log_line(LOG_WARN, "the seed file cannot be read: a reset will go without it", "error",
                 local.message, NULL);
    }
    config = cloud_config_of(o, b);
    result = serve_recording_prepare(o, is_new, &config, err);
    if (result < 0)
        return result;
    result =
        is_new ? open_new(o, &config, arena, out, err) : open_old(o, &config, signals, out, err);
    serve_signals_cloud(signals, *out);
    return result;
}

// --- the servers ---

// *out is NULL when the service is off: not wanted, or nobody asked for the port that is taken.
static int start_metadata(const struct serve_options *o, struct cloud *cloud,
                          struct http_metadata **out, struct error *err)
{
    struct http_metadata_config config = {.listen = o->metadata_listen,
                                          .allowed_hosts = o->allowed_hosts,
                                          .tokens_required =
                                              o->imds_tokens == IMDS_TOKENS_REQUIRED};
    struct error failed = {0};

    *out = NULL;
    if (strcmp(o->metadata_listen, "none") == 0)
        return 0;
    if (http_metadata_start(&config, cloud, out, &failed) == 0) {
        log_line(LOG_INFO, "metadata service listening", "address", http_metadata_address(*out),
                 NULL);
        return 0;
    }
    if (o->has_metadata_listen)
        return error_set(err, failed.code, failed.field, "%s", failed.message);
    log_line(LOG_WARN, "the metadata service is off; see --metadata-listen", "error",
             failed.message, NULL);
    return 0;
}

static int run(const struct serve_options *o, struct cloud *cloud, const char *token,
               struct serve_signals *signals, struct error *err)
{
    struct http_config config = {.listen = o->listen,
                                 .allowed_hosts = o->allowed_hosts,
                                 .token = token,
                                 .threads = (unsigned)o->threads,
                                 .body_limit = (size_t)o->max_body,
                                 .upload_limit = (uint64_t)o->max_upload,
                                 .keepalive_ns = o->keepalive_ns,
                                 .calls_kept = o->calls_kept};
    struct http_metadata *metadata = NULL;
    struct http_server *server = NULL;
    int result = http_server_start(&config, cloud, &server, err);

    if (result == 0)
        result = start_metadata(o, cloud, &metadata, err);
    if (result < 0) {
        http_server_stop(server);
        return result;
    }
    cloud_set_address(cloud, http_server_address(server));
    log_line(LOG_INFO, "listening", "address", http_server_address(server), "db", o->db, NULL);
    serve_signals_wait(signals);
    http_metadata_stop(metadata);
    http_server_stop(server);
    return 0;
}

// It asks nobody for anything before a kind cluster is adopted.
static int start_docker(const struct serve_options *o, struct cloud *cloud, struct docker **out,
                        struct error *err)
{
    struct docker_config config = {.host = o->docker_socket, .resync_ns = o->docker_resync_ns};

    if (o->docker_socket && strcmp(o->docker_socket, "none") == 0)
        return 0;
    return docker_start(&config, cloud, out, err);
}

// A new database that is not served after all.
static void take_back(const char *db, struct arena *arena)
{
    if (strcmp(db, ":memory:") == 0)
        return;
    unlink(db);
    unlink(arena_printf(arena, "%s-wal", db));
}

// What attaching asks of the cloud is no part of a recording.
static int attach(const struct serve_options *o, struct cloud *cloud, struct docker **docker,
                  struct forward **forward, struct error *err)
{
    int result = start_docker(o, cloud, docker, err);

    return result == 0 && o->forward == FORWARD_TCP ? forward_start(cloud, forward, err) : result;
}

static int serve_until(const struct serve_options *o, struct serve_signals *signals,
                       struct arena *arena, struct error *err)
{
    struct cloud *cloud = NULL;
    struct docker *docker = NULL;
    struct forward *forward = NULL;
    struct beginning beginning = {0};
    char token[TOKEN_FILE_MAX];
    int result, recording = 0;

    json_object_seed(0); // jansson draws it on first use, which threads would race for
    result = token_file_load(o->token_file, token, err);
    if (result == 0)
        result = open_cloud(o, arena, signals, &beginning, &cloud, err);
    if (result == 0)
        result = recording = serve_replay(o, cloud, signals, err);
    if (result == 0)
        result = attach(o, cloud, &docker, &forward, err);
    if (result == 0)
        result = recording = serve_record(o, beginning.is_new, cloud, err);
    if (result == 0)
        result = run(o, cloud, token, signals, err);
    forward_stop(forward);
    docker_stop(docker);
    if (cloud)
        serve_recording_end(o, cloud);
    serve_signals_cloud(signals, NULL);
    cloud_close(cloud);
    if (recording < 0 && beginning.is_new)
        take_back(o->db, arena);
    json_decref(beginning.seed);
    return result;
}

static int serve(const struct serve_options *o, struct arena *arena, struct error *err)
{
    struct serve_signals signals;
    int result;

    log_setup(o->log_format, o->log_level);
    result = serve_signals_start(&signals, err);
    if (result < 0)
        return result;
    result = serve_until(o, &signals, arena, err);
    if (result == -ERROR_UNAVAILABLE && !o->replay && serve_signals_stopped(&signals))
        result = 0; // it was still catching up
    serve_signals_end(&signals);
    return result;
}

int serve_main(int argc, char **argv)
{
    struct serve_options options;
    struct error err = {0};
    struct arena arena;
    json_t *file = NULL;
    int result, code = 0;

    arena_init(&arena);
    result = serve_options_read(argc, argv, &arena, &options, &file, &err);
    if (result > 0)
        serve_options_help(stdout);
    else if (result < 0 || serve(&options, &arena, &err) < 0)
        code = complain(&err);
    json_decref(file);
    arena_fini(&arena);
    return code;
}
