#include "store/past.h"
#include "tests/unit/seed.h"
#include "tests/unit/store_fixture.h"

// --- a naive model: every version of every resource, in memory ---

enum { IDS = 30, STEPS = 1500, NAMES = 4 };

struct version {
    int64_t revision, seq, time, project;
    int id, name;
    bool deleted, created;
    char document[64];
};

struct model {
    struct fixture *f;
    unsigned seed;
    struct version versions[STEPS + 1];
    int count;
    struct version *current[IDS]; // NULL: not there
    int64_t trimmed, time, changes;
    int64_t change_revisions[STEPS + 1];
};

static unsigned draw(struct model *m, unsigned below)
{
    m->seed = m->seed * 1103515245U + 12345U;
    return (m->seed >> 16) % below;
}

static void append(struct model *m, enum kind kind, const struct version *v, int64_t previous)
{
    struct event event = {.revision = v->revision,
                          .time_ns = v->time,
                          .project = v->project,
                          .kind = kind,
                          .id = arena_printf(&m->f->arena, "i-%d", v->id),
                          .type = v->deleted   ? EVENT_DELETED
                                  : v->created ? EVENT_CREATED
                                               : EVENT_UPDATED,
                          .document = text_bytes(v->document),
                          .seq = v->seq,
                          .previous = previous};

    OK(m->f, store_event_append(m->f->store, &event, &m->f->err));
}

static void write_row(struct model *m, struct version *v)
{
    struct row row = make_row(m->f, v->id);

    m->f->revision = v->revision; // make_row has counted, too
    row.seq = v->created ? 0 : v->seq;
    row.revision = v->revision;
    row.project = v->project;
    row.name = arena_printf(&m->f->arena, "n%d", v->name);
    row.document = text_bytes(v->document);
    OK(m->f, store_put(m->f->store, KIND_INSTANCE, &row, &m->f->err));
    v->seq = row.seq;
}

// Creates, updates or deletes one resource, or only has a fault rule fire.
static void step(struct model *m)
{
    int id = (int)draw(m, IDS);
    struct version *was = m->current[id], *v = &m->versions[m->count];

    m->time += draw(m, 3) ? draw(m, 1000) : 0;
    *v = (struct version){.revision = ++m->f->revision, .time = m->time, .id = id};
    if (draw(m, 8) == 0) {
        append(m, KIND_FAULT, v, 0);
        return;
    }
    m->count++;
    m->change_revisions[m->changes++] = v->revision;
    v->created = !was;
    v->deleted = was && draw(m, 5) == 0;
    v->project = was ? was->project : 1 + draw(m, 2);
    v->name = (int)draw(m, NAMES);
    v->seq = was ? was->seq : 0;
    snprintf(v->document, sizeof(v->document), "{\"id\":%d,\"name\":\"n%d\",\"revision\":%d}", id,
             v->name, (int)v->revision);
    if (v->deleted)
        OK(m->f, store_delete(m->f->store, KIND_INSTANCE, v->seq, &m->f->err));
    else
        write_row(m, v);
    append(m, KIND_INSTANCE, v, was ? was->revision : 0);
    m->current[id] = v->deleted ? NULL : v;
}

static void trim(struct model *m)
{
    int64_t up_to = m->f->revision - 1 - draw(m, 300), ignored;

    if (up_to <= m->trimmed)
        return;
    OK(m->f, store_events_trim(m->f->store, up_to, STEPS, &ignored, &m->f->err));
    m->trimmed = up_to;
}

// --- what the model would answer ---

static int64_t model_horizon(const struct model *m, int64_t back, int64_t project)
{
    int64_t then = m->f->revision, left = back;

    for (int i = m->count - 1; i >= 0 && left > 0; i--) {
        if (project == 0 || m->versions[i].project == project)
            if (--left == 0)
                then = m->versions[i].revision - 1;
    }
    return left > 0 || then < m->trimmed ? m->trimmed : then;
}

// What was there at the revision, or stands in for it; NULL: nothing.
static const struct version *model_then(const struct model *m, int id, int64_t revision)
{
    const struct version *found = NULL, *next = NULL;

    for (int i = 0; i < m->count; i++) {
        const struct version *v = &m->versions[i];

        if (v->id != id)
            continue;
        if (v->revision <= revision)
            found = v;
        else if (!next)
            next = v;
    }
    if (!found || found->deleted)
        return NULL;
    return next && found->revision <= m->trimmed ? next : found;
}

struct chooser {
    const char *name; // filter; NULL: any
    bool hide;        // what is young
    const struct past_view *view;
    int examined;
};

static enum past_choice choose(void *context, const struct past *past)
{
    struct chooser *c = context;
    char text[64];

    c->examined++;
    assert_int_equal(past->then.data != NULL, past->revision_then != 0);
    assert_int_equal(past->now.data != NULL, past->revision_now != 0);
    if (!past->then.data || (c->hide && past->made_ns > c->view->born_by_ns))
        return PAST_NEITHER;
    snprintf(text, sizeof(text), "%.*s", (int)past->then.length, (const char *)past->then.data);
    return !c->name || strstr(text, c->name) ? PAST_THEN : PAST_NEITHER;
}

