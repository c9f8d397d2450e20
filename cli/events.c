#include "cli/events.h"
#include "base/clock.h"
#include "base/timefmt.h"
#include "cli/args.h"
#include "cli/resource.h"
#include "cli/sse.h"
#include "cli/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE 1000
#define BRIEF_NS NS_PER_S // a silent stream that ends within this is not worth another try

struct follower {
    struct sse sse;
    events_sink *on_event;
    void *user;
    bool heard; // anything in this connection
    bool stopped;
    bool garbled;
};

int64_t events_deadline(int64_t timeout_ns)
{
    return timeout_ns > 0 ? clock_monotonic() + timeout_ns : INT64_MAX;
}

static bool on_data(void *user, const char *data, size_t length)
{
    struct follower *fo = user;
    json_t *event = json_loadb(data, length, 0, NULL);

    fo->garbled = event == NULL;
    fo->stopped = event != NULL && !fo->on_event(fo->user, event);
    json_decref(event);
    return !fo->garbled && !fo->stopped;
}

static bool on_bytes(void *user, const char *bytes, size_t length)
{
    struct follower *fo = user;

    fo->heard = true;
    return sse_feed(&fo->sse, bytes, length);
}

static void stream_path(char *out, size_t size, int64_t since, const char *kind)
{
    snprintf(out, size, "/v1/events?since=%" PRId64 "%s%s", since, kind != NULL ? "&kind=" : "",
             kind != NULL ? kind : "");
}

// One connection; *out_ended: it ended by itself.
static int follow_once(struct http *h, const char *path, int64_t deadline_ns, struct follower *fo,
                       bool *out_ended, struct failure *f)
{
    int64_t left = deadline_ns == INT64_MAX ? 0 : deadline_ns - clock_monotonic();
    int rc;

    if (left < 0 || (left == 0 && deadline_ns != INT64_MAX))
        return fail(f, EXIT_TIMEOUT, "timed out (--timeout)");
    fo->heard = false;
    sse_restart(&fo->sse);
    http_set_timeout(h, left);
    rc = http_stream(h, path, fo->sse.id, on_bytes, fo, out_ended, f);
    if (rc != EXIT_TIMEOUT || !fo->heard)
        return rc;
    f->code = EXIT_OK; // it did answer
    return fail(f, EXIT_TIMEOUT, "timed out (--timeout)");
}

int events_follow(struct http *h, int64_t since, const char *kind, int64_t deadline_ns,
                  events_sink *on_event, void *user, struct failure *f)
{
    struct follower fo = {.on_event = on_event, .user = user};
    bool ended = true, again = false;
    char path[128];
    int rc = EXIT_OK;

    stream_path(path, sizeof path, since, kind);
    sse_init(&fo.sse, on_data, &fo);
    while (rc == EXIT_OK && ended) {
        int64_t began = clock_monotonic();

        rc = follow_once(h, path, deadline_ns, &fo, &ended, f);
        if (rc == EXIT_REFUSED && again) // a server that is going refuses who comes back
            rc = f->code = EXIT_UNREACHABLE;
        again = true;
        if (rc == EXIT_OK && ended && !fo.heard && clock_monotonic() - began < BRIEF_NS) {
            rc = fail(f, EXIT_UNREACHABLE, "the event stream ended at once%s%s",
                      fo.sse.id[0] != '\0' ? ", after event " : "", fo.sse.id);
        }
    }
    if (rc == EXIT_OK && !fo.stopped) {
        rc = fail(f, EXIT_REFUSED,
                  fo.garbled ? "the event stream is not JSON; is it mockcloud?" : "out of memory");
    }
    sse_fini(&fo.sse);
    return rc;
}

struct printer {
    struct output *output;
    int64_t left; // 0: no limit
};

static bool print_event(void *user, const json_t *event)
{
    struct printer *p = user;

    output_streamed(p->output, &kind_event, event);
    return !(p->left > 0 && --p->left == 0) && !ferror(p->output->file);
}

int verb_events_follow(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    struct printer p = {cli->output, args_int(c, "limit", 0)};
    int64_t timeout = args_has(c, "timeout") ? http_config(cli->http)->timeout_ns : 0;
    int64_t deadline = events_deadline(timeout), since = args_int(c, "since", -1);
    int rc = EXIT_OK;

    if (since < 0) // known from the start, so that a cut before the first event loses nothing
        rc = resource_revision(cli->http, &kind_zone, &since, f);
    if (rc == EXIT_OK)
        rc = events_follow(cli->http, since, args_value(c, "kind"), deadline, print_event, &p, f);
    return rc;
}

// Appends a page of events after *since and moves it on; *out_more: there may be others.
static int events_page(struct cli *cli, int64_t *since, int64_t limit, json_t *all, bool *out_more,
                       struct failure *f)
{
    const char *kind = args_value(cli->command, "kind");
    json_t *page = NULL, *items;
    char path[160];
    int64_t next;
    int rc;

    snprintf(path, sizeof path, "/v1/events?since=%" PRId64 "&limit=%" PRId64 "%s%s", *since, limit,
             kind != NULL ? "&kind=" : "", kind != NULL ? kind : "");
    rc = http_get(cli->http, path, &page, f);
    if (rc != EXIT_OK)
        return rc;
    items = json_object_get(page, "items");
    next = json_integer_value(json_object_get(page, "next_since"));
    json_array_extend(all, items);
    *out_more = next > *since && next < json_integer_value(json_object_get(page, "revision"));
    *since = next;
    json_decref(page);
    return EXIT_OK;
}

static void print_events(struct cli *cli, const json_t *all)
{
    size_t i;
    const json_t *event;

    if (args_has(cli->command, "count")) {
        fprintf(cli->output->file, "%zu\n", json_array_size(all));
        return;
    }
    if (cli->output->format != OUTPUT_JSON) {
        output_items(cli->output, &kind_event, all);
        return;
    }
    json_array_foreach(all, i, event)
    {
        output_streamed(cli->output, &kind_event, event);
    }
}

int verb_events(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    int64_t since = args_int(c, "since", 0), limit = args_int(c, "limit", INT64_MAX);
    json_t *all;
    bool more = true;
    int rc = EXIT_OK;

    if (args_has(c, "follow"))
        return verb_events_follow(cli, f);
    all = json_array();
    while (rc == EXIT_OK && more && limit > 0) {
        size_t before = json_array_size(all);

        rc = events_page(cli, &since, limit < PAGE ? limit : PAGE, all, &more, f);
        limit -= (int64_t)(json_array_size(all) - before);
    }
    if (rc == EXIT_OK)
        print_events(cli, all);
    json_decref(all);
    return rc;
}
