#include "cli/wait.h"
#include "base/clock.h"
#include "cli/events.h"
#include "cli/resource.h"
#include "cli/verbs.h"

#include <stdlib.h>
#include <string.h>

struct waiter {
    const struct kind *kind;
    const char *ref;
    const char *condition;
    json_t *document; // newest, owned; NULL: not seen
    bool met;
    bool gone;
};

static bool starts(const char *text, size_t length, const char *word)
{
    return length >= strlen(word) && memcmp(text, word, strlen(word)) == 0;
}

static bool is_word(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && memcmp(text, word, length) == 0;
}

static int check_states(const struct kind *kind, const char *values, size_t length,
                        struct failure *f)
{
    while (length > 0) {
        size_t n = 0;

        while (n < length && values[n] != ',')
            n++;
        if (!spec_choice(kind->states, values, n)) {
            return fail(f, EXIT_USAGE, "--for: unknown state '%.*s' (%s)", (int)n, values,
                        kind->states);
        }
        n += n < length;
        values += n;
        length -= n;
    }
    return EXIT_OK;
}

static int check_one(const struct kind *kind, const char *text, size_t length, struct failure *f)
{
    const char *equals = memchr(text, '=', length);
    size_t name = equals != NULL ? (size_t)(equals - text) : length;

    if (is_word(text, length, "deleted") || is_word(text, length, "exists"))
        return EXIT_OK;
    if (equals == NULL || name == 0 || (starts(text, name, "tag.") && name == 4) ||
        (!starts(text, name, "tag.") && name + 1 == length)) {
        return fail(f, EXIT_USAGE,
                    "--for: '%.*s' is not deleted, exists, tag.KEY=VALUE or FIELD=VALUE",
                    (int)length, text);
    }
    if (is_word(text, name, "state") && kind->states != NULL)
        return check_states(kind, equals + 1, length - name - 1, f);
    return EXIT_OK;
}

int wait_check(const struct kind *kind, const char *condition, struct failure *f)
{
    for (;;) {
        size_t length = strcspn(condition, "|");

        if (check_one(kind, condition, length, f) != EXIT_OK)
            return EXIT_USAGE;
        if (condition[length] == '\0')
            return EXIT_OK;
        condition += length + 1;
    }
}

static bool value_is(const json_t *value, const char *wanted, size_t length)
{
    char number[32];

    if (json_is_string(value))
        return is_word(wanted, length, json_string_value(value));
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return is_word(wanted, length, number);
    }
    return json_is_boolean(value) &&
           is_word(wanted, length, json_is_true(value) ? "true" : "false");
}

static bool one_of(const json_t *value, const char *wanted, size_t length)
{
    while (length > 0) {
        size_t n = 0;

        while (n < length && wanted[n] != ',')
            n++;
        if (value_is(value, wanted, n))
            return true;
        n += n < length;
        wanted += n;
        length -= n;
    }
    return false;
}

static bool met_one(const char *text, size_t length, const json_t *document, bool there)
{
    const char *equals = memchr(text, '=', length);
    const char *state = json_string_value(json_object_get(document, "state"));
    size_t name;

    if (is_word(text, length, "deleted"))
        return !there || (state != NULL && strcmp(state, "deleted") == 0);
    if (is_word(text, length, "exists") || equals == NULL)
        return there && document != NULL;
    name = (size_t)(equals - text);
    if (starts(text, name, "tag.")) {
        return value_is(json_object_getn(json_object_get(document, "tags"), text + 4, name - 4),
                        equals + 1, length - name - 1);
    }
    return one_of(json_object_getn(document, text, name), equals + 1, length - name - 1);
}

bool wait_met(const char *condition, const json_t *document, bool there)
{
    for (;;) {
        size_t length = strcspn(condition, "|");

        if (met_one(condition, length, document, there))
            return true;
        if (condition[length] == '\0')
            return false;
        condition += length + 1;
    }
}

static bool is_ours(const struct waiter *w, const json_t *event, const json_t *document)
{
    const char *id = json_string_value(json_object_get(event, "id"));

    if (w->document != NULL)
        return id != NULL && strcmp(id, resource_key(w->kind, w->document)) == 0;
    return (id != NULL && strcmp(id, w->ref) == 0) ||
           strcmp(resource_name(w->kind, document), w->ref) == 0;
}

