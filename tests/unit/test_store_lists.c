#include "store/kinds.h"
#include "store/list.h"
#include "tests/unit/seed.h"
#include "tests/unit/store_fixture.h"

// --- a naive model: all rows in memory, every filter by comparison ---

enum { ROWS = 400, QUERIES = 3000 };

struct model_row {
    int64_t seq, project;
    const char *name, *columns[KIND_COLUMNS_MAX];
    int state;
    struct store_tag tags[2];
    size_t tag_count;
    char document[32];
    bool gone;
};

static const char *const zones[] = {"a", "b", "rare"};
static const char *const types[] = {"small", "large"};
static const char *const lifecycles[] = {"on-demand", "spot"};
static const char *const values[] = {"x", "y", "z"};

static unsigned draw(unsigned *seed, unsigned below)
{
    *seed = *seed * 1103515245U + 12345U;
    return (*seed >> 16) % below;
}

static bool same(const char *wanted, const char *has)
{
    return !wanted || (has && strcmp(wanted, has) == 0);
}

static bool has_tag(const struct model_row *m, const struct store_tag *tag)
{
    for (size_t i = 0; i < m->tag_count; i++) {
        if (strcmp(m->tags[i].key, tag->key) == 0 && strcmp(m->tags[i].value, tag->value) == 0)
            return true;
    }
    return false;
}

static bool matches(const struct model_row *m, const struct list_query *q)
{
    if (m->gone || m->seq <= q->after_seq || (q->project && q->project != m->project) ||
        !same(q->name, m->name) || (q->states && !(q->states & 1U << m->state)))
        return false;
    for (int i = 0; i < KIND_COLUMNS_MAX; i++) {
        if (!same(q->columns[i], m->columns[i]))
            return false;
    }
    for (size_t i = 0; i < q->tag_count; i++) {
        if (!has_tag(m, &q->tags[i]))
            return false;
    }
    return true;
}

static void model_list(const struct model_row *rows, const struct list_query *q, struct buffer *out,
                       int64_t *out_next)
{
    int count = 0;
    int64_t last = 0;

    *out_next = 0;
    for (int i = 0; i < ROWS; i++) {
        if (!matches(&rows[i], q))
            continue;
        if (count == q->limit || (q->max_bytes && count && out->length >= q->max_bytes)) {
            *out_next = last;
            return;
        }
        buffer_printf(out, "%s%s", count++ ? "," : "", rows[i].document);
        last = rows[i].seq;
    }
}

// --- rows and queries by chance ---

static void put_random_row(struct fixture *f, struct model_row *m, int n, unsigned *seed)
{
    struct row row = make_row(f, n);

    m->project = row.project = 1 + draw(seed, 2);
    if (draw(seed, 3) == 0)
        row.name = row.id;
    m->name = row.name = draw(seed, 10) ? row.name : draw(seed, 2) ? "shared" : "i-17";
    m->state = row.state = (int)draw(seed, 8);
    m->columns[0] = row.columns[0] = zones[draw(seed, 20) ? draw(seed, 2) : 2];
    m->columns[1] = row.columns[1] = types[draw(seed, 2)];
    m->columns[2] = row.columns[2] = lifecycles[draw(seed, 2)];
    snprintf(m->document, sizeof(m->document), "{\"n\":%d}", n);
    OK(f, store_put(f->store, KIND_INSTANCE, &row, &f->err));
    m->seq = row.seq;
    m->tag_count = draw(seed, 3);
    m->tags[0] = (struct store_tag){"k", values[draw(seed, 3)]};
    m->tags[1] = (struct store_tag){"l", values[draw(seed, 3)]};
    OK(f, store_tags_set(f->store, KIND_INSTANCE, row.seq, m->tags, m->tag_count, &f->err));
}

// Bit i of the shape says whether filter i is there, so that every combination occurs.
static struct list_query random_query(unsigned shape, unsigned *seed, struct store_tag tags[2])
{
    static const char *const asked[] = {"shared", "n18", "i-17", "i-19"};
    struct list_query q = {.kind = KIND_INSTANCE, .limit = 1 + (int)draw(seed, 30)};

    q.project = shape & 1 ? 1 + draw(seed, 2) : 0;
    q.name = shape & 2 ? asked[draw(seed, 4)] : NULL;
    q.states = shape & 4 ? 1U << draw(seed, 8) : 0;
    if (shape & 8)
        q.states |= draw(seed, 256);
    q.columns[0] = shape & 16 ? zones[draw(seed, 3)] : NULL;
    q.columns[1] = shape & 32 ? types[draw(seed, 2)] : NULL;
    q.columns[2] = shape & 64 ? lifecycles[draw(seed, 2)] : NULL;
    tags[0] = (struct store_tag){draw(seed, 2) ? "k" : "l", values[draw(seed, 3)]};
    tags[1] = (struct store_tag){draw(seed, 2) ? "k" : "l", values[draw(seed, 3)]};
    q.tags = tags;
    q.tag_count = shape >> 7;
    q.after_seq = draw(seed, 3) ? 0 : draw(seed, ROWS);
    q.max_bytes = draw(seed, 4) ? 0 : draw(seed, 100);
    return q;
}

