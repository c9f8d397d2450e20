// Every filter that a list can have is backed by an index whose entries end with seq, so any one of
// them can drive the list: its matches come in list order and start anywhere. The others are
// checked row by row. Which one drives is found by counting the first matches of each, not by
// guessing.
#include "store/list.h"

#include "base/buffer.h"
#include "store/internal.h"
#include "store/kinds.h"

#include <stdio.h>

#define PROBE_FEW 64
#define PROBE_MANY 1024
#define STATE_ARMS_MAX 8 // states that can be merged in list order

enum driver {
    DRIVE_SEQ,
    DRIVE_NAME,
    DRIVE_STATE,
    DRIVE_OWN,
    DRIVE_TAG = DRIVE_OWN + KIND_COLUMNS_MAX
};

// Numbers of the parameters; the same in every statement, used or not.
enum {
    PARAM_AFTER = 1,
    PARAM_LIMIT,
    PARAM_PROJECT,
    PARAM_NAME,
    PARAM_STATES,
    PARAM_OWN,
    PARAM_STATE = PARAM_OWN + KIND_COLUMNS_MAX, // one per arm
    PARAM_UNCHANGED = PARAM_STATE + STATE_ARMS_MAX,
    PARAM_TAG // two per tag
};

struct plan {
    const struct list_query *query;
    const struct kind_info *info;
    unsigned driver; // enum driver; DRIVE_OWN + i, DRIVE_TAG + i: the i-th
    unsigned arms;   // states asked for
};

static const char *driver_column(const struct plan *p, unsigned driver)
{
    return driver == DRIVE_STATE ? "state" : p->info->columns[driver - DRIVE_OWN];
}

// --- the list's SQL ---

static void add_columns(struct buffer *sql, const struct plan *p)
{
    for (unsigned i = 0; i < KIND_COLUMNS_MAX; i++) {
        if (p->query->columns[i])
            buffer_printf(sql, " AND r.%s = ?%u", p->info->columns[i], PARAM_OWN + i);
    }
}

static void add_named(struct buffer *sql, const struct plan *p)
{
    char project[32];

    snprintf(project, sizeof(project), "project = ?%d AND ", PARAM_PROJECT);
    buffer_append_string(sql, " AND r.");
    row_named(sql, p->query->kind, p->info->in_project ? project : "", PARAM_NAME);
}

// All conditions, the driver's own among them. `arm`: the state of this arm when state drives.
static void add_conditions(struct buffer *sql, const struct plan *p, unsigned arm)
{
    const struct list_query *q = p->query;

    buffer_printf(sql, " WHERE r.seq > ?%d", PARAM_AFTER);
    if (q->project)
        buffer_printf(sql, " AND r.project = ?%d", PARAM_PROJECT);
    if (q->unchanged_since)
        buffer_printf(sql, " AND r.revision <= ?%d", PARAM_UNCHANGED);
    if (p->driver == DRIVE_NAME)
        add_named(sql, p);
    else if (q->name)
        buffer_printf(sql, " AND r.name = ?%d", PARAM_NAME);
    if (p->driver == DRIVE_STATE)
        buffer_printf(sql, " AND r.state = ?%u", PARAM_STATE + arm);
    else if (q->states)
        buffer_printf(sql, " AND ((1 << r.state) & ?%d) != 0", PARAM_STATES);
    add_columns(sql, p);
    for (unsigned i = p->driver >= DRIVE_TAG ? 1 : 0; i < q->tag_count; i++)
        buffer_printf(sql,
                      " AND EXISTS (SELECT 1 FROM tag WHERE kind = %d AND owner = r.seq"
                      " AND key = ?%u AND value = ?%u)",
                      (int)q->kind, PARAM_TAG + 2 * i, PARAM_TAG + 2 * i + 1);
}

static void add_tag_driven(struct buffer *sql, const struct plan *p)
{
    buffer_printf(sql,
                  "SELECT r.seq, r.document FROM tag INDEXED BY tag_by_value CROSS JOIN %s AS r"
                  " ON r.seq = owner",
                  p->info->name);
    add_conditions(sql, p, 0);
    buffer_printf(sql,
                  " AND kind = %d AND key = ?%d AND value = ?%d AND owner > ?%d ORDER BY owner",
                  (int)p->query->kind, PARAM_TAG, PARAM_TAG + 1, PARAM_AFTER);
}

