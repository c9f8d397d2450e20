#include "api/stream.h"

#include "base/clock.h"
#include "base/timefmt.h"
#include "sim/fault.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENTS_AT_ONCE 32
#define BYTES_AT_ONCE ((size_t)16 * 1024)
#define ENOUGH (-10000) // stops an enumeration; no error code

struct stream {
    struct streams *all;
    void *context;
    struct event_query query; // since: everything up to there is sent or pending
    int64_t epoch;            // of the cloud that it follows: the stream ends with that
    int64_t projects_ended;   // when it was last made sure that its project is there
    int64_t spoke_ns;         // monotonic: when it last had something to send
    struct buffer pending;    // frames not taken yet, from `taken` on
    size_t taken;
    bool parked;

    // Fault rules: what was decided about the event that comes next.
    struct stream_caller caller;
    int64_t opened_ns;
    int64_t decided; // its revision; 0: nothing yet
    int64_t held_ns; // monotonic: not before; 0: at once
    bool twice;
    bool cut;                       // the stream ends before it
    struct stream *next, *previous; // of those parked
};

struct streams {
    struct cloud *cloud;
    struct stream_sleeper sleeper;
    int64_t comment_after_ns; // of silence
    int64_t tick_ns;          // between looks at who is silent
    pthread_t notifier;
    pthread_mutex_t lock;
    pthread_cond_t changed; // the first stream, or the end
    struct stream *parked;
    int64_t next_held_ns; // of those parked; INT64_MAX: none is held
    size_t count;
    atomic_bool stopping;
};

// --- the parked ---

static void unpark(struct stream *s)
{
    struct streams *all = s->all;

    if (s->previous)
        s->previous->next = s->next;
    else
        all->parked = s->next;
    if (s->next)
        s->next->previous = s->previous;
    s->next = s->previous = NULL;
    s->parked = false;
}

static bool is_due(const struct stream *s, int64_t revision, int64_t epoch, int64_t now)
{
    if (s->all->stopping || s->epoch != epoch || now - s->spoke_ns >= s->all->comment_after_ns)
        return true;
    return s->held_ns > 0 ? now >= s->held_ns : s->query.since < revision;
}

static void note_held(struct streams *all, const struct stream *s)
{
    if (s->held_ns > 0 && s->held_ns < all->next_held_ns)
        all->next_held_ns = s->held_ns;
}

static void wake_due(struct streams *all, int64_t revision)
{
    int64_t now = clock_monotonic(), epoch = cloud_epoch(all->cloud);
    struct stream *next;

    all->next_held_ns = INT64_MAX;
    for (struct stream *s = all->parked; s; s = next) {
        next = s->next;
        if (is_due(s, revision, epoch, now)) {
            unpark(s);
            all->sleeper.wake(s->context);
        } else {
            note_held(all, s);
        }
    }
}

// Sleeps for good while there is no stream: a commit then costs nothing here.
static void *notify(void *context)
{
    struct streams *all = context;

    pthread_mutex_lock(&all->lock);
    while (!all->stopping) {
        int64_t seen, until;
        if (all->count == 0) {
            pthread_cond_wait(&all->changed, &all->lock);
            continue;
        }
        seen = cloud_revision(all->cloud);
        wake_due(all, seen);
        until = clock_monotonic() + all->tick_ns;
        until = until < all->next_held_ns ? until : all->next_held_ns;
        pthread_mutex_unlock(&all->lock);
        cloud_wait_revision(all->cloud, seen, until);
        pthread_mutex_lock(&all->lock);
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

// False: there is something to do after all.
static bool park(struct stream *s)
{
    struct streams *all = s->all;
    bool parked = false, sooner = false;

    pthread_mutex_lock(&all->lock);
    if (!all->stopping && cloud_epoch(all->cloud) == s->epoch &&
        (s->held_ns > 0 || cloud_revision(all->cloud) <= s->query.since)) {
        sooner = s->held_ns > 0 && s->held_ns < all->next_held_ns;
        note_held(all, s);
        s->next = all->parked;
        if (s->next)
            s->next->previous = s;
        all->parked = s;
        s->parked = parked = true;
        all->sleeper.park(s->context);
    }
    pthread_mutex_unlock(&all->lock);
    if (sooner) // the notifier would sleep too long
        cloud_wake(all->cloud);
    return parked;
}

// --- all of them ---

int streams_new(struct cloud *cloud, int64_t keepalive_ns, const struct stream_sleeper *sleeper,
                struct streams **out, struct error *err)
{
    struct streams *all = calloc(1, sizeof(*all));

    if (!all)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    all->cloud = cloud;
    all->sleeper = *sleeper;
    all->next_held_ns = INT64_MAX;
    all->tick_ns = keepalive_ns / 15;
    all->comment_after_ns = keepalive_ns - 2 * all->tick_ns;
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->changed, NULL);
    if (pthread_create(&all->notifier, NULL, notify, all) != 0) {
        free(all);
        return error_set(err, ERROR_INTERNAL, NULL, "no more threads");
    }
    *out = all;
    return 0;
}

static int join_for(pthread_t thread, int64_t ns)
{
    int64_t until = clock_wall() + ns;
    struct timespec deadline = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};

    return pthread_timedjoin_np(thread, NULL, &deadline);
}