static size_t count_items(const struct buffer *b)
{
    size_t count = b->length > 0;

    for (size_t i = 1; i < b->length; i++)
        count += b->data[i] == '{';
    return count;
}

static void compare(struct fixture *f, struct reader *reader, const struct model_row *rows,
                    const struct list_query *q, size_t *examined)
{
    struct buffer expected, got;
    int64_t expected_next, next = -1, revision = -1;
    size_t count = 0;

    buffer_init(&expected);
    buffer_init(&got);
    model_list(rows, q, &expected, &expected_next);
    OK(f, reader_list(reader, q, &got, &count, &next, &revision, &f->err));
    assert_int_equal(got.length, expected.length);
    if (got.length)
        assert_memory_equal(got.data, expected.data, got.length);
    assert_int_equal(count, count_items(&got));
    assert_int_equal(next, expected_next);
    *examined += count;
    buffer_fini(&expected);
    buffer_fini(&got);
}

static void lists_of_every_filter_combination_agree_with_a_naive_model(void **state)
{
    struct fixture *f = *state;
    static struct model_row rows[ROWS];
    unsigned seed = (unsigned)chosen_seed();
    struct reader *reader;
    size_t examined = 0;

    print_message("replay with SEED=%u\n", seed);
    OK(f, reader_open(f->store, &reader, &f->err));
    OK(f, store_begin(f->store, &f->err));
    for (int n = 0; n < ROWS; n++)
        put_random_row(f, &rows[n], n, &seed);
    OK(f, store_commit(f->store, &f->err));
    for (unsigned i = 0; i < QUERIES; i++) {
        struct store_tag tags[2];
        struct list_query q = random_query(i % 384, &seed, tags);
        unsigned victim = draw(&seed, ROWS * 20);
        if (victim < ROWS && !rows[victim].gone) {
            OK(f, store_delete(f->store, KIND_INSTANCE, rows[victim].seq, &f->err));
            rows[victim].gone = true;
        }
        compare(f, reader, rows, &q, &examined);
    }
    print_message("%d lists, %zu documents compared\n", QUERIES, examined);
    assert_true(examined > QUERIES / 4);
    reader_close(reader);
}

static void pages_joined_are_the_whole_list(void **state)
{
    struct fixture *f = *state;
    struct list_query q = {.kind = KIND_INSTANCE, .project = 1, .states = 6, .limit = 7};
    struct buffer out;
    struct reader *reader;
    size_t count, total = 0;
    int64_t revision;
    int pages = 0;

    buffer_init(&out);
    for (int n = 0; n < 50; n++)
        put_instance(f, n);
    OK(f, reader_open(f->store, &reader, &f->err));
    do {
        OK(f, reader_list(reader, &q, &out, &count, &q.after_seq, &revision, &f->err));
        total += count;
        pages++;
    } while (q.after_seq);
    assert_int_equal(total, 50);
    assert_int_equal(pages, 8);
    reader_close(reader);
    buffer_fini(&out);
}

static void an_exactly_full_last_page_has_no_next(void **state)
{
    struct fixture *f = *state;
    struct list_query q = {.kind = KIND_INSTANCE, .limit = 2};
    struct buffer out;
    struct reader *reader;
    size_t count;
    int64_t next = -1, revision;

    buffer_init(&out);
    put_instance(f, 1);
    put_instance(f, 2);
    OK(f, reader_open(f->store, &reader, &f->err));
    OK(f, reader_list(reader, &q, &out, &count, &next, &revision, &f->err));
    assert_int_equal(count, 2);
    assert_int_equal(next, 0);
    reader_close(reader);
    buffer_fini(&out);
}

static void a_list_appends_and_tells_the_newest_revision(void **state)
{
    struct fixture *f = *state;
    struct list_query q = {.kind = KIND_INSTANCE, .limit = 2};
    struct buffer out;
    struct reader *reader;
    size_t count;
    int64_t next, revision = -1;

    buffer_init(&out);
    buffer_append_string(&out, "[");
    put_instance(f, 1);
    put_event(f, KIND_INSTANCE, 1, "{}");
    OK(f, reader_open(f->store, &reader, &f->err));
    OK(f, reader_list(reader, &q, &out, &count, &next, &revision, &f->err));
    assert_int_equal(revision, f->revision);
    buffer_append(&out, "", 1);
    assert_string_equal(out.data, "[{\"n\":1}");
    reader_close(reader);
    buffer_fini(&out);
}

