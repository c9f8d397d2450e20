#include "store/schema.h"

#include "store/kinds.h"

#include <stdio.h>

// --- kinds ---

static void create_kind_table(struct buffer *sql, const struct kind_info *info)
{
    buffer_printf(sql,
                  "CREATE TABLE %s (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
                  " project INTEGER NOT NULL, name TEXT, state INTEGER NOT NULL,"
                  " transition_at INTEGER, revision INTEGER NOT NULL",
                  info->name);
    for (int i = 0; i < KIND_COLUMNS_MAX && info->columns[i]; i++)
        buffer_printf(sql, ", %s TEXT", info->columns[i]);
    buffer_append_string(sql, ", record BLOB NOT NULL, document BLOB NOT NULL) STRICT;");
}

// Rows of an index come in seq order at the end, so a filtered list reads on where the last one
// ended.
static void create_kind_index(struct buffer *sql, const struct kind_info *info, const char *column)
{
    buffer_printf(sql, "CREATE INDEX %s_by_%s ON %s (%s%s);", info->name, column, info->name,
                  info->in_project ? "project, " : "", column);
}

static void create_kind(struct buffer *sql, const struct kind_info *info)
{
    create_kind_table(sql, info);
    create_kind_index(sql, info, "name");
    if (info->has_states)
        create_kind_index(sql, info, "state");
    for (int i = 0; i < KIND_COLUMNS_MAX && info->columns[i]; i++)
        create_kind_index(sql, info, info->columns[i]);
    buffer_printf(sql,
                  "CREATE INDEX %s_due ON %s (transition_at, revision)"
                  " WHERE transition_at IS NOT NULL;",
                  info->name, info->name);
}

static void create_kinds(struct buffer *sql, enum kind first, enum kind last)
{
    for (enum kind kind = first; kind <= last; kind++) {
        if (kind_info(kind)->has_table)
            create_kind(sql, kind_info(kind));
    }
}

// --- versions ---

static void version_1(struct buffer *sql)
{
    create_kinds(sql, KIND_INSTANCE, KIND_CLOCK);
    buffer_append_string(
        sql, // tags: by owner to replace them, by value to find the owners in seq order
        "CREATE TABLE tag (kind INTEGER NOT NULL, owner INTEGER NOT NULL, key TEXT NOT NULL,"
        " value TEXT NOT NULL, PRIMARY KEY (kind, owner, key)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX tag_by_value ON tag (kind, key, value, owner);"
        "CREATE TABLE reference (kind INTEGER NOT NULL, owner INTEGER NOT NULL,"
        " target TEXT NOT NULL, PRIMARY KEY (kind, owner, target)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX reference_by_target ON reference (target, kind, owner);"
        "CREATE TABLE ip (address BLOB NOT NULL PRIMARY KEY, owner TEXT NOT NULL)"
        " STRICT, WITHOUT ROWID;"
        "CREATE INDEX ip_by_owner ON ip (owner);"
        "CREATE TABLE event (revision INTEGER PRIMARY KEY, kind INTEGER NOT NULL,"
        " project INTEGER NOT NULL, time INTEGER NOT NULL, type INTEGER NOT NULL,"
        " cause INTEGER NOT NULL, id TEXT NOT NULL, project_name TEXT,"
        " operation TEXT, document BLOB NOT NULL) STRICT;"
        "CREATE TABLE idempotent (seq INTEGER PRIMARY KEY, project INTEGER NOT NULL,"
        " operation TEXT NOT NULL, key TEXT NOT NULL, fingerprint INTEGER NOT NULL,"
        " created INTEGER NOT NULL, revision INTEGER NOT NULL, id TEXT,"
        " document BLOB NOT NULL, UNIQUE (project, operation, key)) STRICT;"
        "CREATE TABLE token (token TEXT NOT NULL PRIMARY KEY, project INTEGER NOT NULL,"
        " scope INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
        "CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;");
}

