// The outbox at work: a copy in memory of its rows, and a few threads that run them. The rows are
// the truth: after a commit that changed them the copy is made anew, and an effect leaves both with
// the change that reports it done.
#include "sim/outbox.h"

#include "base/log.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "sim/cloud_internal.h"
#include "sim/pack.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 4
#define BACKOFF_FIRST (NS_PER_S / 2)
#define BACKOFF_MAX (30 * NS_PER_S)

struct item {
    struct item *next;
    struct arena arena; // of the effect's strings
    struct effect effect;
    int attempts;
    int64_t not_before; // monotonic
    bool running;
    bool seen; // among the rows that were just read
    bool gone; // its row is, but it is still running
    char last_message[256];
};

struct outbox {
    struct cloud *cloud;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct item *items; // oldest first
    const struct backend_ops *ops;
    void *context;
    atomic_bool stopping;
    pthread_t workers[WORKERS];
    size_t worker_count; // they start with the first effect
};

// --- rows ---

static void pack_effect(struct buffer *out, const struct effect *e)
{
    pack_string(out, e->name);
    pack_string(out, e->zone);
    pack_string(out, e->cluster);
    pack_string(out, e->container_id);
    pack_int(out, e->role);
    pack_int(out, e->provision);
}

static void unpack_effect(struct item *item, const struct outbox_row *row)
{
    struct effect *e = &item->effect;
    struct bytes payload = {arena_strndup(&item->arena, row->payload.data, row->payload.length),
                            row->payload.length};
    struct unpacker in = {.at = payload.data,
                          .end = (const unsigned char *)payload.data + payload.length};

    e->instance_id = arena_strdup(&item->arena, row->owner);
    e->revision = row->revision;
    e->action = (enum effect_action)row->action;
    e->name = unpack_string(&in);
    e->zone = unpack_string(&in);
    e->cluster = unpack_string(&in);
    e->container_id = unpack_string(&in);
    e->role = (enum node_role)unpack_enum(&in, ROLE_CONTROL_PLANE + 1);
    e->provision = (enum provision)unpack_enum(&in, PROVISION_ADOPT + 1);
}

int outbox_put(struct txn *t, const struct effect *e, struct error *err)
{
    struct buffer payload;
    struct outbox_row row = {
        .owner = e->instance_id, .revision = t->cloud->ledger.revision, .action = (int)e->action};
    int rc;

    buffer_init(&payload);
    pack_effect(&payload, e);
    row.payload = (struct bytes){payload.data, payload.length};
    rc = store_outbox_put(t->store, &row, err);
    buffer_fini(&payload);
    t->cloud->ledger.outbox_changed = true;
    return rc;
}

int outbox_forget(struct txn *t, const char *instance_id, struct error *err)
{
    t->cloud->ledger.outbox_changed = true;
    return store_outbox_delete(t->store, instance_id, err);
}

int outbox_pending(struct txn *t, const char *instance_id, int64_t *out_revision, struct error *err)
{
    return store_outbox_get(t->store, instance_id, out_revision, err);
}

// --- the copy; all under the lock ---

static void item_free(struct item *item)
{
    arena_fini(&item->arena);
    free(item);
}

static int keep_row(void *context, const struct outbox_row *row, struct error *err)
{
    struct outbox *o = context;
    struct item **at = &o->items, *item;

    for (; *at; at = &(*at)->next) {
        if ((*at)->effect.revision == row->revision &&
            strcmp((*at)->effect.instance_id, row->owner) == 0) {
            (*at)->seen = true;
            return 0;
        }
    }
    item = calloc(1, sizeof(*item));
    if (!item)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    arena_init(&item->arena);
    unpack_effect(item, row);
    item->seen = true;
    *at = item;
    return 0;
}

static void drop_unseen(struct outbox *o)
{
    for (struct item **at = &o->items; *at;) {
        struct item *item = *at;

        if (item->seen || item->running) {
            item->gone = !item->seen;
            item->seen = false;
            at = &item->next;
        } else {
            *at = item->next;
            item_free(item);
        }
    }
}

static void *work(void *argument);

