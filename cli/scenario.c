#include "cli/scenario.h"

#include "api/scenario_check.h"
#include "base/clock.h"
#include "base/timefmt.h"
#include "cli/events.h"
#include "cli/resource.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (512 << 10)

// --- the file ---

// "-" is standard input.
static int read_file(const char *path, struct buffer *out, struct failure *f)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "rb");
    char chunk[4096];
    size_t length;
    bool failed;

    if (!file)
        return fail(f, EXIT_USAGE, "%s: %s", path, strerror(errno));
    while (out->length <= FILE_MAX && (length = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buffer_append(out, chunk, length);
    failed = ferror(file) != 0;
    if (!is_stdin)
        fclose(file);
    if (failed)
        return fail(f, EXIT_USAGE, "%s: %s", path, strerror(errno));
    if (out->length > FILE_MAX)
        return fail(f, EXIT_USAGE, "%s: is larger than %d KiB", path, FILE_MAX >> 10);
    return EXIT_OK;
}

// The values of --var KEY=VALUE; the caller frees the array.
static size_t variables(const struct command *c, const char ***out)
{
    size_t count = 0;

    *out = calloc(c->option_count + 1, sizeof(**out));
    for (size_t i = 0; *out && i < c->option_count; i++)
        if (strcmp(c->options[i].flag->name, "var") == 0)
            (*out)[count++] = c->options[i].value;
    return count;
}

struct told {
    char last[1024]; // is the failure's; those before it are told at once
    size_t count;
};

static void tell(void *context, const char *diagnostic)
{
    struct told *told = context;

    if (told->count++ > 0)
        fprintf(stderr, "mockcloud: %s\n", told->last);
    snprintf(told->last, sizeof(told->last), "%s", diagnostic);
}

// All that is wrong with it is told, a line each.
static int check_file(const struct command *c, const char *path, struct buffer *text,
                      struct failure *f)
{
    int rc = read_file(path, text, f);
    struct told told = {0};
    const char **given;
    size_t count;

    if (rc != EXIT_OK)
        return rc;
    count = variables(c, &given);
    if (!scenario_check(path, text->length ? text->data : "", text->length, given, count, tell,
                        &told))
        rc = fail(f, EXIT_USAGE, "%s", told.last);
    free(given);
    return rc;
}

int verb_scenario_validate(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    size_t bad = 0;

    for (size_t i = 0; i < c->operand_count; i++) {
        struct failure one = {0};
        struct buffer text;

        buffer_init(&text);
        if (check_file(c, c->operands[i], &text, &one) == EXIT_OK) {
            fprintf(cli->output->file, "%s: valid\n", c->operands[i]);
        } else {
            if (c->operand_count == 1)
                fail(f, one.code, "%s", one.message);
            else
                fprintf(stderr, "mockcloud: %s\n", one.message);
            bad++;
        }
        buffer_fini(&text);
    }
    return bad == 0 ? EXIT_OK
                    : fail(f, EXIT_USAGE, "%zu of %zu files are not valid", bad, c->operand_count);
}

// --- starting ---

static void add_variables(const struct command *c, json_t *body)
{
    json_t *object = json_object();
    const char **given;
    size_t count = variables(c, &given);

    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(given[i], "=");
        json_object_setn_new(object, given[i], length, json_string(given[i] + length + 1));
    }
    free(given);
    json_object_set_new(body, "variables", object);
}

static int start(struct cli *cli, const char *file, const struct buffer *text, json_t **out,
                 struct failure *f)
{
    const struct command *c = cli->command;
    struct http_request request = {.method = "POST", .path = c->verb->kind->path};
    json_t *body = json_pack("{ss#ss}", "source", text->data, text->length, "file", file);
    int rc;

    if (!body)
        return fail(f, EXIT_USAGE, "%s: is not UTF-8 text", file);
    add_variables(c, body);
    if (args_has(c, "seed"))
        json_object_set_new(body, "seed", json_integer(args_int(c, "seed", 0)));
    request.body = body;
    request.idempotency_key = args_value(c, "idempotency-key");
    rc = http_send(cli->http, &request, out, f);
    json_decref(body);
    return rc;
}

// --- until it is over ---

