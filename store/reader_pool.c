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

void reader_pool_init(struct reader_pool *pool)
{
    pthread_mutex_init(&pool->lock, NULL);
}

void reader_pool_fini(struct reader_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++)
        reader_close(pool->free[i]);
    free(pool->free);
    pthread_mutex_destroy(&pool->lock);
}

int store_reader_take(struct store *s, struct reader **out, struct error *err)
{
    struct reader_pool *pool = &s->readers;
    struct reader *r;
    int result = 0;

    pthread_mutex_lock(&pool->lock);
    r = pool->count > 0 ? pool->free[--pool->count] : NULL;
    pthread_mutex_unlock(&pool->lock);
    if (!r)
        result = reader_open(s, &r, err);
    if (result == 0)
        result = renew(pool, r, err);
    if (result < 0) {
        reader_close(r);
        return result;
    }
    *out = r;
    return 0;
}

static bool has_room(struct reader_pool *pool)
{
    size_t capacity = pool->capacity + 8;
    struct reader **grown;

    if (pool->count < pool->capacity)
        return true;
    grown = realloc(pool->free, capacity * sizeof(struct reader *));
    if (!grown)
        return false;
    pool->free = grown;
    pool->capacity = capacity;
    return true;
}

void store_reader_give(struct store *s, struct reader *r)
{
    struct reader_pool *pool = &s->readers;

    pthread_mutex_lock(&pool->lock);
    if (r->version != atomic_load(&pool->version))
        reader_end(r);
    if (has_room(pool)) {
        pool->free[pool->count++] = r;
        r = NULL;
    }
    pthread_mutex_unlock(&pool->lock);
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
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < pool->count; i++)
        reader_end(pool->free[i]);
    pthread_mutex_unlock(&pool->lock);
}
