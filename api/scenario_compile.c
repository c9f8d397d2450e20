#include "api/scenario_compile.h"

#include "base/timefmt.h"

#include <string.h>

// --- values ---

int compile_known(struct compiling *c, const struct node *map, const char *const *names)
{
    int rc = 0;

    for (size_t i = 0; i < map->count; i++) {
        const char *const *name = names;
        while (*name && strcmp(*name, map->items[i].key) != 0)
            name++;
        if (!*name)
            rc = diagnose_key(c->d, &map->items[i], "no such field");
    }
    return rc;
}

int compile_text(struct compiling *c, const struct node *node, const char **out)
{
    if (!node->text || node->type == NODE_NULL || node->text[0] == '\0')
        return diagnose(c->d, node, "must be a text");
    *out = node->text;
    return 0;
}

int compile_int(struct compiling *c, const struct node *node, int64_t minimum, int64_t maximum,
                int64_t *out)
{
    if (node->type != NODE_INT || node->integer < minimum || node->integer > maximum)
        return diagnose(c->d, node, "must be a whole number, %lld to %lld", (long long)minimum,
                        (long long)maximum);
    *out = node->integer;
    return 0;
}

int compile_bool(struct compiling *c, const struct node *node, bool *out)
{
    if (node->type != NODE_BOOL)
        return diagnose(c->d, node, "must be true or false");
    *out = node->integer != 0;
    return 0;
}

int compile_duration(struct compiling *c, const struct node *node, int64_t minimum, int64_t *out)
{
    struct error err = {0};
    int64_t ns;

    if (!node->text || (node->type == NODE_INT && node->integer != 0))
        return diagnose(c->d, node, "must be a duration with a unit, such as 30s");
    if (duration_parse(node->text, &ns, &err) < 0)
        return diagnose(c->d, node, "%s", err.message);
    if (ns < minimum)
        return diagnose(c->d, node, minimum > 1 ? "must be at least 1ms" : "must not be 0");
    *out = ns;
    return 0;
}

bool compile_is_dynamic(const struct node *node)
{
    bool dynamic = node->type == NODE_STRING && strstr(node->text, "${");

    for (size_t i = 0; i < node->count && !dynamic; i++)
        dynamic = compile_is_dynamic(&node->items[i]);
    return dynamic;
}

// --- steps ---

static const char *const step_keys[] = {
    "name",   "at",         "after",    "every",      "count",  "until",  "when",   "timeout",
    "repeat", "background", "may_fail", "allow_none", "expect", "within", "during", NULL};

static int read_trigger(struct compiling *c, const struct node *map, struct scenario_step *out)
{
    const struct node *given[TRIGGERS] = {
        [TRIGGER_AFTER] = node_get(map, "after"),
        [TRIGGER_AT] = node_get(map, "at"),
        [TRIGGER_EVERY] = node_get(map, "every"),
        [TRIGGER_WHEN] = node_get(map, "when"),
    };
    const struct node *first = NULL;

    for (int i = 0; i < TRIGGERS; i++) {
        if (!given[i])
            continue;
        if (first)
            return diagnose(c->d, given[i],
                            "contradicts %s: a step has one of at, after, every, when", first->key);
        first = given[i];
        out->trigger = (enum step_trigger)i;
    }
    if (!first)
        return 0;
    if (out->trigger == TRIGGER_WHEN)
        return compile_conditions(c, first, &out->when, &out->when_count);
    return compile_duration(c, first, out->trigger == TRIGGER_EVERY ? NS_PER_MS : 0, &out->ns);
}

// A key that makes sense only beside others.
static int needs(struct compiling *c, const struct node *map, const char *key, bool fits,
                 const char *what)
{
    const struct node *node = node_get(map, key);

    return node && !fits ? diagnose(c->d, node, "goes with %s only", what) : 0;
}

static int read_limits(struct compiling *c, const struct node *map, struct scenario_step *out)
{
    const struct node *count = node_get(map, "count"), *until = node_get(map, "until"),
                      *timeout = node_get(map, "timeout"), *repeat = node_get(map, "repeat");
    bool again = out->trigger == TRIGGER_EVERY || out->trigger == TRIGGER_WHEN;
    int64_t number = 1;

    if (needs(c, map, "count", again, "every and when") < 0 ||
        needs(c, map, "until", out->trigger == TRIGGER_EVERY, "every") < 0 ||
        needs(c, map, "timeout", out->trigger == TRIGGER_WHEN, "when") < 0)
        return -ERROR_INVALID;
    if ((repeat && compile_int(c, repeat, 1, SCENARIO_REPEAT_MAX, &number) < 0) ||
        (until && compile_duration(c, until, 1, &out->until_ns) < 0) ||
        (timeout && compile_duration(c, timeout, 1, &out->timeout_ns) < 0))
        return -ERROR_INVALID;
    out->repeat = (int)number;
    out->count = out->trigger == TRIGGER_WHEN ? 1 : 0;
    return count ? compile_int(c, count, 1, SCENARIO_COUNT_MAX, &out->count) : 0;
}