static void start_workers(struct outbox *o)
{
    while (!o->cloud->stepped && o->ops && o->items && o->worker_count < WORKERS) {
        if (pthread_create(&o->workers[o->worker_count], NULL, work, o) != 0) {
            log_line(LOG_ERROR, "no more threads for effects", NULL);
            return;
        }
        o->worker_count++;
    }
}

static int read_rows(struct cloud *cloud, struct error *err)
{
    struct outbox *o = cloud->outbox;
    int rc;

    pthread_mutex_lock(&o->lock);
    rc = store_outbox_each(cloud->store, keep_row, o, err);
    if (rc == 0) {
        drop_unseen(o);
        start_workers(o);
    }
    pthread_cond_broadcast(&o->wake);
    pthread_mutex_unlock(&o->lock);
    return rc;
}

void outbox_committed(struct cloud *cloud)
{
    struct outbox *o = cloud->outbox;
    struct error err = {0};

    if (cloud->ledger.outbox_changed && read_rows(cloud, &err) < 0)
        log_line(LOG_ERROR, "the outbox could not be read", "error", err.message, NULL);
    if (cloud->ledger.clusters_changed) {
        pthread_mutex_lock(&o->lock);
        if (o->ops)
            o->ops->look(o->context);
        pthread_mutex_unlock(&o->lock);
    }
    cloud->ledger.outbox_changed = cloud->ledger.clusters_changed = false;
}

// --- running ---

// An effect waits for an older one of the same instance that is still running.
static bool is_held_up(const struct outbox *o, const struct item *item)
{
    for (const struct item *other = o->items; other != item; other = other->next) {
        if (other->running && strcmp(other->effect.instance_id, item->effect.instance_id) == 0)
            return true;
    }
    return false;
}

// The next effect to run now, or when to look again.
static struct item *pick(struct outbox *o, int64_t *out_until)
{
    int64_t now = clock_monotonic();

    *out_until = INT64_MAX;
    for (struct item *item = o->items; item; item = item->next) {
        if (item->running || is_held_up(o, item))
            continue;
        if (item->not_before <= now)
            return item;
        *out_until = item->not_before < *out_until ? item->not_before : *out_until;
    }
    return NULL;
}

static int report(struct cloud *cloud, const struct effect_report *what, struct error *err)
{
    struct change *c = change_new(effect_observe, "backend.effect");
    int rc;

    if (!c)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    c->cause = CAUSE_BACKEND;
    c->request.effect = *what;
    rc = cloud_apply(cloud, c);
    if (rc < 0)
        error_set(err, c->error.code, c->error.field, "%s", c->error.message);
    change_free(c);
    return rc;
}

static bool is_final(const struct error *err)
{
    return err->code == ERROR_INVALID || err->code == ERROR_NOT_FOUND ||
           err->code == ERROR_EXISTS || err->code == ERROR_STATE;
}

// Tells why it is not done, once per reason.
static void report_failure(struct outbox *o, struct item *item, const struct error *why)
{
    struct effect_report what = {.effect = &item->effect,
                                 .message = why->message,
                                 .failed = is_final(why),
                                 .reason = is_final(why) ? "backend-failed" : "backend-retry"};
    struct error err = {0};

    if (!what.failed && strcmp(item->last_message, why->message) == 0)
        return;
    memcpy(item->last_message, why->message, sizeof(item->last_message));
    log_line(LOG_WARN, "an effect failed", "id", item->effect.instance_id, "error", why->message,
             NULL);
    if (report(o->cloud, &what, &err) < 0)
        log_line(LOG_WARN, "a report was refused", "error", err.message, NULL);
}

// Outside the lock. 0: it is done and its row gone.
static int run(struct outbox *o, struct item *item)
{
    struct container container = {0};
    struct error err = {0};
    struct arena arena;
    int rc;

    arena_init(&arena);
    rc = o->ops->run[item->effect.action](o->context, &item->effect, &arena, &container, &err);
    if (rc == 0) {
        struct effect_report what = {.effect = &item->effect, .container = &container};

        rc = report(o->cloud, &what, &err);
    } else if (!o->stopping) {
        report_failure(o, item, &err);
    }
    arena_fini(&arena);
    return rc;
}