// Several states are merged by SQLite, each arm in list order.
static void add_index_driven(struct buffer *sql, const struct plan *p)
{
    unsigned arms = p->driver == DRIVE_STATE ? p->arms : 1;

    for (unsigned arm = 0; arm < arms; arm++) {
        buffer_printf(sql, "%sSELECT r.seq, r.document FROM %s AS r INDEXED BY %s_by_%s",
                      arm ? " UNION ALL " : "", p->info->name, p->info->name,
                      driver_column(p, p->driver));
        add_conditions(sql, p, arm);
    }
    buffer_append_string(sql, " ORDER BY 1");
}

static void add_list(struct buffer *sql, const struct plan *p)
{
    if (p->driver >= DRIVE_TAG) {
        add_tag_driven(sql, p);
    } else if (p->driver >= DRIVE_STATE) {
        add_index_driven(sql, p);
    } else {
        // all of them, or the few of a name, which are found by what row_named asks
        buffer_printf(sql, "SELECT r.seq, r.document FROM %s AS r NOT INDEXED", p->info->name);
        add_conditions(sql, p, 0);
        buffer_append_string(sql, " ORDER BY r.seq");
    }
    buffer_printf(sql, " LIMIT ?%d", PARAM_LIMIT);
}

// --- the probe's SQL: how many matches of this driver alone, up to the limit ---

static void add_probe(struct buffer *sql, const struct plan *p, unsigned driver)
{
    buffer_append_string(sql, "SELECT count(*) FROM (SELECT 1 FROM ");
    if (driver >= DRIVE_TAG) {
        buffer_printf(sql,
                      "tag INDEXED BY tag_by_value WHERE kind = %d AND key = ?%d AND value = ?%d"
                      " AND owner > ?%d",
                      (int)p->query->kind, PARAM_TAG, PARAM_TAG + 1, PARAM_AFTER);
    } else {
        const char *column = driver_column(p, driver);
        buffer_printf(sql, "%s INDEXED BY %s_by_%s WHERE seq > ?%d", p->info->name, p->info->name,
                      column, PARAM_AFTER);
        if (p->info->in_project)
            buffer_printf(sql, " AND project = ?%d", PARAM_PROJECT);
        if (driver == DRIVE_STATE) {
            buffer_printf(sql, " AND state IN (?%d", PARAM_STATE);
            for (unsigned i = 1; i < p->arms; i++)
                buffer_printf(sql, ", ?%u", PARAM_STATE + i);
            buffer_append_string(sql, ")");
        } else {
            buffer_printf(sql, " AND %s = ?%u", column, PARAM_OWN + driver - DRIVE_OWN);
        }
    }
    buffer_printf(sql, " LIMIT ?%d)", PARAM_LIMIT);
}

// --- preparing and binding ---

static int prepared(struct connection *c, enum statement_use use, const struct plan *p,
                    unsigned driver, uint64_t shape, sqlite3_stmt **out, struct error *err)
{
    uint64_t key = statement_key(use, p->query->kind, shape);
    struct buffer sql;
    int result;

    *out = statement_find(c, key);
    if (*out)
        return 0;
    buffer_init(&sql);
    if (use == USE_PROBE)
        add_probe(&sql, p, driver);
    else
        add_list(&sql, p);
    buffer_append(&sql, "", 1);
    if (sql.failed)
        result = error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    else
        result = statement_add(c, key, sql.data, out, err);
    buffer_fini(&sql);
    return result;
}

// A tag that drives is bound as the first.
static void bind_tags(sqlite3_stmt *st, const struct list_query *q, unsigned driver)
{
    unsigned first = driver >= DRIVE_TAG ? driver - DRIVE_TAG : 0;

    for (unsigned i = 0; i < q->tag_count; i++) {
        unsigned place = i == first ? 0 : i == 0 ? first : i;
        bind_text(st, (int)(PARAM_TAG + 2 * place), q->tags[i].key);
        bind_text(st, (int)(PARAM_TAG + 2 * place + 1), q->tags[i].value);
    }
}

// Binding a parameter that the statement does not have is refused by SQLite and does no harm.
static void bind_query(sqlite3_stmt *st, const struct list_query *q, unsigned driver)
{
    int arm = 0;

    sqlite3_bind_int64(st, PARAM_AFTER, q->after_seq);
    sqlite3_bind_int64(st, PARAM_LIMIT, (int64_t)q->limit + 1);
    sqlite3_bind_int64(st, PARAM_PROJECT, q->project);
    bind_text(st, PARAM_NAME, q->name);
    sqlite3_bind_int64(st, PARAM_STATES, q->states);
    sqlite3_bind_int64(st, PARAM_UNCHANGED, q->unchanged_since);
    for (int i = 0; i < KIND_COLUMNS_MAX; i++)
        bind_text(st, PARAM_OWN + i, q->columns[i]);
    for (int state = 0; state < 32 && arm < STATE_ARMS_MAX; state++) {
        if (q->states & UINT32_C(1) << state)
            sqlite3_bind_int(st, PARAM_STATE + arm++, state);
    }
    bind_tags(st, q, driver);
}

