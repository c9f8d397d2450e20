#include "backend/forward.h"

#include "base/log.h"
#include "base/timefmt.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)16 * 1024)
#define EVENTS 64
#define AGAIN_NS (3 * NS_PER_S) // until an address that could not be listened on is tried again
#define BACKLOG 128

// What an epoll event is about; the first member of what it is in.
enum what { WAKE, LISTENER, CLIENT, TARGET };
struct source {
    enum what what;
    int fd;
    void *owner;
};

struct door { // where connections come in
    struct source source;
    struct door *next;
    struct forward_listener now; // its targets are in the table
    size_t turn;
    bool wanted;
};

// One direction: what was read from one side and is not yet written to the other.
struct flow {
    char bytes[BUFFER_SIZE];
    size_t from, to;
    bool ended; // nothing more will be read
    bool shut;  // and the other side was told
};

// A client's connection and the target's. `connecting`: the target has not answered yet.
struct pair {
    struct source client, target;
    struct pair *next;
    struct forward_endpoint left[8]; // targets to try after this one
    size_t left_count;
    struct flow up, down; // client to target, target to client
    bool connecting;
    bool dead; // closed; freed after the events at hand
    int64_t idle_ns, active_ns;
};

struct forward {
    struct cloud *cloud;
    pthread_t follower, mover;
    bool following, moving;
    atomic_bool stopping;
    pthread_mutex_t lock;
    struct forward_table *next; // the follower's newest, for the mover to take
    struct source wake;
    int epoll;

    // the mover's own
    struct forward_table *table;
    struct door *listeners;
    struct pair *pairs;
    size_t pair_count;
    int64_t tried_ns;
    bool failed; // to listen somewhere
};

// --- sockets ---

static socklen_t sockaddr_of(const struct forward_endpoint *at, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (at->ip.family == IP_V4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)at->port);
        memcpy(&in->sin_addr, at->ip.bytes, 4);
        return sizeof(*in);
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)at->port);
    memcpy(&in6->sin6_addr, at->ip.bytes, 16);
    return sizeof(*in6);
}

static int open_socket(const struct forward_endpoint *at)
{
    int family = at->ip.family == IP_V4 ? AF_INET : AF_INET6;

    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static bool watch(const struct forward *f, struct source *source, uint32_t events, bool add)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    return epoll_ctl(f->epoll, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, source->fd, &event) == 0;
}

// --- pairs ---

static void pair_close(struct forward *f, struct pair *p)
{
    if (p->dead)
        return;
    p->dead = true;
    close(p->client.fd);
    if (p->target.fd >= 0)
        close(p->target.fd);
    f->pair_count--;
}

static void pairs_free_dead(struct forward *f, bool all)
{
    for (struct pair **at = &f->pairs; *at;) {
        struct pair *p = *at;
        if (all)
            pair_close(f, p);
        if (!p->dead) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        free(p);
    }
}

// What each side waits for follows from what lies in the two flows.
static void pair_watch(const struct forward *f, struct pair *p)
{
    uint32_t client = 0, target = 0;

    if (p->connecting) {
        watch(f, &p->client, 0, false);
        watch(f, &p->target, EPOLLOUT, false);
        return;
    }
    if (!p->up.ended && p->up.to == 0)
        client |= EPOLLIN;
    if (p->down.to > 0)
        client |= EPOLLOUT;
    if (!p->down.ended && p->down.to == 0)
        target |= EPOLLIN;
    if (p->up.to > 0)
        target |= EPOLLOUT;
    watch(f, &p->client, client, false);
    watch(f, &p->target, target, false);
}

// The next of its targets that does not refuse at once.
static bool pair_connect(struct forward *f, struct pair *p)
{
    struct sockaddr_storage address;

    while (p->left_count > 0) {
        const struct forward_endpoint *at = &p->left[--p->left_count];
        socklen_t length = sockaddr_of(at, &address);

        p->target = (struct source){.what = TARGET, .fd = open_socket(at), .owner = p};
        if (p->target.fd < 0)
            return false;
        if ((connect(p->target.fd, (struct sockaddr *)&address, length) == 0 ||
             errno == EINPROGRESS) &&
            watch(f, &p->target, EPOLLOUT, true)) {
            p->connecting = true;
            return true;
        }
        close(p->target.fd);
        p->target.fd = -1;
    }
    return false;
}

// The targets in turn, the first to be tried last in the list.
static void choose_targets(struct pair *p, struct door *l)
{
    size_t count = l->now.target_count, room = sizeof(p->left) / sizeof(p->left[0]);

    p->left_count = count < room ? count : room;
    for (size_t i = 0; i < p->left_count; i++)
        p->left[p->left_count - 1 - i] = l->now.targets[(l->turn + i) % count];
    l->turn++;
}

