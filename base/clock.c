#include "base/clock.h"

#include "base/timefmt.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRIES 16

// Products and quotients of times and speeds are long double: its mantissa holds any int64_t
// exactly.
struct clock {
    pthread_mutex_t mutex;
    enum clock_mode mode;
    double scale; // speed while not frozen; 0 for manual
    bool frozen;
    bool held;
    int64_t base_cloud;
    int64_t base_monotonic;

    // The formula once more, for clock_now: every request asks, and none waits for another. Valid
    // while `changes` is even and stays what it was.
    atomic_uint changes;
    atomic_llong shown_cloud, shown_monotonic;
    _Atomic double shown_speed;
};

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

static bool parse_scale(const char *text, double *out)
{
    char *end;

    if (!strchr("0123456789.", *text)) // strtod would take a sign, blanks, "inf" and "nan"
        return false;
    errno = 0;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && errno == 0 && *out > 0 && *out <= CLOCK_SCALE_MAX;
}

int clock_state_parse(const char *text, struct clock_state *out, struct error *err)
{
    int64_t now = clock_wall();
    struct clock_state state = {.mode = CLOCK_REAL, .scale = 1, .cloud_ns = now, .wall_ns = now};

    if (strncmp(text, "scaled:", 7) == 0) {
        state.mode = CLOCK_SCALED;
        if (!parse_scale(text + 7, &state.scale))
            return error_set(err, ERROR_INVALID, NULL,
                             "\"%.40s\": the scale must be a number above 0 and at most %.0f", text,
                             CLOCK_SCALE_MAX);
    } else if (strcmp(text, "manual") == 0) {
        state.mode = CLOCK_MANUAL;
        state.scale = 0;
        state.cloud_ns = CLOCK_MANUAL_START;
    } else if (strcmp(text, "real") != 0) {
        return error_set(err, ERROR_INVALID, NULL,
                         "\"%.40s\" is not a clock: use real, scaled:N or manual", text);
    }
    *out = state;
    return 0;
}

// Wall and monotonic time of the same moment: the closest of a few tries, for a thread may be put
// aside between the two, and a clock that is set by them would be wrong for good.
static int64_t wall_and_monotonic(int64_t *out_monotonic)
{
    int64_t wall = 0, closest = INT64_MAX;

    for (int i = 0; i < TRIES && closest > NS_PER_MS / 10; i++) {
        int64_t before = clock_monotonic(), now = clock_wall(), took = clock_monotonic() - before;

        if (took < closest) {
            closest = took;
            wall = now;
            *out_monotonic = before;
        }
    }
    return wall;
}

static int64_t add_scaled(int64_t cloud, int64_t elapsed, double scale)
{
    long double moved;

    if (elapsed <= 0 || !(scale > 0))
        return cloud;
    moved = floorl((long double)elapsed * (long double)scale);
    if (cloud >= CLOCK_END || moved >= (long double)(CLOCK_END - cloud))
        return CLOCK_END;
    return cloud + (int64_t)moved;
}

static double speed(const struct clock *c)
{
    return c->frozen ? 0 : c->scale;
}

static double present_speed(const struct clock *c)
{
    return c->mode == CLOCK_SCALED && c->held ? 0 : speed(c);
}

static int64_t cloud_at(const struct clock *c, int64_t monotonic)
{
    return add_scaled(c->base_cloud, monotonic - c->base_monotonic, present_speed(c));
}

static void show(struct clock *c)
{
    atomic_store(&c->shown_cloud, c->base_cloud);
    atomic_store(&c->shown_monotonic, c->base_monotonic);
    atomic_store(&c->shown_speed, present_speed(c));
}

static void change_begin(struct clock *c)
{
    pthread_mutex_lock(&c->mutex);
    atomic_fetch_add(&c->changes, 1);
}

static void change_end(struct clock *c)
{
    show(c);
    atomic_fetch_add(&c->changes, 1);
    pthread_mutex_unlock(&c->mutex);
}

// From here on the formula starts at the present moment.
static void rebase(struct clock *c)
{
    int64_t now = clock_monotonic();

    c->base_cloud = cloud_at(c, now);
    c->base_monotonic = now;
}

struct clock *clock_new(const struct clock_state *state)
{
    struct clock *c = calloc(1, sizeof(*c));
    int64_t wall;