static void version_2(struct buffer *sql)
{
    create_kinds(sql, KIND_FAULT, KIND_CLUSTER);
    buffer_append_string(sql, // each event knows the one before it of the same resource
                         "ALTER TABLE event ADD COLUMN seq INTEGER;"
                         "ALTER TABLE event ADD COLUMN previous INTEGER;");
    buffer_append_string(
        sql, "CREATE TABLE outbox (owner TEXT NOT NULL PRIMARY KEY, revision INTEGER NOT NULL,"
             " action INTEGER NOT NULL, payload BLOB NOT NULL) STRICT, WITHOUT ROWID;");
}

// Ids are hashes, so every index that has them costs each new resource a page of its own. Owners of
// addresses are found by address alone, and who has no name but its id is found by id (row_named).
static void version_3(struct buffer *sql)
{
    buffer_append_string(sql, "DROP INDEX ip_by_owner;");
    for (enum kind kind = KIND_INSTANCE; kind <= KIND_CLUSTER; kind++) {
        const struct kind_info *info = kind_info(kind);
        if (info->has_table)
            buffer_printf(sql,
                          "DROP INDEX %s_by_name;"
                          "CREATE INDEX %s_by_name ON %s (%sname) WHERE name <> id;",
                          info->name, info->name, info->name, info->in_project ? "project, " : "");
    }
}

schema_migration *const schema_migrations[] = {version_1, version_2, version_3};
const int schema_version = sizeof(schema_migrations) / sizeof(schema_migrations[0]);

// --- migrating ---

static int check_ours(struct connection *c, int64_t version, struct error *err)
{
    int64_t application_id = 0, tables = 0;
    int result = connection_int(c, "PRAGMA application_id", &application_id, err);

    if (result == 0)
        result = connection_int(c, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (result < 0)
        return result;
    if (application_id == SCHEMA_APPLICATION_ID)
        return 0;
    if (application_id != 0 || version != 0 || tables != 0)
        return error_set(err, ERROR_INVALID, NULL, "%s is the database of another program",
                         c->path);
    return 0;
}

static int apply(struct connection *c, schema_migration *const *migrations, int from, int count,
                 struct error *err)
{
    struct buffer sql;
    int result;

    buffer_init(&sql);
    buffer_append_string(&sql, "BEGIN IMMEDIATE;");
    for (int i = from; i < count; i++)
        migrations[i](&sql);
    buffer_printf(&sql, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;",
                  SCHEMA_APPLICATION_ID, count);
    buffer_append(&sql, "", 1);
    if (sql.failed)
        result = error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    else
        result = connection_exec(c, sql.data, err);
    buffer_fini(&sql);
    if (result < 0 && !sqlite3_get_autocommit(c->db))
        sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

int schema_migrate(struct connection *c, schema_migration *const *migrations, int count,
                   struct error *err)
{
    int64_t version = 0;
    int result = connection_int(c, "PRAGMA user_version", &version, err);

    if (result == 0)
        result = check_ours(c, version, err);
    if (result < 0)
        return result;
    if (version > count)
        return error_set(err, ERROR_INVALID, NULL,
                         "database %s was written by a newer mockcloud (schema version %lld, this"
                         " one knows up to %d)",
                         c->path, (long long)version, count);
    return version == count ? 0 : apply(c, migrations, (int)version, count, err);
}

static const char *const other_tables[] = {"tag",        "reference", "ip",   "event",
                                           "idempotent", "token",     "meta", "outbox"};

static int probe_table(struct connection *c, const char *name, struct error *err)
{
    char sql[96];
    int64_t ignored;

    snprintf(sql, sizeof(sql), "SELECT count(*) FROM (SELECT 1 FROM %s LIMIT 1)", name);
    return connection_int(c, sql, &ignored, err);
}

int schema_probe(struct connection *c, struct error *err)
{
    int result = 0;

    for (int kind = 0; kind < KIND_COUNT && result == 0; kind++) {
        if (kind_info((enum kind)kind)->has_table)
            result = probe_table(c, kind_name((enum kind)kind), err);
    }
    for (size_t i = 0; i < sizeof(other_tables) / sizeof(other_tables[0]) && result == 0; i++)
        result = probe_table(c, other_tables[i], err);
    return result;
}