void streams_stop(struct streams *all)
{
    pthread_mutex_lock(&all->lock);
    atomic_store(&all->stopping, true);
    wake_due(all, INT64_MAX);
    pthread_cond_signal(&all->changed);
    pthread_mutex_unlock(&all->lock);
    do // it may have been just about to wait
        cloud_wake(all->cloud);
    while (join_for(all->notifier, 10 * NS_PER_MS) == ETIMEDOUT);
}

void streams_free(struct streams *all)
{
    if (!all)
        return;
    pthread_cond_destroy(&all->changed);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

size_t streams_count(struct streams *all)
{
    size_t count;

    pthread_mutex_lock(&all->lock);
    count = all->count;
    pthread_mutex_unlock(&all->lock);
    return count;
}

// --- one of them ---

struct filling {
    struct stream *stream;
    int count;
};

// What fault rules do to this event on this stream. Those about rules meet none: a firing that made
// another fire would never end.
static void decide(struct stream *s, const struct event *event)
{
    struct fault_target target = {.kind = (int)event->kind, .id = event->id};
    struct fault_call call = {.places = FAULT_BIT(FAULT_AT_STREAM),
                              .operation = "events.list",
                              .project = s->query.project,
                              .scope = s->caller.scope,
                              .user_agent = s->caller.user_agent,
                              .target = &target};
    int64_t seen = event->published_ns > s->opened_ns ? event->published_ns : s->opened_ns;
    const struct fault_fired *lag;
    struct fault_verdict verdict;

    s->decided = event->revision;
    s->twice = false;
    if (event->kind == KIND_FAULT || !fault_any(s->all->cloud))
        return;
    fault_decide(s->all->cloud, &call, &verdict);
    lag = fault_verdict_find(&verdict, FAULT_STREAM_LAG);
    s->held_ns = lag ? seen + lag->fault->effect.duration_ns : 0;
    s->twice = fault_verdict_find(&verdict, FAULT_STREAM_DUPLICATE) != NULL;
    s->cut = fault_verdict_find(&verdict, FAULT_STREAM_CUT) != NULL;
    fault_verdict_fini(&verdict);
}

// Whether it may be sent now.
static bool goes(struct stream *s, const struct event *event)
{
    if (s->decided != event->revision)
        decide(s, event);
    if (s->held_ns > 0 && clock_monotonic() >= s->held_ns)
        s->held_ns = 0;
    return s->held_ns == 0 && !s->cut;
}

static void append_frame(struct stream *s, const struct event *event, struct bytes envelope)
{
    static const char *const types[] = {[EVENT_CREATED] = "created",
                                        [EVENT_UPDATED] = "updated",
                                        [EVENT_DELETED] = "deleted",
                                        [EVENT_FIRED] = "fired"};

    struct buffer *out = &s->pending;

    buffer_printf(out, "id: %" PRId64, event->revision);
    if (s->epoch > 0)
        buffer_printf(out, "-%" PRId64, s->epoch);
    buffer_printf(out, "\nevent: %s.%s\ndata: ", kind_name(event->kind), types[event->type]);
    buffer_append(out, envelope.data, envelope.length);
    buffer_append(out, "\n\n", 2);
}

static int put_frame(void *context, const struct event *event, struct bytes envelope)
{
    struct filling *filling = context;
    struct stream *s = filling->stream;

    if (!goes(s, event))
        return ENOUGH;
    append_frame(s, event, envelope);
    if (s->twice)
        append_frame(s, event, envelope);
    s->query.since = event->revision;
    filling->count++;
    return s->pending.length >= BYTES_AT_ONCE ? ENOUGH : 0;
}

// Takes the next events. Afterwards query.since is as far as was read.
static int fill_some(struct stream *s, struct error *err)
{
    struct filling filling = {.stream = s};
    struct event_query query = s->query;
    int64_t newest;
    int result;

    query.limit = EVENTS_AT_ONCE;
    result = cloud_events(s->all->cloud, &query, put_frame, &filling, &newest, err);
    if (result == ENOUGH)
        return 0;
    if (result < 0)
        return result;
    if (filling.count < EVENTS_AT_ONCE && newest > s->query.since)
        s->query.since = newest;
    return s->pending.failed ? -ERROR_INTERNAL : 0;
}

// Events of another cloud than the one that is followed are not given out.
static int fill(struct stream *s, struct error *err)
{
    int result = fill_some(s, err);

    if (cloud_epoch(s->all->cloud) == s->epoch)
        return result;
    buffer_clear(&s->pending);
    return error_set(err, ERROR_COMPACTED, "since", "the cloud was replaced meanwhile");
}

int stream_open(struct streams *all, const struct event_query *query, int64_t epoch,
                const struct stream_caller *caller, void *context, struct stream **out,
                struct error *err)
{
    struct stream *s = calloc(1, sizeof(*s));
    int result = 0;

    if (!s)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    *s = (struct stream){
        .all = all, .context = context, .query = *query, .epoch = epoch, .caller = *caller};
    s->spoke_ns = s->opened_ns = clock_monotonic();
    // A greeting, so that the head of the answer leaves at once.
    buffer_append_string(&s->pending, ": mockcloud\n\n");
    result = fill(s, err);
    if (result < 0) {
        buffer_fini(&s->pending);
        free(s);
        return result;
    }
    pthread_mutex_lock(&all->lock);
    if (all->count++ == 0)
        pthread_cond_signal(&all->changed);
    pthread_mutex_unlock(&all->lock);
    *out = s;
    return 0;
}

void stream_close(struct stream *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->all->lock);
    if (s->parked)
        unpark(s);
    s->all->count--;
    pthread_mutex_unlock(&s->all->lock);
    buffer_fini(&s->pending);
    free(s);
}