    if (!c)
        return NULL;
    pthread_mutex_init(&c->mutex, NULL);
    c->mode = state->mode;
    c->scale = state->scale;
    c->frozen = state->frozen;
    wall = wall_and_monotonic(&c->base_monotonic);
    c->base_cloud = add_scaled(state->cloud_ns, wall - state->wall_ns, speed(c));
    show(c);
    return c;
}

void clock_free(struct clock *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

struct clock_state clock_snapshot(struct clock *c)
{
    struct clock_state state;
    int64_t now;

    pthread_mutex_lock(&c->mutex);
    state.mode = c->mode;
    state.scale = c->scale;
    state.frozen = c->frozen;
    state.wall_ns = wall_and_monotonic(&now);
    state.cloud_ns = cloud_at(c, now);
    pthread_mutex_unlock(&c->mutex);
    return state;
}

void clock_restore(struct clock *c, const struct clock_state *snapshot)
{
    int64_t wall;

    change_begin(c);
    c->mode = snapshot->mode;
    c->scale = snapshot->scale;
    c->frozen = snapshot->frozen;
    wall = wall_and_monotonic(&c->base_monotonic);
    c->base_cloud = add_scaled(snapshot->cloud_ns, wall - snapshot->wall_ns, present_speed(c));
    change_end(c);
}

static int64_t now_locked(struct clock *c)
{
    int64_t now;

    pthread_mutex_lock(&c->mutex);
    now = cloud_at(c, clock_monotonic());
    pthread_mutex_unlock(&c->mutex);
    return now;
}

// The monotonic time is read before it is made sure that nothing changed: what a change reads after
// that is later, so cloud time does not go back.
int64_t clock_now(struct clock *c)
{
    for (int i = 0; i < TRIES; i++) {
        unsigned changes = atomic_load(&c->changes);
        int64_t cloud = atomic_load(&c->shown_cloud);
        int64_t elapsed = clock_monotonic() - atomic_load(&c->shown_monotonic);
        int64_t now = add_scaled(cloud, elapsed, atomic_load(&c->shown_speed));

        if (changes % 2 == 0 && atomic_load(&c->changes) == changes)
            return now;
    }
    return now_locked(c);
}

// The first monotonic nanosecond at which the formula yields at least `cloud_ns`.
static int64_t monotonic_at(const struct clock *c, int64_t cloud_ns)
{
    long double wait;
    int64_t at;

    if (speed(c) <= 0 || cloud_ns > CLOCK_END)
        return INT64_MAX;
    wait = ceill((long double)(cloud_ns - c->base_cloud) / (long double)speed(c));
    if (wait >= (long double)(INT64_MAX - c->base_monotonic))
        return INT64_MAX;
    at = c->base_monotonic + (int64_t)wait;
    for (int i = 0; i < 4 && cloud_at(c, at) < cloud_ns; i++) // the quotient was rounded
        at++;
    return at;
}

int64_t clock_monotonic_at(struct clock *c, int64_t cloud_ns)
{
    int64_t now, at;

    pthread_mutex_lock(&c->mutex);
    if (c->held)
        rebase(c); // as if it were released now
    now = clock_monotonic();
    at = cloud_at(c, now) >= cloud_ns ? now : monotonic_at(c, cloud_ns);
    pthread_mutex_unlock(&c->mutex);
    return at;
}

void clock_advance_to(struct clock *c, int64_t cloud_ns)
{
    change_begin(c);
    rebase(c);
    if (cloud_ns > CLOCK_END)
        cloud_ns = CLOCK_END;
    if (cloud_ns > c->base_cloud)
        c->base_cloud = cloud_ns;
    change_end(c);
}

void clock_set_scale(struct clock *c, double scale)
{
    change_begin(c);
    rebase(c);
    if (scale > 0) {
        c->scale = scale < CLOCK_SCALE_MAX ? scale : CLOCK_SCALE_MAX;
        c->frozen = false;
        if (c->mode == CLOCK_MANUAL || scale < 1 || scale > 1)
            c->mode = CLOCK_SCALED;
    } else {
        c->frozen = true;
    }
    change_end(c);
}

void clock_freeze(struct clock *c)
{
    clock_set_scale(c, 0);
}

void clock_resume(struct clock *c)
{
    change_begin(c);
    rebase(c);
    c->frozen = false;
    change_end(c);
}

static void set_held(struct clock *c, bool held)
{
    if (c->held == held)
        return;
    change_begin(c);
    rebase(c);
    c->held = held;
    change_end(c);
}

void clock_hold(struct clock *c)
{
    set_held(c, true);
}

void clock_release(struct clock *c)
{
    set_held(c, false);
}
