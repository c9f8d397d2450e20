// The reference of the chaos benchmark: raw SQLite writing the rows that an advance of the clock
// wrote.
//
//     rows BEFORE.db AFTER.db R
//
// AFTER.db has the events of the advance, those after revision R; BEFORE.db is the database as it
// was then, and is written to. All rows are read first and all statements prepared; then, timed,
// for each event: its row inserted, updated or deleted by the statements that store/ has for it,
// the tags and addresses of a new instance inserted, addresses deleted when it ends and tags when
// it is gone, the event inserted, and one event deleted where the cloud keeps no more. The same
// tables and indexes, WAL, no fsync (as a database in memory has it), 4,096 events per transaction.
// No document is made, no state machine asked, no savepoint set: it is what SQLite alone takes.
#include "base/timefmt.h"

#include <arpa/inet.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH 4096
#define EVENTS_KEPT 100000
#define IPS_MAX 4
#define RECORD                                                                                     \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "xxxxxx"                                                                                       \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "xxxxxxxx"

enum { CREATED, UPDATED, DELETED };

struct row {
    sqlite3_int64 revision, project, time, seq, previous, transition;
    int kind, type, cause, state;
    int has_seq, ends;
    char *id, *project_name, *operation, *document;
    char *name, *own[3];
    char *tag_key, *tag_value;      // of an instance that is new or ends; it has one
    unsigned char ips[IPS_MAX][17]; // of a new instance, as the table has them
    int ip_lengths[IPS_MAX], ip_count;
    int document_length, record_length;
};

static const char *const tables[] = {
    "instance", "load_balancer", "target_pool", "address", "route",
    "zone",     "instance_type", "latency",     "project", NULL,
    "fault",    "quota",         "scenario",    "chaos",   "cluster"};
static const char *const own_columns[][3] = {[0] = {"zone", "type", "lifecycle"},
                                             [4] = {"network", "destination_cidr", NULL},
                                             [14] = {NULL, NULL, NULL}};

#define KINDS ((int)(sizeof(tables) / sizeof(tables[0])))

struct statements {
    sqlite3_stmt *update[15], *insert[15], *remove[15], *event, *trim;
    sqlite3_stmt *ip, *ips, *tag, *tags, *begin, *commit;
};

static void check(int rc, sqlite3 *db, const char *what)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
        return;
    fprintf(stderr, "rows: %s: %s\n", what, sqlite3_errmsg(db));
    exit(1);
}

static sqlite3 *open_database(const char *path)
{
    sqlite3 *db;

    check(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, "unix-excl"), db,
          path);
    return db;
}

// --- reading what is to be written ---

static char *text_of(sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);

    return text ? strdup(text) : NULL;
}

// The value of a string field, wherever it comes first; NULL: it has none.
static char *field(const char *document, const char *key)
{
    char pattern[48];
    const char *at, *end;

    snprintf(pattern, sizeof(pattern), "\"%s\":\"", key);
    at = strstr(document, pattern);
    if (!at)
        return NULL;
    at += strlen(pattern);
    end = strchr(at, '"');
    return strndup(at, (size_t)(end - at));
}

static int state_number(const char *document)
{
    static const char *const names[] = {"pending",   "running",     "stopping",   "stopped",
                                        "rebooting", "terminating", "terminated", "error"};
    char *state = field(document, "state");
    int found = 0;

    for (int i = 0; state && i < 8; i++)
        found = strcmp(state, names[i]) == 0 ? i : found;
    free(state);
    return found;
}

static void read_address(struct row *r, const char *text, size_t length)
{
    char address[64];
    unsigned char *key = r->ips[r->ip_count];

    snprintf(address, sizeof(address), "%.*s", (int)length, text);
    if (inet_pton(AF_INET, address, key + 1) == 1) {
        key[0] = 4;
        r->ip_lengths[r->ip_count++] = 5;
    } else if (inet_pton(AF_INET6, address, key + 1) == 1) {
        key[0] = 6;
        r->ip_lengths[r->ip_count++] = 17;
    }
}

// What an instance has beside its row.
static void read_relations(struct row *r)
{
    static const char address[] = "\"address\":\"", tags[] = "\"tags\":{\"";
    const char *at = r->document, *tag = strstr(r->document, tags);

    while ((at = strstr(at, address)) && r->ip_count < IPS_MAX) {
        at += strlen(address);
        read_address(r, at, strcspn(at, "\""));
    }
    if (tag) {
        tag += strlen(tags);
        r->tag_key = strndup(tag, strcspn(tag, "\""));
        r->tag_value = field(tag - 1, r->tag_key);
    }
}

static void read_document(struct row *r)
{
    char *due = field(r->document, "transition_at");
    const char *const *own = own_columns[r->kind];

    if (due)
        time_parse(due, (int64_t *)&r->transition, NULL);
    free(due);
    r->state = state_number(r->document);
    r->ends = r->kind == 0 && r->state == 6;
    if (r->kind == 0 && (r->type == CREATED || r->ends))
        read_relations(r);
    r->name = field(r->document, "name");
    for (int i = 0; i < 3 && r->kind < 5 && own[i]; i++)
        r->own[i] = field(r->document, own[i]);
}

