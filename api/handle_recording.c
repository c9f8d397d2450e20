// Record and replay: start, stop, the file, and a file that is applied again.
#include "api/bodies.h"
#include "api/handlers.h"
#include "api/json_in.h"
#include "api/replay.h"
#include "api/request.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORDING_TYPE "application/x-ndjson"

static int check_empty(struct request *r, struct error *err)
{
    char unused[8]; // of a body without fields

    if (r->query.length > 0)
        return error_set(err, ERROR_UNKNOWN_FIELD, "query", "this operation has no parameters");
    if (r->body.length == 0)
        return 0;
    return json_in_body(&body_none, r->body.data, r->body.length, &r->arena, unused, err);
}

static int answer_status(struct request *r)
{
    static const char *const states[] = {[RECORD_NONE] = "none",
                                         [RECORD_ON] = "recording",
                                         [RECORD_DONE] = "done",
                                         [RECORD_FAILED] = "failed",
                                         [RECORD_BROKEN] = "broken"};
    struct record_status status;

    cloud_record_status(r->api->cloud, &status);
    buffer_printf(&r->reply.body, "{\"state\":\"%s\",\"lines\":%" PRId64 "}", states[status.state],
                  status.lines);
    return 0;
}

int handle_record_status(struct request *r, struct error *err)
{
    return check_empty(r, err) < 0 ? -(int)err->code : answer_status(r);
}

static int start(struct request *r, struct error *err)
{
    int result = cloud_record_start(r->api->cloud, NULL, false, err);

    return result < 0 ? result : answer_status(r);
}

static int stop(struct request *r, struct error *err)
{
    int result = cloud_record_stop(r->api->cloud, err);

    return result < 0 ? result : answer_status(r);
}

int handle_record_start(struct request *r, struct error *err)
{
    r->work = start;
    return check_empty(r, err);
}

int handle_record_stop(struct request *r, struct error *err)
{
    r->work = stop;
    return check_empty(r, err);
}

// Whole lines only: the one that is being written is left out by its length at this moment.
int handle_record_file(struct request *r, struct error *err)
{
    struct record_status status;
    struct stat file;
    int fd;

    if (check_empty(r, err) < 0)
        return -(int)err->code;
    cloud_record_status(r->api->cloud, &status);
    if (status.state == RECORD_NONE)
        return error_set(err, ERROR_STATE, NULL, "nothing was recorded");
    fd = open(status.path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &file) < 0) {
        error_set(err, ERROR_STORAGE, NULL, "the recording cannot be read: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return -ERROR_STORAGE;
    }
    r->reply.file = fd;
    r->reply.file_length = (uint64_t)file.st_size;
    r->reply.content_type = RECORDING_TYPE;
    r->reply.disposition = "attachment; filename=\"mockcloud-recording.jsonl\"";
    return 0;
}

static int replay(struct request *r, struct error *err)
{
    struct replay_result replayed;
    int result = replay_file(r->api, r->upload, &replayed, err);

    if (result == 0)
        replay_encode(&replayed, &r->reply.body);
    return result;
}

int handle_replay(struct request *r, struct error *err)
{
    const char *type = r->headers.content_type ? r->headers.content_type : "";
    size_t length = strcspn(type, "; \t");

    if (check_empty(r, err) < 0)
        return -(int)err->code;
    if (length != strlen(RECORDING_TYPE) || strncasecmp(type, RECORDING_TYPE, length) != 0)
        return error_set(err, ERROR_MEDIA_TYPE, "Content-Type", "must be %s", RECORDING_TYPE);
    r->work = replay;
    return 0;
}