static bool on_event(void *user, const json_t *event)
{
    struct waiter *w = user;
    json_t *document = json_object_get(event, "document");
    const char *type = json_string_value(json_object_get(event, "type"));
    json_int_t revision = json_integer_value(json_object_get(event, "revision"));

    if (!is_ours(w, event, document))
        return true;
    if (w->document != NULL &&
        revision <= json_integer_value(json_object_get(w->document, "revision")))
        return true; // older than what we saw
    json_decref(w->document);
    w->document = json_incref(document);
    w->gone = type != NULL && strcmp(type, "deleted") == 0;
    w->met = wait_met(w->condition, w->document, !w->gone);
    return !w->met && !w->gone;
}

static int look(struct http *h, struct waiter *w, struct failure *f)
{
    struct failure local = {0};
    int rc = resource_find(h, w->kind, w->ref, &w->document, &local);

    w->met = wait_met(w->condition, w->document, rc == EXIT_OK);
    if (rc == EXIT_OK || (rc == EXIT_NOT_FOUND && (w->met || strstr(w->condition, "exists"))))
        return EXIT_OK;
    return fail(f, local.code, "%s", local.message);
}

static int follow(struct http *h, struct waiter *w, int64_t since, int64_t deadline_ns,
                  struct failure *f)
{
    struct failure local = {0};
    int rc = events_follow(h, since, w->kind->event_kind, deadline_ns, on_event, w, &local);

    if (rc == EXIT_TIMEOUT) {
        const char *state = json_string_value(json_object_get(w->document, "state"));

        return fail(f, EXIT_TIMEOUT, "%s/%s: timed out waiting for %s%s%s", w->kind->noun, w->ref,
                    w->condition, state != NULL ? "; its state is " : "",
                    state != NULL ? state : "");
    }
    if (rc != EXIT_OK)
        return fail(f, local.code, "%s", local.message);
    if (!w->met) {
        return fail(f, EXIT_NOT_FOUND, "%s/%s was deleted while waiting for %s", w->kind->noun,
                    w->ref, w->condition);
    }
    return EXIT_OK;
}

int wait_for(struct http *h, const struct kind *kind, const char *ref, const char *condition,
             int64_t deadline_ns, json_t **out_document, struct failure *f)
{
    struct waiter w = {.kind = kind, .ref = ref, .condition = condition};
    int64_t since = 0;
    int rc = resource_revision(h, kind, &since, f); // before looking, so that no event is missed

    if (rc == EXIT_OK)
        rc = look(h, &w, f);
    if (rc == EXIT_OK && !w.met)
        rc = follow(h, &w, since, deadline_ns, f);
    if (rc == EXIT_OK && out_document != NULL)
        *out_document = json_incref(w.document);
    json_decref(w.document);
    return rc;
}

static const struct kind *kind_of(const char *operand, const char **out_ref)
{
    const char *slash = strchr(operand, '/');
    const struct kind *kind = NULL;
    char noun[32];

    if (slash != NULL && slash[1] != '\0' && (size_t)(slash - operand) < sizeof noun) {
        memcpy(noun, operand, (size_t)(slash - operand));
        noun[slash - operand] = '\0';
        kind = spec_kind(noun);
        *out_ref = slash + 1;
    }
    return kind != NULL && kind->event_kind != NULL && kind != &kind_clock && kind != &kind_latency
               ? kind
               : NULL;
}

static int wait_operand(struct cli *cli, const char *operand, const char *condition,
                        int64_t deadline_ns, struct failure *f)
{
    const struct kind *kind;
    const char *ref = NULL;
    json_t *document = NULL;
    int rc;

    kind = kind_of(operand, &ref);
    if (kind == NULL) {
        return fail(f, EXIT_USAGE,
                    "wait: '%s' is not KIND/NAME (instance, lb, pool, address, route, "
                    "zone, type, project)",
                    operand);
    }
    rc = wait_check(kind, condition, f);
    if (rc == EXIT_OK)
        rc = wait_for(cli->http, kind, ref, condition, deadline_ns, &document, f);
    if (rc == EXIT_OK && document != NULL)
        output_item(cli->output, kind, document);
    json_decref(document);
    return rc;
}

int verb_wait(struct cli *cli, struct failure *f)
{
    const char *condition = args_value(cli->command, "for");
    int64_t deadline = events_deadline(http_config(cli->http)->timeout_ns);
    int rc = EXIT_OK;

    if (condition == NULL) {
        return fail(f, EXIT_USAGE,
                    "wait: --for CONDITION is missing, for example --for state=running");
    }
    for (size_t i = 0; rc == EXIT_OK && i < cli->command->operand_count; i++)
        rc = wait_operand(cli, cli->command->operands[i], condition, deadline, f);
    return rc;
}
