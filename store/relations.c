// What rows have beside them: tags, references to other resources, claimed IP addresses.
#include "store/internal.h"
#include "store/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A statement about one owner: ?1 kind, ?2 seq.
static int owner_statement(struct store *s, enum statement_use use, const char *sql, enum kind kind,
                           int64_t seq, sqlite3_stmt **out, struct error *err)
{
    int result = statement_get(&s->c, use, sql, out, err);

    if (result == 0) {
        sqlite3_bind_int(*out, 1, kind);
        sqlite3_bind_int64(*out, 2, seq);
    }
    return result;
}

// --- tags ---

static int tags_delete(struct store *s, enum kind kind, int64_t seq, struct error *err)
{
    sqlite3_stmt *st;
    int result = owner_statement(
        s, USE_TAGS_DELETE, "DELETE FROM tag WHERE kind = ?1 AND owner = ?2", kind, seq, &st, err);

    return result < 0 ? result : statement_run(&s->c, st, err);
}

static int tag_insert(struct store *s, enum kind kind, int64_t seq, const struct store_tag *tag,
                      struct error *err)
{
    sqlite3_stmt *st;
    int result = owner_statement(s, USE_TAG_INSERT, "INSERT INTO tag VALUES (?1, ?2, ?3, ?4)", kind,
                                 seq, &st, err);

    if (result < 0)
        return result;
    bind_text(st, 3, tag->key);
    bind_text(st, 4, tag->value);
    return statement_run(&s->c, st, err);
}

enum { TAGS_NONE, TAGS_OTHER, TAGS_SAME };

// Whether the owner has just these tags, in this order: most changes of a resource leave them
// alone.
static int tags_compare(struct store *s, enum kind kind, int64_t seq, const struct store_tag *tags,
                        size_t count, struct error *err)
{
    sqlite3_stmt *st;
    size_t i = 0;
    bool same = true;
    int result = owner_statement(s, USE_TAGS,
                                 "SELECT key, value FROM tag WHERE kind = ?1 AND owner = ?2"
                                 " ORDER BY key",
                                 kind, seq, &st, err);

    if (result < 0)
        return result;
    while (same && (result = statement_step(&s->c, st, err)) == 1) {
        same = i < count && strcmp(column_text(st, 0), tags[i].key) == 0 &&
               strcmp(column_text(st, 1), tags[i].value) == 0;
        i++;
    }
    if (result < 0)
        return result;
    sqlite3_reset(st);
    if (same && i == count)
        return TAGS_SAME;
    return i == 0 ? TAGS_NONE : TAGS_OTHER;
}

int store_tags_set(struct store *s, enum kind kind, int64_t seq, const struct store_tag *tags,
                   size_t count, struct error *err)
{
    int stored = tags_compare(s, kind, seq, tags, count, err);
    int result = 0;

    if (stored < 0 || stored == TAGS_SAME)
        return stored < 0 ? stored : 0;
    if (stored == TAGS_OTHER)
        result = tags_delete(s, kind, seq, err);
    for (size_t i = 0; i < count && result == 0; i++)
        result = tag_insert(s, kind, seq, &tags[i], err);
    return result;
}

// --- references ---

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int reference_change(struct store *s, enum statement_use use, enum kind kind, int64_t seq,
                            const char *target, struct error *err)
{
    const char *sql = use == USE_REFERENCE_INSERT
                          ? "INSERT INTO reference VALUES (?1, ?2, ?3)"
                          : "DELETE FROM reference WHERE kind = ?1 AND owner = ?2 AND target = ?3";
    sqlite3_stmt *st;
    int result = owner_statement(s, use, sql, kind, seq, &st, err);

    if (result < 0)
        return result;
    bind_text(st, 3, target);
    return statement_run(&s->c, st, err);
}

struct names {
    const char **items;
    size_t count;
};

// The owner's references as they are stored, in order, in `arena`.
static int references_read(struct store *s, enum kind kind, int64_t seq, struct arena *arena,
                           struct names *out, struct error *err)
{
    size_t capacity = 16;
    sqlite3_stmt *st;
    int result = owner_statement(s, USE_REFERENCES,
                                 "SELECT target FROM reference WHERE kind = ?1 AND owner = ?2"
                                 " ORDER BY target",
                                 kind, seq, &st, err);

    if (result < 0)
        return result;
    *out = (struct names){arena_alloc(arena, capacity * sizeof(char *)), 0};
    while ((result = statement_step(&s->c, st, err)) == 1) {
        if (out->count == capacity) {
            const char **more = arena_alloc(arena, 2 * capacity * sizeof(char *));
            memcpy(more, out->items, capacity * sizeof(char *));
            out->items = more;
            capacity *= 2;
        }
        out->items[out->count++] = arena_strdup(arena, column_text(st, 0));
    }
    return result;
}

static struct names sorted_unique(struct arena *arena, const char *const *targets, size_t count)
{
    struct names names = {arena_alloc(arena, (count + 1) * sizeof(char *)), 0};

    for (size_t i = 0; i < count; i++)
        names.items[i] = targets[i];
    qsort(names.items, count, sizeof(char *), compare_text);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(names.items[i], names.items[names.count - 1]) != 0)
            names.items[names.count++] = names.items[i];
    }
    return names;
}

