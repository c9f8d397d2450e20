// What a scenario came to, for people and for CI.
#include "base/timefmt.h"
#include "cli/scenario.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static bool time_of(const json_t *object, const char *key, int64_t *out)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text && time_parse(text, out, NULL) == 0;
}

// Cloud time between two moments of a document, in seconds; 0 when one is not there.
static double seconds(const json_t *object, const char *from, const char *to)
{
    int64_t a, b;

    if (!time_of(object, from, &a) || !time_of(object, to, &b))
        return 0;
    return (double)(b - a) / (double)NS_PER_S;
}

// --- progress ---

static const char *state_before(const json_t *before, size_t index)
{
    return before ? text_of(json_array_get(json_object_get(before, "steps"), index), "state") : "";
}

static void tell_step(const json_t *scenario, const json_t *step)
{
    const char *message = text_of(json_object_get(step, "error"), "message");
    int64_t start = 0, now = 0;
    char offset[DURATION_TEXT_MAX] = "0s";

    if (time_of(scenario, "started_at", &start) && time_of(scenario, "updated_at", &now))
        duration_format(now - start, offset);
    fprintf(stderr, "+%-8s %-10s %s%s%s\n", offset, text_of(step, "state"), text_of(step, "name"),
            message[0] ? ": " : "", message);
}

void scenario_tell(const json_t *before, const json_t *now)
{
    const json_t *steps = json_object_get(now, "steps");

    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *step = json_array_get(steps, i);
        const char *state = text_of(step, "state");
        if (strcmp(state, "pending") != 0 && strcmp(state, state_before(before, i)) != 0)
            tell_step(now, step);
    }
}

// --- JUnit ---

static void put_xml(FILE *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '&')
            fputs("&amp;", out);
        else if (c == '<')
            fputs("&lt;", out);
        else if (c == '>')
            fputs("&gt;", out);
        else if (c == '"')
            fputs("&quot;", out);
        else
            fputc(c < ' ' ? ' ' : c, out);
    }
}

static void put_attribute(FILE *out, const char *name, const char *value)
{
    fprintf(out, " %s=\"", name);
    put_xml(out, value);
    fputs("\"", out);
}

static void put_case(FILE *out, const json_t *scenario, const json_t *step)
{
    const json_t *error = json_object_get(step, "error");
    const char *state = text_of(step, "state");

    fputs("    <testcase", out);
    put_attribute(out, "classname", text_of(scenario, "name"));
    put_attribute(out, "name", text_of(step, "name"));
    put_attribute(out, "file", text_of(scenario, "file"));
    fprintf(out, " line=\"%lld\" time=\"%.3f\">",
            (long long)json_integer_value(json_object_get(step, "line")),
            seconds(step, "started_at", "ended_at"));
    if (strcmp(state, "failed") == 0) {
        fputs("<failure", out);
        put_attribute(out, "type", text_of(error, "code"));
        put_attribute(out, "message", text_of(error, "message"));
        fputs("/>", out);
    } else if (strcmp(state, "succeeded") != 0) {
        fputs("<skipped", out);
        put_attribute(out, "message", error ? text_of(error, "message") : state);
        fputs("/>", out);
    }
    fputs("</testcase>\n", out);
}

static int count_state(const json_t *scenario, bool failed)
{
    const json_t *steps = json_object_get(scenario, "steps");
    int count = 0;

    for (size_t i = 0; i < json_array_size(steps); i++) {
        const char *state = text_of(json_array_get(steps, i), "state");
        bool is_failed = strcmp(state, "failed") == 0, ok = strcmp(state, "succeeded") == 0;
        count += failed ? is_failed : !is_failed && !ok;
    }
    return count;
}

// What failed outside of any step: it was stopped, or its cleanup went wrong.
static const char *failure_of_the_whole(const json_t *scenario)
{
    if (strcmp(text_of(scenario, "state"), "succeeded") != 0 && count_state(scenario, true) == 0)
        return text_of(json_object_get(scenario, "state_reason"), "message");
    return text_of(scenario, "cleanup_error");
}

static void put_junit(FILE *out, const json_t *scenario)
{
    const json_t *steps = json_object_get(scenario, "steps");
    const char *whole = failure_of_the_whole(scenario);

    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite", out);
    put_attribute(out, "name", text_of(scenario, "name"));
    fprintf(out, " tests=\"%zu\" failures=\"%d\" errors=\"%d\" skipped=\"%d\" time=\"%.3f\"",
            json_array_size(steps), count_state(scenario, true), whole[0] ? 1 : 0,
            count_state(scenario, false), seconds(scenario, "started_at", "ended_at"));
    put_attribute(out, "timestamp", text_of(scenario, "started_at"));
    fputs(">\n", out);
    for (size_t i = 0; i < json_array_size(steps); i++)
        put_case(out, scenario, json_array_get(steps, i));
    if (whole[0]) {
        fputs("    <system-err>", out);
        put_xml(out, whole);
        fputs("</system-err>\n", out);
    }
    fputs("  </testsuite>\n</testsuites>\n", out);
}

// --- files ---

int scenario_report(const json_t *scenario, const char *path, struct failure *f)
{
    bool is_stdout = strcmp(path, "-") == 0;
    size_t length = strlen(path);
    FILE *out = is_stdout ? stdout : fopen(path, "w");
    bool failed;

    if (!out)
        return fail(f, EXIT_REFUSED, "--report %s: %s", path, strerror(errno));
    if (length > 4 && strcmp(path + length - 4, ".xml") == 0)
        put_junit(out, scenario);
    else
        json_dumpf(scenario, out, JSON_INDENT(2));
    failed = ferror(out) != 0;
    if (!is_stdout)
        failed |= fclose(out) != 0;
    return failed ? fail(f, EXIT_REFUSED, "--report %s: %s", path, strerror(errno)) : EXIT_OK;
}
