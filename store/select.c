// Questions that scenarios and chaos ask of the writer's own snapshot: which resources match, how
// many, whether an event was seen, one at random. A request never comes here: lists have
// store/list.c, which starts anywhere and reads on its own connection.
#include "store/internal.h"
#include "store/kinds.h"

#include <stdio.h>

#define WHERE_SIZE_MAX 15

enum { MATCH_COUNT = 1, MATCH_PROJECT = 2, MATCH_NAME = 4, MATCH_STATES = 8, MATCH_IDS = 16 };
enum { SHAPE_COLUMNS = 5, SHAPE_TAGS = 8, SHAPE_WHERE = 12 }; // shifts

// Parameters: 1 to 4 as numbered here, then columns, tags and conditions in turn.
enum { AT_PROJECT = 1, AT_NAME, AT_STATES, AT_IDS, AT_COLUMNS };
#define AT_TAGS (AT_COLUMNS + KIND_COLUMNS_MAX)
#define AT_WHERE (AT_TAGS + 2 * WHERE_SIZE_MAX)

// A field of the document is one of a list that is separated by commas.
static void add_where(struct buffer *sql, unsigned count, unsigned first)
{
    for (unsigned i = 0; i < count; i++)
        buffer_printf(sql,
                      " AND instr(',' || ?%u || ',', ',' || json_extract(CAST(document AS TEXT),"
                      " '$.' || ?%u) || ',') > 0",
                      first + 2 * i + 1, first + 2 * i);
}

static void bind_where(sqlite3_stmt *st, const struct store_tag *where, size_t count, int first)
{
    for (size_t i = 0; i < count; i++) {
        bind_text(st, first + 2 * (int)i, where[i].key);
        bind_text(st, first + 2 * (int)i + 1, where[i].value);
    }
}

static void add_tags(struct buffer *sql, enum kind kind, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        buffer_printf(sql,
                      " AND EXISTS (SELECT 1 FROM tag WHERE kind = %d AND owner = r.seq"
                      " AND key = ?%u AND value = ?%u)",
                      (int)kind, AT_TAGS + 2 * i, AT_TAGS + 2 * i + 1);
}

static void match_sql(struct buffer *sql, enum kind kind, unsigned shape)
{
    const char *names[KIND_COLUMNS_MAX];
    unsigned columns = (unsigned)kind_columns(kind, names);

    buffer_printf(sql, "SELECT %s FROM %s AS r WHERE 1", shape & MATCH_COUNT ? "count(*)" : "id",
                  kind_name(kind));
    if (shape & MATCH_PROJECT)
        buffer_printf(sql, " AND project = ?%d", AT_PROJECT);
    if (shape & MATCH_NAME) {
        char project[32];
        snprintf(project, sizeof(project), "project = ?%d AND ", AT_PROJECT);
        buffer_append_string(sql, " AND ");
        row_named(sql, kind, shape & MATCH_PROJECT ? project : "", AT_NAME);
    }
    if (shape & MATCH_STATES)
        buffer_printf(sql, " AND ((1 << state) & ?%d) != 0", AT_STATES);
    if (shape & MATCH_IDS)
        buffer_printf(sql, " AND id IN (SELECT value FROM json_each(?%d))", AT_IDS);
    for (unsigned i = 0; i < columns; i++) {
        if (shape & 1U << (SHAPE_COLUMNS + i))
            buffer_printf(sql, " AND %s = ?%u", names[i], AT_COLUMNS + i);
    }
    add_tags(sql, kind, shape >> SHAPE_TAGS & WHERE_SIZE_MAX);
    add_where(sql, shape >> SHAPE_WHERE & WHERE_SIZE_MAX, AT_WHERE);
    if (!(shape & MATCH_COUNT))
        buffer_append_string(sql, " ORDER BY seq");
}

static unsigned shape_of(const struct store_match *m)
{
    unsigned shape = (m->project ? MATCH_PROJECT : 0U) | (m->name ? MATCH_NAME : 0U) |
                     (m->states ? MATCH_STATES : 0U) | (m->ids ? MATCH_IDS : 0U);

    for (int i = 0; i < KIND_COLUMNS_MAX; i++)
        shape |= m->columns[i] ? 1U << (SHAPE_COLUMNS + i) : 0U;
    return shape | (unsigned)m->tag_count << SHAPE_TAGS | (unsigned)m->where_count << SHAPE_WHERE;
}

static int prepare(struct store *s, const struct store_match *m, unsigned extra, sqlite3_stmt **out,
                   struct error *err)
{
    int result;

    if (m->tag_count > WHERE_SIZE_MAX || m->where_count > WHERE_SIZE_MAX)
        return error_set(err, ERROR_INVALID, NULL, "at most %d tags and %d fields can be asked for",
                         WHERE_SIZE_MAX, WHERE_SIZE_MAX);
    result = store_prepared(s, USE_MATCH, m->kind, shape_of(m) | extra, match_sql, out, err);
    if (result < 0)
        return result;
    sqlite3_bind_int64(*out, AT_PROJECT, m->project);
    bind_text(*out, AT_NAME, m->name);
    sqlite3_bind_int64(*out, AT_STATES, m->states);
    bind_text(*out, AT_IDS, m->ids);
    for (int i = 0; i < KIND_COLUMNS_MAX; i++)
        bind_text(*out, AT_COLUMNS + i, m->columns[i]);
    bind_where(*out, m->tags, m->tag_count, AT_TAGS);
    bind_where(*out, m->where, m->where_count, AT_WHERE);
    return 0;
}