static int read_expect(struct compiling *c, const struct node *map, struct scenario_step *out)
{
    const struct node *expect = node_get(map, "expect"), *within = node_get(map, "within"),
                      *during = node_get(map, "during");

    if (needs(c, map, "within", expect, "expect") < 0 ||
        needs(c, map, "during", expect, "expect") < 0)
        return -ERROR_INVALID;
    if (within && during)
        return diagnose(c->d, during, "contradicts within: expected once, or all the time");
    out->during = during != NULL;
    if ((within && compile_duration(c, within, 0, &out->expect_ns) < 0) ||
        (during && compile_duration(c, during, 1, &out->expect_ns) < 0))
        return -ERROR_INVALID;
    return expect ? compile_conditions(c, expect, &out->expect, &out->expect_count) : 0;
}

static int read_flags(struct compiling *c, const struct node *map, struct scenario_step *out)
{
    const struct node *background = node_get(map, "background"),
                      *may_fail = node_get(map, "may_fail"), *none = node_get(map, "allow_none");
    bool allow_none = false;

    if ((background && compile_bool(c, background, &out->background) < 0) ||
        (may_fail && compile_bool(c, may_fail, &out->may_fail) < 0) ||
        (none && compile_bool(c, none, &allow_none) < 0))
        return -ERROR_INVALID;
    for (size_t i = 0; i < out->action_count; i++)
        out->actions[i].select.allow_none |= allow_none;
    return 0;
}

static bool has_event(const struct condition *conditions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (conditions[i].type == CONDITION_EVENT)
            return true;
    return false;
}

// What could not end, or would do nothing.
static int check_step(struct compiling *c, const struct node *map, const struct scenario_step *step)
{
    if (step->action_count == 0 && step->expect_count == 0 && step->trigger != TRIGGER_WHEN)
        return diagnose(c->d, map, "a step needs something to do, to expect, or to wait for");
    if (step->trigger == TRIGGER_EVERY && step->count == 0 && step->until_ns == 0 &&
        !step->background)
        return diagnose(c->d, map, "never ends: give it count or until, or background: true");
    if (step->trigger == TRIGGER_WHEN && step->count > 1 &&
        !has_event(step->when, step->when_count))
        return diagnose(c->d, map, "only an event can be awaited more than once");
    if (step->trigger == TRIGGER_EVERY && step->until_ns > 0 && step->until_ns < step->ns)
        return diagnose(c->d, map, "contradicts itself: until is before its first time");
    return 0;
}

// The name, for people and reports; `index` from 0.
static int name_step(struct compiling *c, const struct node *map, size_t index,
                     struct scenario_step *out)
{
    const struct node *node = node_get(map, "name");

    out->name = arena_printf(c->arena, "step %zu", index + 1);
    if (node && compile_text(c, node, &out->name) < 0)
        return -ERROR_INVALID;
    if (strlen(out->name) > 100)
        return diagnose(c->d, node, "must have at most 100 bytes");
    for (size_t i = 0; i < index; i++)
        if (c->program->steps[i].name && strcmp(c->program->steps[i].name, out->name) == 0)
            return diagnose(c->d, node ? node : map, "the step in line %d has this name",
                            c->program->steps[i].line);
    return 0;
}

static int read_step(struct compiling *c, const struct node *map, size_t index,
                     struct scenario_step *out)
{
    int rc = 0;

    out->line = map->line;
    if (map->type != NODE_MAP)
        return diagnose(c->d, map, "must be a map");
    for (size_t i = 0; i < map->count; i++) {
        const char *const *key = step_keys;
        while (*key && strcmp(*key, map->items[i].key) != 0)
            key++;
        if (!*key && !compile_is_action_key(map->items[i].key))
            rc = diagnose_key(c->d, &map->items[i], "no such field");
    }
    if (rc < 0 || name_step(c, map, index, out) < 0 || read_trigger(c, map, out) < 0 ||
        read_limits(c, map, out) < 0 || read_expect(c, map, out) < 0 ||
        compile_actions(c, map, step_keys, &out->actions, &out->action_count) < 0 ||
        read_flags(c, map, out) < 0)
        return -ERROR_INVALID;
    return check_step(c, map, out);
}