static void too_many_tags_are_refused(void **state)
{
    struct fixture *f = *state;
    struct store_tag tags[LIST_TAGS_MAX + 1];
    struct list_query q = {.kind = KIND_INSTANCE, .limit = 2, .tags = tags};
    struct buffer out;
    struct reader *reader;
    size_t count;
    int64_t next, revision;

    buffer_init(&out);
    for (size_t i = 0; i <= LIST_TAGS_MAX; i++)
        tags[i] = (struct store_tag){"k", "v"};
    OK(f, reader_open(f->store, &reader, &f->err));
    q.tag_count = LIST_TAGS_MAX;
    OK(f, reader_list(reader, &q, &out, &count, &next, &revision, &f->err));
    q.tag_count = LIST_TAGS_MAX + 1;
    FAILS(f, ERROR_INVALID, reader_list(reader, &q, &out, &count, &next, &revision, &f->err));
    f->err = (struct error){0};
    q.tag_count = 0; // the reader goes on
    OK(f, reader_list(reader, &q, &out, &count, &next, &revision, &f->err));
    reader_close(reader);
    buffer_fini(&out);
}

static void a_document_is_found_by_id_and_project(void **state)
{
    struct fixture *f = *state;
    struct buffer out;
    struct reader *reader;
    int64_t revision = -1;

    buffer_init(&out);
    put_instance(f, 1);
    put_instance(f, 2);
    OK(f, reader_open(f->store, &reader, &f->err));
    assert_int_equal(
        OK(f, reader_document(reader, KIND_INSTANCE, 1, "i-3", &out, &revision, &f->err)), 0);
    assert_int_equal(
        OK(f, reader_document(reader, KIND_INSTANCE, 2, "i-2", &out, &revision, &f->err)), 0);
    assert_int_equal(OK(f, reader_document(reader, KIND_ZONE, 0, "i-2", &out, &revision, &f->err)),
                     0);
    assert_int_equal(out.length, 0);
    assert_int_equal(revision, -1);
    assert_int_equal(
        OK(f, reader_document(reader, KIND_INSTANCE, 1, "i-2", &out, &revision, &f->err)), 1);
    assert_int_equal(revision, 2);
    assert_int_equal(
        OK(f, reader_document(reader, KIND_INSTANCE, 0, "i-1", &out, &revision, &f->err)), 1);
    buffer_append(&out, "", 1);
    assert_string_equal(out.data, "{\"n\":2}{\"n\":1}");
    reader_close(reader);
    buffer_fini(&out);
}

// --- how SQLite goes about it: no filter may be answered by a scan or a sort ---

static void assert_plan(struct connection *c, const struct list_query *q)
{
    struct error err = {0};
    sqlite3_stmt *list, *plan;
    char *sql;

    check_ok(list_statement(c, q, &list, &err), &err, "list_statement", __FILE__, __LINE__);
    sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sqlite3_sql(list));
    assert_int_equal(sqlite3_prepare_v2(c->db, sql, -1, &plan, NULL), SQLITE_OK);
    while (sqlite3_step(plan) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(plan, 3);
        if (strstr(detail, "TEMP B-TREE") || strncmp(detail, "SCAN", 4) == 0)
            fail_msg("%s\n%s", detail, sqlite3_sql(list));
    }
    sqlite3_finalize(plan);
    sqlite3_free(sql);
}

static void no_list_sorts_or_scans(void **state)
{
    struct fixture *f = *state;
    struct connection c;
    unsigned seed = 1;
    int examined = 0;

    OK(f, connection_open(&c, f->path, CONNECTION_READER, &f->err));
    for (unsigned shape = 0; shape < 384; shape++) {
        struct store_tag tags[2];
        struct list_query q = random_query(shape, &seed, tags);
        assert_plan(&c, &q);
        examined++;
    }
    for (int kind = 0; kind < KIND_CLOCK; kind++) {
        struct list_query q = {.kind = (enum kind)kind, .project = 1, .name = "x", .limit = 1};
        assert_plan(&c, &q);
        q.name = NULL;
        q.states = 7;
        assert_plan(&c, &q);
        q.columns[0] = kind_info((enum kind)kind)->columns[0] ? "x" : NULL;
        q.columns[1] = kind_info((enum kind)kind)->columns[1] ? "x" : NULL;
        assert_plan(&c, &q);
        examined += 3;
    }
    print_message("%d plans examined\n", examined);
    connection_close(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists_of_every_filter_combination_agree_with_a_naive_model),
        TEST(pages_joined_are_the_whole_list),
        TEST(an_exactly_full_last_page_has_no_next),
        TEST(a_list_appends_and_tells_the_newest_revision),
        TEST(too_many_tags_are_refused),
        TEST(a_document_is_found_by_id_and_project),
        TEST(no_list_sorts_or_scans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
