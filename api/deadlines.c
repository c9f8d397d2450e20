#include "api/deadlines.h"

#include "base/timefmt.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 64
#define NOWHERE SIZE_MAX

// What epoll hands back is a number, not a pointer: the deadline may have ended meanwhile.
enum { EVENT_TIMER, EVENT_NUDGE, EVENT_SOCKET };

struct ticket {
    struct deadline *holder; // NULL: free
    uint32_t generation;
    uint32_t next_free;
};

struct deadlines {
    struct cloud *cloud;
    pthread_t thread;
    pthread_mutex_t lock;
    int epoll, timer, nudge;
    bool stopping;
    bool clock_changed;
    struct deadline **heap; // smallest at_ns first
    size_t count, capacity;
    struct ticket *tickets;
    uint32_t ticket_count, free_ticket; // free_ticket: 1 + index; 0: none
};

// --- the heap ---

static void put_at(struct deadlines *q, size_t slot, struct deadline *d)
{
    q->heap[slot] = d;
    d->slot = slot;
}

static void sift_up(struct deadlines *q, size_t slot)
{
    struct deadline *d = q->heap[slot];

    while (slot > 0 && q->heap[(slot - 1) / 2]->at_ns > d->at_ns) {
        put_at(q, slot, q->heap[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    put_at(q, slot, d);
}

static void sift_down(struct deadlines *q, size_t slot)
{
    struct deadline *d = q->heap[slot];

    for (;;) {
        size_t child = 2 * slot + 1;
        if (child >= q->count)
            break;
        if (child + 1 < q->count && q->heap[child + 1]->at_ns < q->heap[child]->at_ns)
            child++;
        if (q->heap[child]->at_ns >= d->at_ns)
            break;
        put_at(q, slot, q->heap[child]);
        slot = child;
    }
    put_at(q, slot, d);
}

static void *grow(void *items, size_t capacity, size_t size)
{
    items = realloc(items, capacity * size);
    if (!items)
        abort(); // as arenas do
    return items;
}

static void push(struct deadlines *q, struct deadline *d)
{
    if (q->count == q->capacity) {
        q->capacity = q->capacity ? 2 * q->capacity : 64;
        q->heap = grow(q->heap, q->capacity, sizeof(struct deadline *));
    }
    put_at(q, q->count++, d);
    sift_up(q, d->slot);
}

static void take_out(struct deadlines *q, struct deadline *d)
{
    size_t slot = d->slot;
    struct deadline *last = q->heap[--q->count];

    d->slot = NOWHERE;
    if (last == d)
        return;
    put_at(q, slot, last);
    sift_up(q, slot);
    sift_down(q, last->slot);
}

// --- sockets ---

static uint64_t event_of(const struct deadlines *q, uint32_t ticket)
{
    return EVENT_SOCKET + ((uint64_t)q->tickets[ticket].generation << 32 | ticket);
}

static void watch(struct deadlines *q, struct deadline *d)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLONESHOT};

    if (d->fd < 0)
        return;
    if (q->free_ticket == 0) {
        q->tickets = grow(q->tickets, q->ticket_count + 1U, sizeof(*q->tickets));
        q->tickets[q->ticket_count] = (struct ticket){0};
        q->free_ticket = ++q->ticket_count;
    }
    d->ticket = q->free_ticket - 1;
    q->free_ticket = q->tickets[d->ticket].next_free;
    q->tickets[d->ticket].holder = d;
    event.data.u64 = event_of(q, d->ticket);
    epoll_ctl(q->epoll, EPOLL_CTL_ADD, d->fd, &event);
}

static void unwatch(struct deadlines *q, struct deadline *d)
{
    struct ticket *t;

    if (d->fd < 0)
        return;
    epoll_ctl(q->epoll, EPOLL_CTL_DEL, d->fd, NULL);
    t = &q->tickets[d->ticket];
    t->holder = NULL;
    t->generation = (t->generation + 1) & 0x3fffffff;
    t->next_free = q->free_ticket;
    q->free_ticket = d->ticket + 1;
}

static void end(struct deadlines *q, struct deadline *d, enum deadline_end why)
{
    take_out(q, d);
    unwatch(q, d);
    d->wake(d, why);
}

static void client_gone(struct deadlines *q, uint64_t event)
{
    uint64_t number = event - EVENT_SOCKET;
    uint32_t ticket = (uint32_t)number, generation = (uint32_t)(number >> 32);
    struct ticket *t = ticket < q->ticket_count ? &q->tickets[ticket] : NULL;

    if (t && t->holder && t->generation == generation)
        end(q, t->holder, DEADLINE_GONE);
}

// --- time ---

static void arm(struct deadlines *q)
{
    int64_t at = q->count > 0 ? q->heap[0]->at_ns : 0;
    struct itimerspec when = {{0}, {0}};

    if (q->count > 0 && at < INT64_MAX) {
        at = at > 0 ? at : 1; // zero would disarm it
        when.it_value = (struct timespec){.tv_sec = at / NS_PER_S, .tv_nsec = at % NS_PER_S};
    }
    timerfd_settime(q->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static int64_t moment_of(const struct deadlines *q, const struct deadline *d)
{
    return d->monotonic_ns ? d->monotonic_ns : cloud_monotonic_at(q->cloud, d->cloud_ns);
}

// The clock was moved, stopped or made faster: waits in cloud time have other ends.
static void reckon_anew(struct deadlines *q)
{
    for (size_t i = 0; i < q->count; i++)
        q->heap[i]->at_ns = moment_of(q, q->heap[i]);
    for (size_t i = q->count; i-- > 0;)
        sift_down(q, i);
}

static void nudge(struct deadlines *q)
{
    uint64_t one = 1;

    while (write(q->nudge, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

// On the writer thread.
static void clock_changed(void *context)
{
    struct deadlines *q = context;

    pthread_mutex_lock(&q->lock);
    q->clock_changed = true;
    pthread_mutex_unlock(&q->lock);
    nudge(q);
}

static void empty(int fd)
{
    uint64_t ignored;

    while (read(fd, &ignored, sizeof(ignored)) < 0 && errno == EINTR)
        ;
}

// Cloud time may have stood still now and then (clock_hold): then it is put off, and by no less
// than it takes to do something else while it still stands.
static bool has_come(struct deadlines *q, struct deadline *d)
{
    int64_t soon;

    if (d->monotonic_ns || cloud_now(q->cloud) >= d->cloud_ns)
        return true;
    soon = clock_monotonic() + NS_PER_MS;
    d->at_ns = moment_of(q, d);
    if (d->at_ns < soon)
        d->at_ns = soon;
    sift_down(q, d->slot);
    return false;
}

static void end_due(struct deadlines *q)
{
    int64_t now = clock_monotonic();

    while (q->count > 0 && (q->stopping || q->heap[0]->at_ns <= now)) {
        struct deadline *d = q->heap[0];
        if (q->stopping)
            end(q, d, DEADLINE_STOPPED);
        else if (has_come(q, d))
            end(q, d, DEADLINE_DUE);
    }
    arm(q);
}

static void *run(void *context)
{
    struct deadlines *q = context;
    struct epoll_event events[EVENTS_AT_ONCE];
    bool going = true;

    while (going) {
        int count = epoll_wait(q->epoll, events, EVENTS_AT_ONCE, -1);
        pthread_mutex_lock(&q->lock);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == EVENT_TIMER)
                empty(q->timer);
            else if (events[i].data.u64 == EVENT_NUDGE)
                empty(q->nudge);
            else
                client_gone(q, events[i].data.u64);
        }
        if (q->clock_changed)
            reckon_anew(q);
        q->clock_changed = false;
        end_due(q);
        going = !q->stopping;
        pthread_mutex_unlock(&q->lock);
    }
    return NULL;
}

// --- all of it ---

static int add_fd(struct deadlines *q, int fd, uint64_t event)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = event};

    return fd < 0 ? -1 : epoll_ctl(q->epoll, EPOLL_CTL_ADD, fd, &e);
}

static void close_all(struct deadlines *q)
{
    const int fds[] = {q->epoll, q->timer, q->nudge};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    pthread_mutex_destroy(&q->lock);
    free(q->heap);
    free(q->tickets);
    free(q);
}

int deadlines_new(struct cloud *cloud, struct deadlines **out, struct error *err)
{
    struct deadlines *q = calloc(1, sizeof(*q));

    if (!q)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    q->cloud = cloud;
    pthread_mutex_init(&q->lock, NULL);
    q->epoll = epoll_create1(EPOLL_CLOEXEC);
    q->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    q->nudge = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->epoll < 0 || add_fd(q, q->timer, EVENT_TIMER) < 0 ||
        add_fd(q, q->nudge, EVENT_NUDGE) < 0 || pthread_create(&q->thread, NULL, run, q) != 0) {
        error_set(err, ERROR_INTERNAL, NULL, "the timer queue does not start: %s", strerror(errno));
        close_all(q);
        return -ERROR_INTERNAL;
    }
    cloud_on_clock(cloud, clock_changed, q);
    *out = q;
    return 0;
}

void deadlines_stop(struct deadlines *q)
{
    cloud_on_clock(q->cloud, NULL, NULL);
    pthread_mutex_lock(&q->lock);
    q->stopping = true;
    pthread_mutex_unlock(&q->lock);
    nudge(q);
    pthread_join(q->thread, NULL);
}

void deadlines_free(struct deadlines *q)
{
    if (q)
        close_all(q);
}

void deadlines_add(struct deadlines *q, struct deadline *d)
{
    pthread_mutex_lock(&q->lock);
    if (q->stopping) {
        d->slot = NOWHERE;
        d->wake(d, DEADLINE_STOPPED);
    } else {
        d->at_ns = moment_of(q, d);
        watch(q, d);
        push(q, d);
        if (d->slot == 0)
            arm(q);
    }
    pthread_mutex_unlock(&q->lock);
}

bool deadlines_cancel(struct deadlines *q, struct deadline *d)
{
    bool waiting;

    pthread_mutex_lock(&q->lock);
    waiting = d->slot != NOWHERE;
    if (waiting) {
        take_out(q, d);
        unwatch(q, d);
    }
    pthread_mutex_unlock(&q->lock);
    return waiting;
}

size_t deadlines_count(struct deadlines *q)
{
    size_t count;

    pthread_mutex_lock(&q->lock);
    count = q->count;
    pthread_mutex_unlock(&q->lock);
    return count;
}