// Walks both sorted lists side by side and writes what one of them lacks.
static int write_difference(struct store *s, enum kind kind, int64_t seq, const struct names *old,
                            const struct names *new, struct error *err)
{
    size_t i = 0, j = 0;
    int result = 0;

    while (result == 0 && (i < old->count || j < new->count)) {
        int order = i == old->count   ? 1
                    : j == new->count ? -1
                                      : strcmp(old->items[i], new->items[j]);
        if (order < 0)
            result = reference_change(s, USE_REFERENCE_DELETE, kind, seq, old->items[i], err);
        else if (order > 0)
            result = reference_change(s, USE_REFERENCE_INSERT, kind, seq, new->items[j], err);
        i += order <= 0;
        j += order >= 0;
    }
    return result;
}

int store_references_set(struct store *s, enum kind kind, int64_t seq, const char *const *targets,
                         size_t count, struct error *err)
{
    struct arena arena;
    struct names old, new;
    int result;

    arena_init(&arena);
    result = references_read(s, kind, seq, &arena, &old, err);
    if (result == 0) {
        new = sorted_unique(&arena, targets, count);
        result = write_difference(s, kind, seq, &old, &new, err);
    }
    arena_fini(&arena);
    return result;
}

int store_referrers(struct store *s, const char *target, enum kind kind, struct arena *arena,
                    struct owner **out, size_t *out_count, struct error *err)
{
    uint64_t key = statement_key(USE_REFERRERS, kind, 0);
    sqlite3_stmt *st = statement_find(&s->c, key);
    struct owner *owners = NULL;
    size_t count = 0, capacity = 0;
    int result = statement_ready(&s->c, err);
    char sql[256];

    if (result == 0 && !st) {
        snprintf(sql, sizeof(sql),
                 "SELECT owner, id FROM reference CROSS JOIN %s ON seq = owner"
                 " WHERE target = ?1 AND kind = ?2 ORDER BY owner",
                 kind_name(kind));
        result = statement_add(&s->c, key, sql, &st, err);
    }
    if (result < 0)
        return result;
    bind_text(st, 1, target);
    sqlite3_bind_int(st, 2, kind);
    while ((result = statement_step(&s->c, st, err)) == 1) {
        if (count == capacity) {
            struct owner *more;
            capacity = capacity ? 2 * capacity : 8;
            more = arena_alloc(arena, capacity * sizeof(*more));
            if (count)
                memcpy(more, owners, count * sizeof(*more));
            owners = more;
        }
        owners[count].seq = sqlite3_column_int64(st, 0);
        owners[count++].id = arena_strdup(arena, column_text(st, 1));
    }
    if (result < 0)
        return result;
    *out = owners;
    *out_count = count;
    return 0;
}

// --- addresses ---

// The family first: 4 bytes of an IPv4 address are no beginning of an IPv6 one.
struct ip_key ip_key_of(const struct ip *ip)
{
    struct ip_key key = {.length = ip->family == IP_V4 ? 5 : 17};

    key.bytes[0] = (unsigned char)ip->family;
    memcpy(key.bytes + 1, ip->bytes, key.length - 1);
    return key;
}

int store_ip_claim(struct store *s, const struct ip *ip, const char *owner_id, struct error *err)
{
    struct ip_key key = ip_key_of(ip);
    sqlite3_stmt *st;
    int result = statement_get(&s->c, USE_IP_CLAIM,
                               "INSERT INTO ip VALUES (?1, ?2) ON CONFLICT DO NOTHING", &st, err);

    if (result < 0)
        return result;
    bind_blob(st, 1, (struct bytes){key.bytes, key.length});
    bind_text(st, 2, owner_id);
    result = statement_run(&s->c, st, err);
    return result < 0 ? result : sqlite3_changes(s->c.db) == 1;
}

// The key of the next address: its bytes are one number, the most significant first.
static void ip_key_advance(struct ip_key *key)
{
    for (size_t i = key->length - 1; i > 0 && ++key->bytes[i] == 0; i--)
        ;
}

int store_ips_taken(struct store *s, const struct ip *first, uint64_t most, uint64_t *out,
                    struct error *err)
{
    struct ip_key from = ip_key_of(first), key = from;
    sqlite3_stmt *st;
    int result =
        statement_get(&s->c, USE_IPS_TAKEN,
                      "SELECT address FROM ip WHERE address >= ?1 ORDER BY address", &st, err);

    if (result < 0)
        return result;
    bind_blob(st, 1, (struct bytes){from.bytes, from.length});
    for (*out = 0; *out < most; ++*out) {
        struct bytes taken;

        result = statement_step(&s->c, st, err);
        if (result <= 0)
            break;
        taken = column_blob(st, 0);
        if (taken.length != key.length || memcmp(taken.data, key.bytes, key.length) != 0)
            break;
        ip_key_advance(&key);
    }
    sqlite3_reset(st);
    return result < 0 ? result : 0;
}

int store_ip_release(struct store *s, const struct ip *ip, const char *owner_id, struct error *err)
{
    struct ip_key key = ip_key_of(ip);
    sqlite3_stmt *st;
    int result = statement_get(&s->c, USE_IP_RELEASE,
                               "DELETE FROM ip WHERE address = ?1 AND owner = ?2", &st, err);

    if (result < 0)
        return result;
    bind_blob(st, 1, (struct bytes){key.bytes, key.length});
    bind_text(st, 2, owner_id);
    return statement_run(&s->c, st, err);
}

int relations_delete(struct store *s, enum kind kind, int64_t seq, struct error *err)
{
    sqlite3_stmt *st;
    int result = tags_delete(s, kind, seq, err);

    if (result < 0)
        return result;
    result = owner_statement(s, USE_REFERENCES_DELETE,
                             "DELETE FROM reference WHERE kind = ?1 AND owner = ?2", kind, seq, &st,
                             err);
    return result < 0 ? result : statement_run(&s->c, st, err);
}