static int64_t backoff(int attempts)
{
    int64_t delay = BACKOFF_FIRST << (attempts < 10 ? attempts : 10);

    return delay < BACKOFF_MAX ? delay : BACKOFF_MAX;
}

static void run_one(struct outbox *o, struct item *item)
{
    int rc;

    item->running = true;
    pthread_mutex_unlock(&o->lock);
    rc = run(o, item);
    pthread_mutex_lock(&o->lock);
    item->running = false;
    item->not_before = clock_monotonic() + (rc < 0 ? backoff(item->attempts++) : 0);
    if (item->gone) {
        struct item **at = &o->items;

        while (*at != item)
            at = &(*at)->next;
        *at = item->next;
        item_free(item);
    }
    pthread_cond_broadcast(&o->wake);
}

bool cloud_run_effect(struct cloud *cloud)
{
    struct outbox *o = cloud->outbox;
    struct item *next = NULL;

    pthread_mutex_lock(&o->lock);
    for (struct item *item = o->items; o->ops && item; item = item->next) {
        if (!is_held_up(o, item) && (!next || item->not_before < next->not_before))
            next = item;
    }
    if (next)
        run_one(o, next);
    pthread_mutex_unlock(&o->lock);
    return next != NULL;
}

static void *work(void *argument)
{
    struct outbox *o = argument;
    int64_t until;

    pthread_mutex_lock(&o->lock);
    while (!o->stopping) {
        struct item *item = pick(o, &until);

        if (item)
            run_one(o, item);
        else
            thread_wait_until(&o->wake, &o->lock, until);
    }
    pthread_mutex_unlock(&o->lock);
    return NULL;
}

// --- life ---

struct outbox *outbox_new(struct cloud *cloud)
{
    struct outbox *o = calloc(1, sizeof(*o));

    if (!o)
        return NULL;
    o->cloud = cloud;
    pthread_mutex_init(&o->lock, NULL);
    thread_condition_init(&o->wake);
    return o;
}

void outbox_free(struct outbox *o)
{
    if (!o)
        return;
    while (o->items) {
        struct item *item = o->items;

        o->items = item->next;
        item_free(item);
    }
    pthread_cond_destroy(&o->wake);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

// Runs on the writer thread, which alone may read the rows.
static int attach(struct txn *t, struct change *c, struct error *err)
{
    (void)c;
    (void)err;
    t->cloud->ledger.outbox_changed = true;
    t->cloud->ledger.clusters_changed = true;
    return 0;
}

int cloud_backend_attach(struct cloud *cloud, const struct backend_ops *ops, void *context,
                         struct error *err)
{
    struct outbox *o = cloud->outbox;
    struct change *c = change_new(attach, "backend.attach");
    int rc;

    if (!c)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    pthread_mutex_lock(&o->lock);
    o->ops = ops;
    o->context = context;
    o->stopping = false;
    pthread_mutex_unlock(&o->lock);
    c->cause = CAUSE_BACKEND;
    rc = cloud_apply(cloud, c);
    if (rc < 0)
        error_set(err, c->error.code, NULL, "%s", c->error.message);
    change_free(c);
    return rc;
}

void cloud_backend_detach(struct cloud *cloud)
{
    struct outbox *o = cloud->outbox;

    if (!o || !o->ops)
        return;
    pthread_mutex_lock(&o->lock);
    o->stopping = true;
    pthread_cond_broadcast(&o->wake);
    pthread_mutex_unlock(&o->lock);
    o->ops->cancel(o->context);
    for (size_t n = 0; n < o->worker_count; n++)
        pthread_join(o->workers[n], NULL);
    pthread_mutex_lock(&o->lock);
    o->worker_count = 0;
    o->ops = NULL;
    pthread_mutex_unlock(&o->lock);
}

bool cloud_has_backend(struct cloud *cloud)
{
    struct outbox *o = cloud->outbox;
    bool has;

    pthread_mutex_lock(&o->lock);
    has = o->ops != NULL;
    pthread_mutex_unlock(&o->lock);
    return has;
}

int cloud_report_progress(struct cloud *cloud, const struct effect *e, const char *message,
                          struct error *err)
{
    struct effect_report what = {.effect = e, .message = message, .reason = "provisioning"};

    return report(cloud, &what, err);
}
