// Requests whose body goes into a file, and those that take their time on a thread of their own.
#include "api/http_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void not_stored(struct exchange *x)
{
    struct error error = {0};

    error_set(&error, ERROR_STORAGE, NULL, "the upload cannot be stored: %s", strerror(errno));
    http_keep_error(x, &error);
}

void http_upload_open(struct exchange *x)
{
    struct request *r = &x->request;

    r->upload = cloud_scratch_path(x->server->api.cloud);
    x->upload = r->upload ? open(r->upload, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    if (x->upload < 0) {
        not_stored(x);
        x->upload = 0;
    }
}

void http_upload_write(struct exchange *x, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(x->upload, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            not_stored(x);
            return;
        }
        bytes += written;
        length -= (size_t)written;
    }
}

static void *work(void *context)
{
    struct exchange *x = context;
    struct http_server *server = x->server;
    struct error error = {0};

    if (x->request.work(&x->request, &error) < 0)
        http_keep_error(x, &error);
    MHD_resume_connection(x->connection); // x may be gone from here on
    flight_resumed(&server->api.flight);
    return NULL;
}

static int no_thread(struct request *r, struct error *err)
{
    (void)r;
    return error_set(err, ERROR_UNAVAILABLE, NULL, "no more threads");
}

enum MHD_Result http_work(struct exchange *x)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int rc;

    x->phase = PHASE_WORKING;
    MHD_suspend_connection(x->connection);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    rc = pthread_create(&thread, &attributes, work, x);
    pthread_attr_destroy(&attributes);
    if (rc != 0) {
        x->request.work = no_thread;
        work(x);
    }
    return MHD_YES;
}