static void accept_one(struct forward *f, struct door *l, int fd)
{
    struct pair *p = f->pair_count < FORWARD_CONNECTIONS ? calloc(1, sizeof(*p)) : NULL;

    if (!p) {
        close(fd);
        return;
    }
    p->client = (struct source){.what = CLIENT, .fd = fd, .owner = p};
    p->target.fd = -1;
    p->idle_ns = l->now.idle_ns;
    p->active_ns = clock_monotonic();
    p->next = f->pairs;
    f->pairs = p;
    f->pair_count++;
    choose_targets(p, l);
    if (!watch(f, &p->client, 0, true) || !pair_connect(f, p))
        pair_close(f, p);
}

static void accept_all(struct forward *f, struct door *l)
{
    int fd;

    while ((fd = accept4(l->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        accept_one(f, l, fd);
}

// --- bytes ---

// Both return false when the connection is broken.
static bool flow_read(struct flow *flow, int fd)
{
    ssize_t length;

    if (flow->ended || flow->to > 0)
        return true;
    length = recv(fd, flow->bytes, BUFFER_SIZE, 0);
    if (length < 0)
        return errno == EAGAIN || errno == EINTR;
    flow->ended = length == 0;
    flow->to = (size_t)length;
    return true;
}

static bool flow_write(struct flow *flow, int fd)
{
    while (flow->from < flow->to) {
        ssize_t length = send(fd, flow->bytes + flow->from, flow->to - flow->from, MSG_NOSIGNAL);
        if (length < 0)
            return errno == EAGAIN || errno == EINTR;
        flow->from += (size_t)length;
    }
    flow->from = flow->to = 0;
    if (flow->ended && !flow->shut) {
        flow->shut = true;
        shutdown(fd, SHUT_WR);
    }
    return true;
}

static void pair_move(struct forward *f, struct pair *p)
{
    p->active_ns = clock_monotonic();
    if (!flow_read(&p->up, p->client.fd) || !flow_write(&p->up, p->target.fd) ||
        !flow_read(&p->down, p->target.fd) || !flow_write(&p->down, p->client.fd) ||
        (p->up.shut && p->down.shut))
        pair_close(f, p);
    else
        pair_watch(f, p);
}

static void pair_connected(struct forward *f, struct pair *p)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (getsockopt(p->target.fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0) {
        p->connecting = false;
        pair_watch(f, p);
        return;
    }
    close(p->target.fd);
    p->target.fd = -1;
    if (!pair_connect(f, p))
        pair_close(f, p);
}

static void pair_event(struct forward *f, struct pair *p, const struct source *source,
                       uint32_t events)
{
    if (p->dead)
        return;
    if (p->connecting && source == &p->target)
        pair_connected(f, p);
    else if (source == &p->client && (events & (p->connecting ? EPOLLERR | EPOLLHUP : EPOLLERR)))
        pair_close(f, p);
    else if (!p->connecting)
        pair_move(f, p);
}

// --- listeners ---

static bool same(const struct forward_endpoint *a, const struct forward_endpoint *b)
{
    return a->port == b->port && ip_compare(&a->ip, &b->ip) == 0;
}

static struct door *find_listener(const struct forward *f, const struct forward_endpoint *at)
{
    for (struct door *l = f->listeners; l; l = l->next)
        if (same(&l->now.at, at))
            return l;
    return NULL;
}

static void log_listener(enum log_level level, const char *message, const struct door *l,
                         const char *error)
{
    char ip[IP_TEXT_MAX], port[8];

    ip_format(&l->now.at.ip, ip);
    snprintf(port, sizeof(port), "%d", l->now.at.port);
    log_line(level, message, "address", ip, "port", port, "error", error, NULL);
}

static struct door *open_listener(struct forward *f, const struct forward_listener *wanted)
{
    struct door *l = calloc(1, sizeof(*l));
    struct sockaddr_storage address;
    socklen_t length = sockaddr_of(&wanted->at, &address);
    int on = 1;

    if (!l)
        return NULL;
    l->now = *wanted;
    l->source = (struct source){.what = LISTENER, .fd = open_socket(&wanted->at), .owner = l};
    setsockopt(l->source.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (l->source.fd >= 0 && bind(l->source.fd, (struct sockaddr *)&address, length) == 0 &&
        listen(l->source.fd, BACKLOG) == 0 && watch(f, &l->source, EPOLLIN, true)) {
        l->next = f->listeners;
        f->listeners = l;
        log_listener(LOG_INFO, "load balancer listening", l, "");
        return l;
    }
    log_listener(f->failed ? LOG_DEBUG : LOG_WARN, "load balancer does not listen", l,
                 strerror(errno));
    if (l->source.fd >= 0)
        close(l->source.fd);
    free(l);
    return NULL;
}

static void close_listeners(struct forward *f, bool all)
{
    for (struct door **at = &f->listeners; *at;) {
        struct door *l = *at;
        if (l->wanted && !all) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        close(l->source.fd);
        free(l);
    }
}

// The listeners become those of the table.
static void apply_table(struct forward *f)
{
    bool failed = false;

    for (struct door *l = f->listeners; l; l = l->next)
        l->wanted = false;
    for (size_t i = 0; f->table && i < f->table->count; i++) {
        struct forward_listener *wanted = &f->table->listeners[i];
        struct door *l = find_listener(f, &wanted->at);
        if (!l)
            l = open_listener(f, wanted);
        failed |= !l;
        if (l) {
            l->now = *wanted;
            l->wanted = true;
        }
    }
    close_listeners(f, false);
    f->failed = failed;
    f->tried_ns = clock_monotonic();
}

static void free_table(struct forward_table *table)
{
    if (table)
        forward_table_free(table);
    free(table);
}

static void take_table(struct forward *f)
{
    struct forward_table *next;
    uint64_t count;

    if (read(f->wake.fd, &count, sizeof(count)) < 0)
        return; // somebody has read it
    pthread_mutex_lock(&f->lock);
    next = f->next;
    f->next = NULL;
    pthread_mutex_unlock(&f->lock);
    if (next) {
        struct forward_table *old = f->table;
        f->table = next;
        apply_table(f);
        free_table(old);
    }
}

// --- the threads ---

static void close_idle(struct forward *f, int64_t now)
{
    for (struct pair *p = f->pairs; p; p = p->next)
        if (now - p->active_ns > p->idle_ns)
            pair_close(f, p);
}

static void handle(struct forward *f, const struct epoll_event *event)
{
    struct source *source = event->data.ptr;

    if (source->what == WAKE)
        take_table(f);
    else if (source->what == LISTENER)
        accept_all(f, source->owner);
    else
        pair_event(f, source->owner, source, event->events);
}

// The wake comes last: it closes listeners that other events may be about.
static void handle_all(struct forward *f, const struct epoll_event *events, int count)
{
    const struct epoll_event *wake = NULL;

    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == &f->wake)
            wake = &events[i];
        else
            handle(f, &events[i]);
    }
    if (wake)
        handle(f, wake);
}

static void *move(void *context)
{
    struct epoll_event events[EVENTS];
    struct forward *f = context;

    while (!atomic_load(&f->stopping)) {
        int count = epoll_wait(f->epoll, events, EVENTS, 1000);
        int64_t now = clock_monotonic();

        handle_all(f, events, count);
        close_idle(f, now);
        if (f->failed && now - f->tried_ns > AGAIN_NS)
            apply_table(f);
        pairs_free_dead(f, false);
    }
    return NULL;
}

static void wake(const struct forward *f)
{
    uint64_t one = 1;

    if (write(f->wake.fd, &one, sizeof(one)) < 0)
        log_line(LOG_ERROR, "the forwarder cannot be woken", "error", strerror(errno), NULL);
}

static void hand_over(struct forward *f)
{
    struct forward_table *table = calloc(1, sizeof(*table)), *old;
    struct error err = {0};

    if (!table || forward_table_read(f->cloud, table, &err) < 0) {
        log_line(LOG_WARN, "load balancers cannot be read", "error", err.message, NULL);
        free(table);
        return;
    }
    pthread_mutex_lock(&f->lock);
    old = f->next;
    f->next = table;
    pthread_mutex_unlock(&f->lock);
    free_table(old);
    wake(f);
}

static void *follow(void *context)
{
    struct forward *f = context;
    int64_t seen = -1;

    while (!atomic_load(&f->stopping)) {
        int64_t newest = cloud_wait_revision(f->cloud, seen, clock_monotonic() + NS_PER_S);
        if (newest != seen)
            hand_over(f);
        seen = newest;
    }
    return NULL;
}

int forward_start(struct cloud *cloud, struct forward **out, struct error *err)
{
    struct forward *f = calloc(1, sizeof(*f));

    if (!f)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    f->cloud = cloud;
    pthread_mutex_init(&f->lock, NULL);
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    f->wake = (struct source){.what = WAKE, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    if (f->epoll >= 0 && f->wake.fd >= 0 && watch(f, &f->wake, EPOLLIN, true)) {
        f->moving = pthread_create(&f->mover, NULL, move, f) == 0;
        f->following = f->moving && pthread_create(&f->follower, NULL, follow, f) == 0;
    }
    if (f->following) {
        *out = f;
        return 0;
    }
    forward_stop(f);
    return error_set(err, ERROR_INTERNAL, NULL, "no more threads or files to forward with");
}

void forward_stop(struct forward *f)
{
    if (!f)
        return;
    atomic_store(&f->stopping, true);
    if (f->following)
        pthread_join(f->follower, NULL);
    if (f->moving) {
        wake(f);
        pthread_join(f->mover, NULL);
    }
    pairs_free_dead(f, true);
    close_listeners(f, true);
    free_table(f->table);
    free_table(f->next);
    if (f->wake.fd >= 0)
        close(f->wake.fd);
    if (f->epoll >= 0)
        close(f->epoll);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