static void read_row(sqlite3_stmt *st, struct row *r)
{
    r->revision = sqlite3_column_int64(st, 0);
    r->kind = sqlite3_column_int(st, 1);
    r->project = sqlite3_column_int64(st, 2);
    r->time = sqlite3_column_int64(st, 3);
    r->type = sqlite3_column_int(st, 4);
    r->cause = sqlite3_column_int(st, 5);
    r->id = text_of(st, 6);
    r->project_name = text_of(st, 7);
    r->operation = text_of(st, 8);
    r->document = text_of(st, 9);
    r->document_length = sqlite3_column_bytes(st, 9);
    r->has_seq = sqlite3_column_type(st, 10) != SQLITE_NULL;
    r->seq = sqlite3_column_int64(st, 10);
    r->previous = sqlite3_column_int64(st, 11);
    r->record_length = 160;
    read_document(r);
}

static struct row *read_rows(const char *path, sqlite3_int64 after, size_t *out_count)
{
    sqlite3 *db = open_database(path);
    sqlite3_stmt *st;
    struct row *rows = NULL;
    size_t count = 0, capacity = 0;

    check(sqlite3_prepare_v2(
              db,
              "SELECT revision, kind, project, time, type, cause, id, project_name, operation,"
              " document, seq, previous FROM event WHERE revision > ?1 ORDER BY revision",
              -1, &st, NULL),
          db, "events");
    sqlite3_bind_int64(st, 1, after);
    while (sqlite3_step(st) == SQLITE_ROW) {
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 4096;
            rows = realloc(rows, capacity * sizeof(*rows));
            if (!rows)
                abort();
        }
        memset(&rows[count], 0, sizeof(*rows));
        read_row(st, &rows[count++]);
    }
    sqlite3_finalize(st);
    sqlite3_close(db);
    *out_count = count;
    return rows;
}

// --- statements ---

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st;

    check(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL), db, sql);
    return st;
}

static void prepare_kind(sqlite3 *db, struct statements *s, int kind)
{
    char sql[512], own[80] = "", values[32] = "";

    for (int i = 0; i < 3 && kind < 5 && own_columns[kind][i]; i++) {
        snprintf(own + strlen(own), sizeof(own) - strlen(own), ", %s", own_columns[kind][i]);
        snprintf(values + strlen(values), sizeof(values) - strlen(values), ", ?%d", 10 + i);
    }
    snprintf(sql, sizeof(sql),
             "UPDATE %s SET transition_at = ?2, revision = ?3, record = ?4, document = ?5, state = "
             "?7 WHERE seq = ?1",
             tables[kind]);
    s->update[kind] = prepare(db, sql);
    snprintf(sql, sizeof(sql),
             "INSERT INTO %s (seq, transition_at, revision, record, document, id, state, project, "
             "name%s)"
             " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9%s)",
             tables[kind], own, values);
    s->insert[kind] = prepare(db, sql);
    snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE seq = ?1", tables[kind]);
    s->remove[kind] = prepare(db, sql);
}

static void prepare_all(sqlite3 *db, struct statements *s)
{
    for (int kind = 0; kind < KINDS; kind++) {
        if (tables[kind])
            prepare_kind(db, s, kind);
    }
    s->event = prepare(
        db, "INSERT INTO event (revision, kind, project, time, type, cause, id, project_name,"
            " operation, document, seq, previous) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)");
    s->trim = prepare(db, "DELETE FROM event WHERE revision <= ?1");
    s->ip = prepare(db, "INSERT INTO ip VALUES (?1, ?2)");
    s->ips = prepare(db, "DELETE FROM ip WHERE address = ?1 AND owner = ?2");
    s->tag = prepare(db, "INSERT INTO tag VALUES (0, ?1, ?2, ?3)");
    s->tags = prepare(db, "DELETE FROM tag WHERE kind = 0 AND owner = ?1");
    s->begin = prepare(db, "BEGIN IMMEDIATE");
    s->commit = prepare(db, "COMMIT");
}

// --- writing ---

static void run(sqlite3 *db, sqlite3_stmt *st, const char *what)
{
    check(sqlite3_step(st), db, what);
    sqlite3_reset(st);
}

static void text(sqlite3_stmt *st, int index, const char *value)
{
    sqlite3_bind_text(st, index, value, -1, SQLITE_STATIC);
}

