// The cloud as a whole: downloaded, replaced by an upload, taken back to its beginning. Each runs
// on a thread of its own (request.work).
#include "api/bodies.h"
#include "api/calls.h"
#include "api/handlers.h"
#include "api/json_in.h"
#include "api/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_query(const struct request *r, struct error *err)
{
    if (r->query.length > 0)
        return error_set(err, ERROR_UNKNOWN_FIELD, "query", "this operation has no parameters");
    return 0;
}

// --- download ---

// The file has no name any more: it is gone when it has been sent, or the client has.
static int open_and_unlink(struct request *r, const char *path, struct error *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    unlink(path);
    if (fd < 0 || fstat(fd, &status) < 0) {
        error_set(err, ERROR_STORAGE, NULL, "the snapshot cannot be read: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return -ERROR_STORAGE;
    }
    r->reply.file = fd;
    r->reply.file_length = (uint64_t)status.st_size;
    return 0;
}

static int save(struct request *r, struct error *err)
{
    char *path;
    int result = cloud_snapshot(r->api->cloud, &path, err);

    if (result < 0)
        return result;
    result = open_and_unlink(r, path, err);
    free(path);
    return result;
}

int handle_snapshot_save(struct request *r, struct error *err)
{
    if (check_query(r, err) < 0)
        return -ERROR_UNKNOWN_FIELD;
    r->reply.content_type = SNAPSHOT_TYPE;
    r->reply.disposition = "attachment; filename=\"mockcloud-snapshot.db\"";
    r->work = save;
    return 0;
}

// --- upload ---

static int restore(struct request *r, struct error *err)
{
    const bool *stopped = r->work_context;

    return cloud_restore(r->api->cloud, r->upload, "the snapshot", *stopped, &r->reply.body, err);
}

int handle_snapshot_restore(struct request *r, struct error *err)
{
    const char *type = r->headers.content_type ? r->headers.content_type : "";
    size_t length = strcspn(type, "; \t");
    static const char bytes[] = "application/octet-stream";

    bool *stopped = arena_alloc(&r->arena, sizeof(*stopped));

    *stopped = r->query.length == 13 && memcmp(r->query.data, "clock=stopped", 13) == 0;
    if (!*stopped && check_query(r, err) < 0)
        return -ERROR_UNKNOWN_FIELD;
    r->work_context = stopped;
    if ((length != strlen(SNAPSHOT_TYPE) || strncasecmp(type, SNAPSHOT_TYPE, length) != 0) &&
        (length != strlen(bytes) || strncasecmp(type, bytes, length) != 0))
        return error_set(err, ERROR_MEDIA_TYPE, "Content-Type", "must be %s or %s", SNAPSHOT_TYPE,
                         bytes);
    r->work = restore;
    return 0;
}

// --- reset ---

static int reset(struct request *r, struct error *err)
{
    int result = cloud_reset(r->api->cloud, &r->reply.body, err);

    if (result == 0)
        calls_reset(r->api->calls);
    return result;
}

int handle_reset(struct request *r, struct error *err)
{
    struct clock_change unused; // of a body without fields
    int result = check_query(r, err);

    if (result == 0 && r->body.length > 0)
        result = json_in_body(&body_none, r->body.data, r->body.length, &r->arena, &unused, err);
    r->work = reset;
    return result;
}