// --- choosing the driver ---

static int probe(struct connection *c, const struct plan *p, unsigned driver, int64_t limit,
                 int64_t *out, struct error *err)
{
    uint64_t shape = driver >= DRIVE_TAG ? DRIVE_TAG : driver;
    sqlite3_stmt *st;
    int result;

    if (driver == DRIVE_STATE)
        shape |= (uint64_t)p->arms << 8;
    result = prepared(c, USE_PROBE, p, driver, shape, &st, err);
    if (result < 0)
        return result;
    bind_query(st, p->query, driver);
    sqlite3_bind_int64(st, PARAM_LIMIT, limit);
    result = statement_step(c, st, err);
    if (result < 0)
        return result;
    *out = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return 0;
}

// The filters that could drive, best guess first.
static size_t candidates(const struct plan *p, unsigned out[LIST_TAGS_MAX + KIND_COLUMNS_MAX + 2])
{
    const struct list_query *q = p->query;
    bool indexed = q->project || !p->info->in_project;
    size_t count = 0;

    if (q->name && indexed) {
        out[0] = DRIVE_NAME; // names are as good as unique: nothing to compare
        return 1;
    }
    for (unsigned i = 0; i < q->tag_count; i++)
        out[count++] = DRIVE_TAG + i;
    if (indexed && p->info->has_states && p->arms > 0 && p->arms <= STATE_ARMS_MAX)
        out[count++] = DRIVE_STATE;
    for (unsigned i = 0; i < KIND_COLUMNS_MAX && indexed; i++) {
        if (q->columns[i])
            out[count++] = DRIVE_OWN + i;
    }
    return count;
}

// Makes the driver the one with the fewest matches, counting at most `limit` of each.
static int compare_drivers(struct connection *c, struct plan *p, const unsigned *drivers,
                           size_t count, int64_t limit, int64_t *out_fewest, struct error *err)
{
    int64_t fewest = INT64_MAX, matches;

    for (size_t i = 0; i < count; i++) {
        int result = probe(c, p, drivers[i], limit, &matches, err);
        if (result < 0)
            return result;
        if (matches < fewest) {
            fewest = matches;
            p->driver = drivers[i];
        }
    }
    *out_fewest = fewest;
    return 0;
}

// A few matches counted tell most filters apart; more only when all have many.
static int choose_driver(struct connection *c, struct plan *p, struct error *err)
{
    unsigned drivers[LIST_TAGS_MAX + KIND_COLUMNS_MAX + 2];
    size_t count = candidates(p, drivers);
    int64_t fewest;
    int result = 0;

    p->driver = count ? drivers[0] : DRIVE_SEQ;
    if (count > 1)
        result = compare_drivers(c, p, drivers, count, PROBE_FEW, &fewest, err);
    if (count > 1 && result == 0 && fewest == PROBE_FEW)
        result = compare_drivers(c, p, drivers, count, PROBE_MANY, &fewest, err);
    return result;
}

static uint64_t shape_of(const struct plan *p)
{
    const struct list_query *q = p->query;
    uint64_t shape = p->driver >= DRIVE_TAG ? DRIVE_TAG : p->driver;

    shape |= (uint64_t)(q->project != 0) << 8 | (uint64_t)(q->name != NULL) << 9;
    shape |= (uint64_t)(q->unchanged_since != 0) << 14;
    shape |= (uint64_t)(p->driver == DRIVE_STATE ? p->arms : q->states != 0) << 10;
    for (int i = 0; i < KIND_COLUMNS_MAX; i++)
        shape |= (uint64_t)(q->columns[i] != NULL) << (16 + i);
    return shape | (uint64_t)q->tag_count << 24;
}

int list_statement(struct connection *c, const struct list_query *query, sqlite3_stmt **out,
                   struct error *err)
{
    struct plan plan = {.query = query, .info = kind_info(query->kind)};
    int result;

    if (query->tag_count > LIST_TAGS_MAX)
        return error_set(err, ERROR_INVALID, "tag", "a list is filtered by at most %d tags",
                         LIST_TAGS_MAX);
    plan.arms = (unsigned)__builtin_popcount(query->states);
    result = choose_driver(c, &plan, err);
    if (result == 0)
        result = prepared(c, USE_LIST, &plan, plan.driver, shape_of(&plan), out, err);
    if (result == 0)
        bind_query(*out, query, plan.driver);
    return result;
}