static void write_resource(sqlite3 *db, struct statements *s, const struct row *r)
{
    sqlite3_stmt *st = r->type == CREATED   ? s->insert[r->kind]
                       : r->type == DELETED ? s->remove[r->kind]
                                            : s->update[r->kind];

    sqlite3_bind_int64(st, 1, r->seq);
    if (r->type == DELETED) {
        run(db, st, "delete");
        return;
    }
    if (r->transition)
        sqlite3_bind_int64(st, 2, r->transition);
    else
        sqlite3_bind_null(st, 2);
    sqlite3_bind_int64(st, 3, r->revision);
    sqlite3_bind_blob(st, 4, RECORD, r->record_length, SQLITE_STATIC);
    sqlite3_bind_blob(st, 5, r->document, r->document_length, SQLITE_STATIC);
    sqlite3_bind_int(st, 7, r->state);
    if (r->type == CREATED) {
        text(st, 6, r->id);
        sqlite3_bind_int64(st, 8, r->project);
        text(st, 9, r->name);
        for (int i = 0; i < 3 && r->own[i]; i++)
            text(st, 10 + i, r->own[i]);
    }
    run(db, st, "row");
}

static void write_relations(sqlite3 *db, struct statements *s, const struct row *r)
{
    sqlite3_stmt *ip = r->ends ? s->ips : s->ip;

    for (int i = 0; i < r->ip_count; i++) {
        sqlite3_bind_blob(ip, 1, r->ips[i], r->ip_lengths[i], SQLITE_STATIC);
        text(ip, 2, r->id);
        run(db, ip, "address");
    }
    if (r->tag_key && !r->ends) {
        sqlite3_bind_int64(s->tag, 1, r->seq);
        text(s->tag, 2, r->tag_key);
        text(s->tag, 3, r->tag_value);
        run(db, s->tag, "tag");
    }
    if (r->kind == 0 && r->type == DELETED) {
        sqlite3_bind_int64(s->tags, 1, r->seq);
        run(db, s->tags, "tags");
    }
}

static void write_event(sqlite3 *db, struct statements *s, const struct row *r)
{
    sqlite3_stmt *st = s->event;

    sqlite3_bind_int64(st, 1, r->revision);
    sqlite3_bind_int(st, 2, r->kind);
    sqlite3_bind_int64(st, 3, r->project);
    sqlite3_bind_int64(st, 4, r->time);
    sqlite3_bind_int(st, 5, r->type);
    sqlite3_bind_int(st, 6, r->cause);
    text(st, 7, r->id);
    text(st, 8, r->project_name);
    text(st, 9, r->operation);
    sqlite3_bind_blob(st, 10, r->document, r->document_length, SQLITE_STATIC);
    sqlite3_bind_int64(st, 11, r->seq);
    sqlite3_bind_int64(st, 12, r->previous);
    run(db, st, "event");
}

static void write_all(sqlite3 *db, struct statements *s, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];

        if (i % BATCH == 0)
            run(db, s->begin, "begin");
        if (r->has_seq && tables[r->kind])
            write_resource(db, s, r);
        write_relations(db, s, r);
        write_event(db, s, r);
        if ((i + 1) % BATCH == 0 || i + 1 == count) {
            sqlite3_bind_int64(s->trim, 1, r->revision - EVENTS_KEPT);
            run(db, s->trim, "trim");
            run(db, s->commit, "commit");
        }
    }
}

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static sqlite3_int64 count_of(sqlite3 *db, const char *table)
{
    sqlite3_stmt *st;
    sqlite3_int64 count;
    char sql[64];

    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    check(sqlite3_prepare_v2(db, sql, -1, &st, NULL), db, table);
    check(sqlite3_step(st), db, table);
    count = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return count;
}

// That these are the rows of the cloud, no more and no fewer.
static void compare_tables(sqlite3 *db, const char *path)
{
    static const char *const compared[] = {"instance", "tag", "ip", "chaos", "fault"};
    sqlite3 *after = open_database(path);

    for (size_t i = 0; i < sizeof(compared) / sizeof(compared[0]); i++) {
        sqlite3_int64 ours = count_of(db, compared[i]), theirs = count_of(after, compared[i]);
        if (ours == theirs)
            continue;
        fprintf(stderr, "rows: %lld rows of %s, the cloud has %lld\n", ours, compared[i], theirs);
        exit(1);
    }
    sqlite3_close(after);
}

int main(int argc, char **argv)
{
    struct statements s = {0};
    struct row *rows;
    size_t count;
    sqlite3 *db;
    double began, cpu;

    if (argc != 4) {
        fprintf(stderr, "usage: rows BEFORE.db AFTER.db REVISION\n");
        return 2;
    }
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    rows = read_rows(argv[2], atoll(argv[3]), &count);
    db = open_database(argv[1]);
    check(sqlite3_exec(
              db,
              "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;"
              "PRAGMA cache_size = -4096; PRAGMA mmap_size = 2147418112; PRAGMA wal_autocheckpoint "
              "= 4000",
              NULL, NULL, NULL),
          db, "pragmas");
    prepare_all(db, &s);
    began = seconds(CLOCK_MONOTONIC);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    write_all(db, &s, rows, count);
    printf("{\"rows\": %zu, \"seconds\": %.6f, \"cpu\": %.6f}\n", count,
           seconds(CLOCK_MONOTONIC) - began, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    fflush(stdout);
    compare_tables(db, argv[2]);
    _exit(0); // what is prepared and read needs no undoing
}