// Where it is in lists: where it was at the first moment, else where it was last.
static int64_t model_place(const struct model *m, int id, int64_t project, int64_t first)
{
    const struct version *v = model_then(m, id, first);

    v = v && project && v->project != project ? NULL : v;
    for (int i = m->count - 1; !v; i--) {
        const struct version *last = &m->versions[i];
        if (last->id == id && (!project || last->project == project))
            v = last;
    }
    return v->seq;
}

struct placed {
    const struct version *version;
    int64_t seq;
};

// Odd ones are seen as of the second moment, if there is one.
static size_t moment_of(void *context, const char *id, struct bytes now)
{
    const struct past_view *view = ((struct chooser *)context)->view;

    (void)now;
    return (size_t)atoi(id + 2) % view->moment_count;
}

static int by_seq(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;

    return (x->seq > y->seq) - (x->seq < y->seq);
}

static void model_list(const struct model *m, const struct list_query *q, const char *name,
                       const int64_t then[2], int64_t born, struct buffer *out, int64_t *out_next)
{
    int64_t first = then[0] < then[1] ? then[0] : then[1];
    struct placed all[IDS];
    int count = 0, taken = 0;

    for (int id = 0; id < IDS; id++) {
        const struct version *v = model_then(m, id, then[id % 2]);
        int64_t seq;

        if (!v || (q->project && v->project != q->project) || (name && !strstr(v->document, name)))
            continue;
        seq = model_place(m, id, q->project, first);
        if (seq <= born && seq > q->after_seq)
            all[count++] = (struct placed){v, seq};
    }
    qsort(all, (size_t)count, sizeof(*all), by_seq);
    for (; taken < count && taken < q->limit; taken++)
        buffer_printf(out, "%s%s", taken ? "," : "", all[taken].version->document);
    *out_next = taken < count ? all[taken - 1].seq : 0;
}

static int64_t model_revision_at(const struct model *m, int64_t ns, struct reader *reader);

// --- comparing ---

static void compare(struct model *m, struct reader *reader, size_t *examined)
{
    char name[16];
    struct chooser chooser = {.name = draw(m, 2) ? name : NULL, .hide = draw(m, 2) != 0};
    struct past_view view = {
        .moment_count = 1 + draw(m, 2), .moment = moment_of, .choose = choose, .context = &chooser};
    struct list_query q = {.kind = KIND_INSTANCE,
                           .project = draw(m, 3),
                           .limit = 1 + (int)draw(m, 40),
                           .after_seq = draw(m, 2) ? 0 : draw(m, (unsigned)m->f->revision)};
    struct buffer expected, got;
    int64_t expected_next, next, revision, then[2], born = INT64_MAX;
    size_t count;
    int id = (int)draw(m, IDS);

    snprintf(name, sizeof(name), "\"n%d\"", (int)draw(m, NAMES));
    q.name = chooser.name ? arena_printf(&m->f->arena, "n%c", name[2]) : NULL;
    chooser.view = &view;
    view.born_by_ns = chooser.hide ? m->time - draw(m, 30000) : 0;
    for (size_t i = 0; i < view.moment_count; i++) {
        struct past_moment *moment = &view.moments[i];
        moment->back = draw(m, 2) ? draw(m, 60) : 0;
        moment->as_of_ns = draw(m, 2) ? m->time - draw(m, 30000) : 0;
        then[i] = model_horizon(m, moment->back, q.project);
        if (moment->as_of_ns) {
            int64_t at = model_revision_at(m, moment->as_of_ns, reader);
            then[i] = at < then[i] ? at : then[i];
        }
    }
    if (view.moment_count == 1)
        then[1] = then[0];
    if (chooser.hide)
        born = model_revision_at(m, view.born_by_ns, reader);
    buffer_init(&expected);
    buffer_init(&got);
    model_list(m, &q, chooser.name, then, born, &expected, &expected_next);
    OK(m->f, reader_past_list(reader, &q, &view, &got, &count, &next, &revision, &m->f->err));
    buffer_append(&expected, "", 1);
    buffer_append(&got, "", 1);
    assert_string_equal(got.data, expected.data);
    assert_int_equal(next, expected_next);
    assert_int_equal(revision, then[0] < then[1] ? then[0] : then[1]);

    chooser.name = NULL;
    const struct version *v = model_then(m, id, then[id % 2]);
    bool there = v && (!q.project || v->project == q.project);
    if (there)
        there = model_place(m, id, q.project, then[0] < then[1] ? then[0] : then[1]) <= born;
    buffer_clear(&got);
    assert_int_equal(OK(m->f, reader_past_document(reader, KIND_INSTANCE, q.project,
                                                   arena_printf(&m->f->arena, "i-%d", id), &view,
                                                   &got, &revision, &m->f->err)),
                     there);
    buffer_append(&got, "", 1);
    assert_string_equal(got.data, there ? v->document : "");
    if (there)
        assert_int_equal(revision, v->revision);
    *examined += count + 1;
    buffer_fini(&expected);
    buffer_fini(&got);
}