int store_match_count(struct store *s, const struct store_match *match, int64_t *out,
                      struct error *err)
{
    sqlite3_stmt *st;
    int result = prepare(s, match, MATCH_COUNT, &st, err);

    if (result == 0)
        result = statement_step(&s->c, st, err);
    if (result < 0)
        return result;
    *out = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return 0;
}

int store_match_ids(struct store *s, const struct store_match *match, struct arena *arena,
                    const char ***out, size_t *out_count, struct error *err)
{
    size_t count = 0, room = 0;
    const char **ids = NULL;
    sqlite3_stmt *st;
    int result = prepare(s, match, 0, &st, err);

    if (result < 0)
        return result;
    while ((result = statement_step(&s->c, st, err)) == 1) {
        if (count == room) {
            const char **more = arena_alloc(arena, (2 * room + 16) * sizeof(*more));

            for (size_t i = 0; i < count; i++)
                more[i] = ids[i];
            ids = more;
            room = 2 * room + 16;
        }
        ids[count++] = arena_strdup(arena, column_text(st, 0));
    }
    if (result < 0)
        return result;
    *out = ids;
    *out_count = count;
    return 0;
}

int store_pick_instance(struct store *s, int64_t project, int state, const char *lifecycle,
                        const char *from, struct arena *arena, const char **out, struct error *err)
{
    sqlite3_stmt *st;
    int result = statement_get(&s->c, USE_PICK,
                               "SELECT id FROM (SELECT id, project, state, lifecycle FROM instance"
                               " WHERE id >= ?1 ORDER BY id LIMIT 64) WHERE project = ?2"
                               " AND state = ?3 AND (?4 IS NULL OR lifecycle = ?4) LIMIT 1",
                               &st, err);

    if (result < 0)
        return result;
    bind_text(st, 1, from);
    sqlite3_bind_int64(st, 2, project);
    sqlite3_bind_int(st, 3, state);
    bind_text(st, 4, lifecycle);
    result = statement_step(&s->c, st, err);
    if (result <= 0)
        return result;
    *out = arena_strdup(arena, column_text(st, 0));
    sqlite3_reset(st);
    return 1;
}

int store_count_instances(struct store *s, int64_t project, int state, int64_t limit, int64_t *out,
                          struct error *err)
{
    sqlite3_stmt *st;
    int result = statement_get(&s->c, USE_COUNT_STATE,
                               "SELECT count(*) FROM (SELECT 1 FROM instance WHERE project = ?1"
                               " AND state = ?2 LIMIT ?3)",
                               &st, err);

    if (result < 0)
        return result;
    sqlite3_bind_int64(st, 1, project);
    sqlite3_bind_int(st, 2, state);
    sqlite3_bind_int64(st, 3, limit);
    result = statement_step(&s->c, st, err);
    if (result < 0)
        return result;
    *out = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return 0;
}

// --- events ---

enum {
    EVENT_AT_SINCE = 1,
    EVENT_AT_KIND,
    EVENT_AT_PROJECT,
    EVENT_AT_TYPE,
    EVENT_AT_ID,
    EVENT_AT_OPERATION,
    EVENT_AT_WHERE
};

static void event_sql(struct buffer *sql, enum kind kind, unsigned where_count)
{
    (void)kind;
    buffer_printf(sql,
                  "SELECT revision, id FROM event WHERE revision > ?%d AND (?%d < 0 OR kind = ?%d)"
                  " AND (project = ?%d OR project = 0) AND (?%d < 0 OR type = ?%d)"
                  " AND (?%d IS NULL OR id = ?%d) AND (?%d IS NULL OR operation = ?%d)",
                  EVENT_AT_SINCE, EVENT_AT_KIND, EVENT_AT_KIND, EVENT_AT_PROJECT, EVENT_AT_TYPE,
                  EVENT_AT_TYPE, EVENT_AT_ID, EVENT_AT_ID, EVENT_AT_OPERATION, EVENT_AT_OPERATION);
    add_where(sql, where_count, EVENT_AT_WHERE);
    buffer_append_string(sql, " ORDER BY revision LIMIT 1");
}

int store_event_find(struct store *s, const struct event_match *match, struct arena *arena,
                     int64_t *out_revision, const char **out_id, struct error *err)
{
    sqlite3_stmt *st;
    int result;

    if (match->where_count > WHERE_SIZE_MAX)
        return error_set(err, ERROR_INVALID, NULL, "at most %d fields can be asked for",
                         WHERE_SIZE_MAX);
    result = store_prepared(s, USE_EVENT_FIND, KIND_INSTANCE, (unsigned)match->where_count,
                            event_sql, &st, err);
    if (result < 0)
        return result;
    sqlite3_bind_int64(st, EVENT_AT_SINCE, match->since);
    sqlite3_bind_int(st, EVENT_AT_KIND, match->kind);
    sqlite3_bind_int64(st, EVENT_AT_PROJECT, match->project);
    sqlite3_bind_int(st, EVENT_AT_TYPE, match->type);
    bind_text(st, EVENT_AT_ID, match->id);
    bind_text(st, EVENT_AT_OPERATION, match->operation);
    bind_where(st, match->where, match->where_count, EVENT_AT_WHERE);
    result = statement_step(&s->c, st, err);
    if (result <= 0)
        return result;
    *out_revision = sqlite3_column_int64(st, 0);
    *out_id = arena_strdup(arena, column_text(st, 1));
    sqlite3_reset(st);
    return 1;
}