struct run {
    struct cli *cli;
    json_t *scenario; // newest, owned
    bool follow;
    int64_t deadline_ns; // monotonic
};

static const char *state_of(const json_t *scenario)
{
    const char *state = json_string_value(json_object_get(scenario, "state"));

    return state ? state : "";
}

static bool is_over(const struct run *run)
{
    return strcmp(state_of(run->scenario), "running") != 0;
}

static void take(struct run *run, json_t *scenario)
{
    if (json_integer_value(json_object_get(scenario, "revision")) <
        json_integer_value(json_object_get(run->scenario, "revision")))
        return; // older than what we saw
    if (run->follow)
        scenario_tell(run->scenario, scenario);
    json_incref(scenario);
    json_decref(run->scenario);
    run->scenario = scenario;
}

static bool on_event(void *user, const json_t *event)
{
    struct run *run = user;
    const char *id = json_string_value(json_object_get(event, "id"));
    const char *ours = json_string_value(json_object_get(run->scenario, "id"));

    if (id && ours && strcmp(id, ours) == 0)
        take(run, json_object_get(event, "document"));
    return !is_over(run);
}

static int watch(struct run *run, struct failure *f)
{
    int64_t since = json_integer_value(json_object_get(run->scenario, "revision"));

    if (is_over(run))
        return EXIT_OK;
    return events_follow(run->cli->http, since, "scenario", run->deadline_ns, on_event, run, f);
}

// How far the clock is from a time. Both are told in whole milliseconds, so a time that seems to be
// here may be still to come; and a clock that runs may be past it.
static int64_t distance(const char *to, const json_t *clock)
{
    const char *now = json_string_value(json_object_get(clock, "now"));
    int64_t to_ns = 0, now_ns = 0;

    if (!now || time_parse(to, &to_ns, NULL) < 0 || time_parse(now, &now_ns, NULL) < 0)
        return NS_PER_MS;
    if (to_ns - now_ns > DURATION_MAX)
        return DURATION_MAX;
    return to_ns > now_ns ? to_ns - now_ns : NS_PER_MS;
}

static int advance_by(struct cli *cli, int64_t ns, struct failure *f)
{
    struct http_request request = {.method = "POST", .path = "/sim/v1/clock/advance"};
    char by[DURATION_TEXT_MAX];
    json_t *body;
    int rc;

    duration_format(ns, by);
    request.body = body = json_pack("{ss}", "by", by);
    rc = http_send(cli->http, &request, NULL, f);
    json_decref(body);
    return rc;
}

// Moves the clock to the next time at which something happens.
static int advance(struct run *run, struct failure *f)
{
    const char *to = json_string_value(json_object_get(run->scenario, "transition_at"));
    json_t *clock = NULL;
    int rc = http_get(run->cli->http, "/sim/v1/clock", &clock, f);

    if (rc == EXIT_OK && !to)
        to = json_string_value(json_object_get(clock, "next_deadline"));
    if (rc == EXIT_OK && !to)
        rc = fail(f, EXIT_TIMEOUT,
                  "the scenario waits for something, and nothing is due that could bring it");
    if (rc == EXIT_OK)
        rc = advance_by(run->cli, distance(to, clock), f);
    json_decref(clock);
    return rc;
}

static int refresh(struct run *run, struct failure *f)
{
    json_t *scenario = NULL;
    int rc = resource_find(run->cli->http, run->cli->command->verb->kind,
                           json_string_value(json_object_get(run->scenario, "id")), &scenario, f);

    if (rc == EXIT_OK)
        take(run, scenario);
    json_decref(scenario);
    return rc;
}

static int drive(struct run *run, struct failure *f)
{
    int rc = EXIT_OK;

    while (rc == EXIT_OK && !is_over(run)) {
        if (clock_monotonic() > run->deadline_ns)
            return fail(f, EXIT_TIMEOUT, "the scenario is not over (--timeout)");
        rc = advance(run, f);
        if (rc == EXIT_OK)
            rc = refresh(run, f);
    }
    return rc;
}

