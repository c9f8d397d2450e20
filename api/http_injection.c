// What fault rules do to connections: waits, silence, resets, replies cut in the middle.
#include "api/http_internal.h"

#include "api/injection.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

// --- waits ---

static int socket_of(const struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info ? info->connect_fd : -1;
}

static void wake(struct deadline *d, enum deadline_end why)
{
    struct exchange *x =
        (struct exchange *)(void *)((char *)d - offsetof(struct exchange, deadline));

    (void)why; // whoever goes on finds out
    MHD_resume_connection(x->connection);
}

static void wait(struct exchange *x, enum phase phase, int64_t ns, enum fault_clock clock, int fd)
{
    x->phase = phase;
    x->deadline = (struct deadline){.wake = wake, .fd = fd};
    if (clock == FAULT_CLOCK_CLOUD)
        x->deadline.cloud_ns = cloud_now(x->server->api.cloud) + ns;
    else
        x->deadline.monotonic_ns = clock_monotonic() + ns;
    MHD_suspend_connection(x->connection);
    deadlines_add(x->server->deadlines, &x->deadline);
}

// It is carried out at the end also when the client has gone meanwhile: a slow server does not
// notice.
bool http_delay(struct exchange *x)
{
    struct injection *i = x->request.injection;
    int64_t real = i ? i->wait_ns : 0, cloud = i ? i->cloud_wait_ns : 0;

    if (real > 0) {
        i->wait_ns = 0;
        wait(x, PHASE_DELAYED, real, FAULT_CLOCK_REAL, -1);
    } else if (cloud > 0) {
        i->cloud_wait_ns = 0;
        wait(x, PHASE_DELAYED, cloud, FAULT_CLOCK_CLOUD, -1);
    }
    return real > 0 || cloud > 0;
}

enum MHD_Result http_hang(struct exchange *x)
{
    const struct fault_effect *e = &x->request.injection->end->effect;
    int64_t most = e->duration_ns > 0 ? e->duration_ns : INJECTED_HANG_NS;

    wait(x, PHASE_HUNG, most, e->clock, socket_of(x));
    return MHD_YES;
}

// --- ends ---

// libmicrohttpd closes the connection when its handler says no.
enum MHD_Result http_drop(struct exchange *x)
{
    x->phase = PHASE_ANSWERED;
    http_observe(x, 0);
    return MHD_NO;
}

// Closing would send a FIN first, whatever SO_LINGER says; disconnecting the socket sends the RST.
// The call is logged before: who has seen the RST finds it in the log.
enum MHD_Result http_reset(struct exchange *x)
{
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    enum MHD_Result result = http_drop(x);

    (void)connect(socket_of(x), &nowhere, sizeof(nowhere));
    return result;
}

struct truncated {
    size_t cut;
    char *bytes;
};

static ssize_t read_truncated(void *closure, uint64_t position, char *out, size_t size)
{
    const struct truncated *t = closure;
    size_t left = position < t->cut ? t->cut - (size_t)position : 0;

    if (left == 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size = size < left ? size : left;
    memcpy(out, t->bytes + position, size);
    return (ssize_t)size;
}

static void free_truncated(void *closure)
{
    struct truncated *t = closure;

    free(t->bytes);
    free(t);
}

struct MHD_Response *http_truncated(char *bytes, size_t length, size_t cut)
{
    struct truncated *t = malloc(sizeof(*t));
    struct MHD_Response *response = NULL;

    if (t) {
        *t = (struct truncated){cut, bytes};
        response =
            MHD_create_response_from_callback(length, 1024, read_truncated, t, free_truncated);
    }
    if (!response) {
        free(t);
        free(bytes);
    }
    return response;
}