// Steps follow one another: a time before what must have passed by then is a contradiction.
static int check_order(struct compiling *c, const struct node *list)
{
    int64_t earliest = 0;
    int rc = 0;

    for (size_t i = 0; i < c->program->step_count; i++) {
        const struct scenario_step *step = &c->program->steps[i];
        int64_t start = earliest;

        if (step->trigger == TRIGGER_AT && step->ns < earliest)
            rc = diagnose(c->d, &list->items[i],
                          "contradicts the steps before it, which are not done by then");
        if (step->trigger == TRIGGER_AT)
            start = step->ns > earliest ? step->ns : earliest;
        else if (step->trigger == TRIGGER_EVERY && step->count > 0)
            start += step->ns > DURATION_MAX / step->count ? DURATION_MAX : step->ns * step->count;
        else if (step->trigger == TRIGGER_AFTER || step->trigger == TRIGGER_EVERY)
            start += step->ns;
        if (step->during)
            start += step->expect_ns;
        if (start > DURATION_MAX)
            return diagnose(c->d, &list->items[i], "would last longer than a year");
        earliest = step->background ? earliest : start;
    }
    return rc;
}

static int read_steps(struct compiling *c, const struct node *list)
{
    struct scenario *program = c->program;
    int rc = 0;

    if (list->type != NODE_LIST || list->count == 0 || list->count > SCENARIO_STEPS_MAX)
        return diagnose(c->d, list, "must be a list of 1 to %d steps", SCENARIO_STEPS_MAX);
    program->steps = arena_alloc(c->arena, list->count * sizeof(*program->steps));
    program->step_count = list->count;
    for (size_t i = 0; i < list->count; i++)
        if (read_step(c, &list->items[i], i, &program->steps[i]) < 0)
            rc = -ERROR_INVALID;
    return rc < 0 ? rc : check_order(c, list);
}

// --- the file ---

static const char *base_name(struct compiling *c)
{
    const char *slash = strrchr(c->d->file, '/'), *name = slash ? slash + 1 : c->d->file;
    const char *dot = strrchr(name, '.');
    size_t length = dot && dot > name ? (size_t)(dot - name) : strlen(name);

    return length > 0 ? arena_strndup(c->arena, name, length) : "scenario";
}

static int read_head(struct compiling *c, const struct node *root)
{
    const struct node *name = node_get(root, "name"), *description = node_get(root, "description"),
                      *seed = node_get(root, "seed");
    struct scenario *program = c->program;

    program->r.name = base_name(c);
    program->file = arena_strdup(c->arena, c->d->file);
    program->seed = -1;
    if ((name && compile_text(c, name, &program->r.name) < 0) ||
        (description && compile_text(c, description, &program->description) < 0) ||
        (seed && compile_int(c, seed, 0, INT64_MAX, &program->seed) < 0))
        return -ERROR_INVALID;
    return strlen(program->r.name) > 100 ? diagnose(c->d, name, "must have at most 100 bytes") : 0;
}

static int read_root(struct compiling *c, const struct node *root)
{
    static const char *const keys[] = {"name",  "description", "seed",    "variables",
                                       "steps", "on_failure",  "cleanup", NULL};
    const struct node *steps = node_get(root, "steps"), *failure = node_get(root, "on_failure"),
                      *cleanup = node_get(root, "cleanup");
    struct scenario *p = c->program;
    int rc = compile_known(c, root, keys);

    if (read_head(c, root) < 0)
        rc = -ERROR_INVALID;
    if (!steps)
        rc = diagnose(c->d, root, "steps are required");
    else if (read_steps(c, steps) < 0)
        rc = -ERROR_INVALID;
    if (failure && compile_action_list(c, failure, &p->on_failure, &p->on_failure_count) < 0)
        rc = -ERROR_INVALID;
    if (cleanup && compile_action_list(c, cleanup, &p->cleanup, &p->cleanup_count) < 0)
        rc = -ERROR_INVALID;
    return rc;
}

int scenario_compile(const struct scenario_input *input, struct diagnostics *d,
                     struct scenario *out)
{
    struct compiling c = {.d = d, .arena = d->arena, .program = out};
    struct node *root;

    memset(out, 0, sizeof(*out));
    if (yaml_in_load(input->text, input->length, d, &root) < 0)
        return -ERROR_INVALID;
    if (root->type != NODE_MAP)
        return diagnose(d, root, "must be a map with steps");
    if (compile_variables(&c, root, input) < 0)
        return -ERROR_INVALID;
    return read_root(&c, root);
}
