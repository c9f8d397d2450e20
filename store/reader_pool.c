// Readers that nobody uses, for whoever reads next. One that is put back keeps its snapshot for as
// long as nothing has been committed since, so that reading an unchanged database again opens no
// transaction: a sixth of what a GET costs otherwise.
//
// `version` is even between commits and odd while one is under way; whoever reads it after a commit
// has been told finds another one than before. So no reader sees an older state than an answer that
// was sent before it began, be that of a change or of another reader.
#include "store/internal.h"

#include <stdlib.h>

#define NO_VERSION (-1)

// The newest state, from the first statement on.
static int renew(struct reader_pool *pool, struct reader *r, struct error *err)
{
    int64_t version = atomic_load(&pool->version);

    if (reader_in_snapshot(r) && r->version == version)
        return 0;
    reader_end(r);
    r->version = version % 2 == 0 ? version : NO_VERSION;
    return reader_begin(r, err);
}

static struct reader_shelf *my_shelf(struct reader_pool *pool)
{
    return &pool->shelves[thread_number() % READER_SHELVES];
}

void reader_pool_init(struct reader_pool *pool)
{
    for (int i = 0; i < READER_SHELVES; i++)
        pthread_mutex_init(&pool->shelves[i].lock, NULL);
}

void reader_pool_fini(struct reader_pool *pool)
{
    for (int i = 0; i < READER_SHELVES; i++) {
        struct reader_shelf *shelf = &pool->shelves[i];
        for (size_t n = 0; n < shelf->count; n++)
            reader_close(shelf->free[n]);
        free(shelf->free);
        pthread_mutex_destroy(&shelf->lock);
    }
}

int store_reader_take(struct store *s, struct reader **out, struct error *err)
{
    struct reader_shelf *shelf = my_shelf(&s->readers);
    struct reader *r;
    int result = 0;

    pthread_mutex_lock(&shelf->lock);
    r = shelf->count > 0 ? shelf->free[--shelf->count] : NULL;
    pthread_mutex_unlock(&shelf->lock);
    if (!r)
        result = reader_open(s, &r, err);
    if (result == 0)
        result = renew(&s->readers, r, err);
    if (result < 0) {
        reader_close(r);
        return result;
    }
    *out = r;
    return 0;
}

static bool has_room(struct reader_shelf *shelf)
{
    size_t capacity = shelf->capacity + 8;
    struct reader **grown;

    if (shelf->count < shelf->capacity)
        return true;
    grown = realloc(shelf->free, capacity * sizeof(struct reader *));
    if (!grown)
        return false;
    shelf->free = grown;
    shelf->capacity = capacity;
    return true;
}

void store_reader_give(struct store *s, struct reader *r)
{
    struct reader_shelf *shelf = my_shelf(&s->readers);

    pthread_mutex_lock(&shelf->lock);
    if (r->version != atomic_load(&s->readers.version))
        reader_end(r);
    if (has_room(shelf)) {
        shelf->free[shelf->count++] = r;
        r = NULL;
    }
    pthread_mutex_unlock(&shelf->lock);
    reader_close(r);
}

void reader_pool_committing(struct reader_pool *pool)
{
    atomic_fetch_add(&pool->version, 1);
}

// Who is in the pool holds nothing afterwards; who is given back later sees that it is outdated.
void reader_pool_committed(struct reader_pool *pool)
{
    atomic_fetch_add(&pool->version, 1);
    for (int i = 0; i < READER_SHELVES; i++) {
        struct reader_shelf *shelf = &pool->shelves[i];
        pthread_mutex_lock(&shelf->lock);
        for (size_t n = 0; n < shelf->count; n++)
            reader_end(shelf->free[n]);
        pthread_mutex_unlock(&shelf->lock);
    }
}
