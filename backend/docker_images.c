// Images that were loaded into the nodes of a cluster by hand (`kind load docker-image`) and can be
// had nowhere else: a node that joins gets those that another one has beyond its own.
#include "backend/docker_internal.h"

#include <stdio.h>
#include <string.h>

#define LIST_MS 30000
#define COPY_MS 300000
#define ARCHIVE "/kind/mockcloud-images.tar"

// What $1 does not list is exported; nothing is printed when there is nothing.
static const char export_missing[] =
    "set -e\nmissing=\nfor name in $(ctr -n k8s.io images ls -q); do\n"
    "  case $name in sha256:* | import-* | *@sha256:*) continue ;; esac\n"
    "  case \" $1 \" in *\" $name \"*) ;; *) missing=\"$missing $name\" ;; esac\ndone\n"
    "[ -n \"$missing\" ] || exit 0\n"
    "ctr -n k8s.io images export " ARCHIVE " $missing >/dev/null && echo $missing";
static const char list_all[] = "echo $(ctr -n k8s.io images ls -q)";
static const char import_all[] = "ctr -n k8s.io images import " ARCHIVE " && rm -f " ARCHIVE;
static const char forget[] = "rm -f " ARCHIVE;

struct copying {
    struct docker *docker;
    struct arena *arena;
};

// The script's first line of output, in the arena.
static int run(struct copying *c, const char *container, const char *script, const char *argument,
               long timeout_ms, const char **out_line, struct error *err)
{
    const char *const command[] = {"sh", "-c", script, "sh", argument, NULL};
    struct buffer out;
    int code = 0, rc;

    buffer_init(&out);
    rc = engine_exec(c->docker->engine, container, command, timeout_ms, &out, &code, err);
    const char *text = arena_strndup(c->arena, out.data ? out.data : "", out.length);
    buffer_fini(&out);
    if (rc == 0 && code != 0)
        rc = error_set(err, ERROR_UNAVAILABLE, NULL, "copying images failed (%d): %.160s", code,
                       text);
    if (out_line)
        *out_line = arena_strndup(c->arena, text, strcspn(text, "\r\n"));
    return rc;
}

static int move(struct copying *c, const char *method, const char *container, const char *path,
                FILE *to, FILE *from, struct error *err)
{
    struct engine_request request = {
        .method = method,
        .path = arena_printf(c->arena, "/containers/%s/archive?path=%s", container, path),
        .timeout_ms = COPY_MS,
        .to = to,
        .from = from};
    struct buffer out;
    int status;

    buffer_init(&out);
    status = engine_call_raw(c->docker->engine, &request, &out, err);
    buffer_fini(&out);
    if (status >= 0 && status != 200)
        return error_set(err, ERROR_UNAVAILABLE, NULL, "copying images: %s %s was answered %d",
                         method, path, status);
    return status < 0 ? status : 0;
}

// The archive is larger than what should lie in memory.
static int carry(struct copying *c, const char *from, const char *to, struct error *err)
{
    FILE *file = tmpfile();
    int rc;

    if (!file)
        return error_set(err, ERROR_UNAVAILABLE, NULL, "no temporary file for images");
    rc = move(c, "GET", from, ARCHIVE, file, NULL, err);
    fflush(file);
    rc = rc < 0 ? rc : move(c, "PUT", to, "/kind", NULL, file, err);
    fclose(file);
    return rc < 0 ? rc : run(c, to, import_all, "", COPY_MS, NULL, err);
}

int docker_images_copy(struct docker *d, const char *from, const char *to, struct arena *arena,
                       struct error *err)
{
    struct copying c = {.docker = d, .arena = arena};
    const char *known, *missing = "";
    int rc = run(&c, to, list_all, "", LIST_MS, &known, err);

    if (rc == 0)
        rc = run(&c, from, export_missing, known, COPY_MS, &missing, err);
    if (rc < 0 || !missing[0])
        return rc;
    rc = carry(&c, from, to, err);
    run(&c, from, forget, "", LIST_MS, NULL, NULL);
    return rc;
}