// Whether what it follows is still there: the server, the cloud, the project.
static bool goes_on(struct stream *s)
{
    struct cloud *cloud = s->all->cloud;
    int64_t ended = cloud_projects_ended(cloud);

    if (atomic_load(&s->all->stopping) || cloud_epoch(cloud) != s->epoch)
        return false;
    if (ended == s->projects_ended || s->query.project == 0)
        return true;
    s->projects_ended = ended;
    return cloud_project_lives(cloud, s->query.project);
}

static bool has_news(const struct stream *s, int64_t now)
{
    return s->held_ns > 0 ? now >= s->held_ns : cloud_revision(s->all->cloud) > s->query.since;
}

// Makes `pending` non-empty. 1 done, 0 parked, negative: STREAM_….
static int refill(struct stream *s)
{
    int64_t now = clock_monotonic();

    for (;;) {
        if (!goes_on(s))
            return STREAM_ENDED;
        if (!s->cut && has_news(s, clock_monotonic()) && fill(s, NULL) < 0)
            return STREAM_ENDED;
        if (s->cut && s->pending.length == 0)
            return STREAM_CUT;
        if (s->pending.length == 0 && now - s->spoke_ns >= s->all->comment_after_ns)
            buffer_append_string(&s->pending, ": still here\n\n");
        if (s->pending.length > 0)
            break;
        if (park(s))
            return 0;
    }
    s->spoke_ns = now;
    return 1;
}

ssize_t stream_read(struct stream *s, char *out, size_t size)
{
    size_t length = s->pending.length - s->taken;

    if (length == 0) {
        int result = refill(s);
        if (result <= 0)
            return result;
        length = s->pending.length;
    }
    length = length < size ? length : size;
    memcpy(out, s->pending.data + s->taken, length);
    s->taken += length;
    if (s->taken == s->pending.length) { // idle ones keep no memory
        buffer_fini(&s->pending);
        s->taken = 0;
    }
    return (ssize_t)length;
}