struct at {
    int64_t ns, revision;
};

static int note_event(void *context, const struct event *event)
{
    struct at *at = context;

    if (event->time_ns <= at->ns)
        at->revision = event->revision;
    return 0;
}

// By looking at every event that is kept.
static int64_t model_revision_at(const struct model *m, int64_t ns, struct reader *reader)
{
    struct at at = {ns, m->trimmed};
    struct event_query q = {.since = m->trimmed, .kind = -1, .limit = 1000000};
    int64_t newest;

    OK(m->f, reader_events(reader, &q, note_event, &at, &newest, &m->f->err));
    return at.revision;
}

static void the_past_agrees_with_a_naive_history(void **state)
{
    static struct model m;
    unsigned seed = (unsigned)chosen_seed();
    struct reader *reader;
    size_t examined = 0;

    m = (struct model){.f = *state, .seed = seed, .time = 1000000};
    print_message("replay with SEED=%u\n", seed);
    OK(m.f, reader_open(m.f->store, &reader, &m.f->err));
    for (int i = 0; i < STEPS; i++) {
        OK(m.f, store_begin(m.f->store, &m.f->err));
        step(&m);
        if (draw(&m, 100) == 0)
            trim(&m);
        OK(m.f, store_commit(m.f->store, &m.f->err));
        compare(&m, reader, &examined);
    }
    print_message("%d views, %zu documents compared\n", STEPS, examined);
    assert_true(examined > STEPS);
    reader_close(reader);
}

// --- single cases ---

static void put_version(struct fixture *f, enum event_type type, int64_t seq, int64_t previous,
                        const char *document)
{
    struct row row = make_row(f, 1);
    struct event event = {.revision = row.revision,
                          .time_ns = row.revision * 1000,
                          .project = 1,
                          .kind = KIND_INSTANCE,
                          .id = "i-1",
                          .type = type,
                          .document = text_bytes(document),
                          .seq = seq ? seq : row.revision,
                          .previous = previous};

    row.seq = seq;
    row.document = event.document;
    if (type == EVENT_DELETED)
        OK(f, store_delete(f->store, KIND_INSTANCE, seq, &f->err));
    else
        OK(f, store_put(f->store, KIND_INSTANCE, &row, &f->err));
    OK(f, store_event_append(f->store, &event, &f->err));
}

static void expect(struct fixture *f, int64_t back, int found, const char *document)
{
    struct chooser chooser = {0};
    struct past_view view = {
        .moments = {{.back = back}}, .moment_count = 1, .choose = choose, .context = &chooser};
    struct reader *reader;
    struct buffer out;
    int64_t revision;

    buffer_init(&out);
    OK(f, reader_open(f->store, &reader, &f->err));
    assert_int_equal(OK(f, reader_past_document(reader, KIND_INSTANCE, 1, "i-1", &view, &out,
                                                &revision, &f->err)),
                     found);
    buffer_append(&out, "", 1);
    assert_string_equal(out.data, document);
    reader_close(reader);
    buffer_fini(&out);
}

static void what_was_deleted_is_there_again_in_the_past(void **state)
{
    struct fixture *f = *state;

    put_version(f, EVENT_CREATED, 0, 0, "{\"v\":1}");
    put_version(f, EVENT_UPDATED, 1, 1, "{\"v\":2}");
    put_version(f, EVENT_DELETED, 1, 2, "{\"v\":3}");
    expect(f, 0, 0, "");
    expect(f, 1, 1, "{\"v\":2}");
    expect(f, 2, 1, "{\"v\":1}");
    expect(f, 3, 0, "");
    expect(f, 1000, 0, "");
}

static void a_version_that_is_not_kept_any_more_is_stood_in_for_by_the_next(void **state)
{
    struct fixture *f = *state;
    int64_t ignored;

    put_version(f, EVENT_CREATED, 0, 0, "{\"v\":1}");
    put_version(f, EVENT_UPDATED, 1, 1, "{\"v\":2}");
    put_version(f, EVENT_UPDATED, 1, 2, "{\"v\":3}");
    OK(f, store_events_trim(f->store, 1, 10, &ignored, &f->err));
    expect(f, 1, 1, "{\"v\":2}");
    expect(f, 2, 1, "{\"v\":2}");
    expect(f, 3, 1, "{\"v\":2}");
}

static void firings_of_fault_rules_are_no_changes_to_be_behind_by(void **state)
{
    struct fixture *f = *state;

    put_version(f, EVENT_CREATED, 0, 0, "{\"v\":1}");
    put_version(f, EVENT_UPDATED, 1, 1, "{\"v\":2}");
    for (int i = 0; i < 5; i++)
        put_event(f, KIND_FAULT, 1, "{}");
    expect(f, 1, 1, "{\"v\":1}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_past_agrees_with_a_naive_history),
        TEST(what_was_deleted_is_there_again_in_the_past),
        TEST(a_version_that_is_not_kept_any_more_is_stood_in_for_by_the_next),
        TEST(firings_of_fault_rules_are_no_changes_to_be_behind_by),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