// With a manual clock nothing happens by itself: who waits should know.
static void warn_of_manual_clock(struct cli *cli)
{
    struct failure ignored = {0};
    json_t *clock = NULL;
    const char *mode;

    if (http_get(cli->http, "/sim/v1/clock", &clock, &ignored) != EXIT_OK)
        return;
    mode = json_string_value(json_object_get(clock, "mode"));
    if (mode && strcmp(mode, "manual") == 0)
        fprintf(stderr,
                "mockcloud: the clock is manual: `mockcloud clock advance` moves the scenario on"
                " (or --advance)\n");
    json_decref(clock);
}

static int report_all(const struct command *c, const json_t *scenario, struct failure *f)
{
    int rc = EXIT_OK;

    for (size_t i = 0; rc == EXIT_OK && i < c->option_count; i++)
        if (strcmp(c->options[i].flag->name, "report") == 0)
            rc = scenario_report(scenario, c->options[i].value, f);
    return rc;
}

static int verdict(const json_t *scenario, struct failure *f)
{
    const json_t *reason = json_object_get(scenario, "state_reason");
    const char *message = json_string_value(json_object_get(reason, "message"));
    const char *state = state_of(scenario);

    if (strcmp(state, "succeeded") == 0 || strcmp(state, "running") == 0)
        return EXIT_OK;
    return fail(f, EXIT_REFUSED, "scenario %s: %s", state,
                message ? message : "no reason is known");
}

static int finish(struct run *run, struct failure *f)
{
    const struct command *c = run->cli->command;
    struct failure local = {0};
    bool drives = args_has(c, "advance");
    bool waits = drives || run->follow || args_has(c, "wait") || args_has(c, "report");
    int rc = EXIT_OK, reported = EXIT_OK;

    if (!is_over(run) && !drives)
        warn_of_manual_clock(run->cli);
    if (drives)
        rc = drive(run, &local);
    else if (waits)
        rc = watch(run, &local);
    output_item(run->cli->output, c->verb->kind, run->scenario);
    if (waits)
        reported = report_all(c, run->scenario, f);
    if (reported != EXIT_OK)
        return reported;
    if (rc == EXIT_TIMEOUT)
        return fail(f, rc, "the scenario is %s: %s", state_of(run->scenario), local.message);
    return rc != EXIT_OK ? fail(f, local.code, "%s", local.message) : verdict(run->scenario, f);
}

int verb_scenario_run(struct cli *cli, struct failure *f)
{
    const char *file = cli->command->operands[0];
    struct run run = {.cli = cli, .follow = args_has(cli->command, "follow")};
    struct buffer text;
    int rc;

    buffer_init(&text);
    run.deadline_ns = events_deadline(http_config(cli->http)->timeout_ns);
    rc = check_file(cli->command, file, &text, f);
    if (rc == EXIT_OK)
        rc = start(cli, strcmp(file, "-") == 0 ? "stdin" : file, &text, &run.scenario, f);
    buffer_fini(&text);
    if (rc != EXIT_OK)
        return rc;
    if (run.follow)
        scenario_tell(NULL, run.scenario);
    rc = finish(&run, f);
    json_decref(run.scenario);
    return rc;
}

// --- the others ---

int verb_scenario_steps(struct cli *cli, struct failure *f)
{
    json_t *scenario = NULL;
    int rc =
        resource_find(cli->http, cli->command->verb->kind, cli->command->operands[0], &scenario, f);

    if (rc == EXIT_OK)
        output_items(cli->output, cli->command->verb->prints, json_object_get(scenario, "steps"));
    json_decref(scenario);
    return rc;
}

int verb_scenario_stop(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    int rc = EXIT_OK;

    for (size_t i = 0; rc == EXIT_OK && i < c->operand_count; i++) {
        struct http_request request = {.method = "POST"};
        json_t *reply = NULL;
        struct buffer path;
        char *id = NULL;

        buffer_init(&path);
        rc = resource_resolve(cli->http, c->verb->kind, c->operands[i], &id, f);
        if (rc == EXIT_OK) {
            buffer_printf(&path, "%s/%s/stop", c->verb->kind->path, id);
            buffer_append(&path, "", 1);
            request.path = path.data;
            rc = http_send(cli->http, &request, &reply, f);
        }
        if (rc == EXIT_OK)
            output_item(cli->output, c->verb->kind, reply);
        json_decref(reply);
        buffer_fini(&path);
        free(id);
    }
    return rc;
}
