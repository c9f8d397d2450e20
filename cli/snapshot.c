// The cloud as a whole: saved into a file, restored from one, and what such a file holds.
#include "cli/inspect.h"
#include "cli/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SNAPSHOT_PATH "/sim/v1/snapshot"
#define SNAPSHOT_TYPE "application/vnd.sqlite3"

// Made under another name first, so that a download that fails leaves what was there. `path` NULL:
// it is what it is called.
static int save_to(struct cli *cli, const char *from, const char *path, const char *partial,
                   struct failure *f)
{
    int fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    int rc;

    if (file == NULL)
        return fail(f, EXIT_REFUSED, "%s: %s", partial, strerror(errno));
    rc = http_download(cli->http, from, file, f);
    if (fclose(file) != 0 && rc == EXIT_OK)
        rc = fail(f, EXIT_REFUSED, "%s: %s", partial, strerror(errno));
    if (rc == EXIT_OK && path != NULL && rename(partial, path) < 0)
        rc = fail(f, EXIT_REFUSED, "%s: %s", path, strerror(errno));
    if (rc != EXIT_OK && path != NULL)
        unlink(partial);
    return rc;
}

// A pipe or a device, such as /dev/stdout, is written to and not replaced.
static bool is_special(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

int download_to(struct cli *cli, const char *from, const char *path, struct failure *f)
{
    char *partial;
    int rc;

    if (is_special(path))
        return save_to(cli, from, NULL, path, f);
    if (asprintf(&partial, "%s.part", path) < 0)
        return fail(f, EXIT_REFUSED, "out of memory");
    rc = save_to(cli, from, path, partial, f);
    free(partial);
    if (rc == EXIT_OK && cli->output->format != OUTPUT_JSON)
        fprintf(cli->output->file, "%s saved\n", path);
    return rc;
}

int upload_from(struct cli *cli, const char *method, const char *to, const char *type,
                const char *path, json_t **out, struct failure *f)
{
    FILE *file = fopen(path, "re");
    struct stat status;
    int rc;

    if (file == NULL || fstat(fileno(file), &status) < 0)
        rc = fail(f, EXIT_USAGE, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(status.st_mode)) // its size is to be known
        rc = fail(f, EXIT_USAGE, "%s: is not a file", path);
    else
        rc = http_upload(cli->http, method, to, type, file, status.st_size, out, f);
    if (file != NULL)
        fclose(file);
    return rc;
}

int verb_snapshot_save(struct cli *cli, struct failure *f)
{
    return download_to(cli, SNAPSHOT_PATH, cli->command->operands[0], f);
}

int verb_snapshot_restore(struct cli *cli, struct failure *f)
{
    const char *to =
        args_has(cli->command, "stopped") ? SNAPSHOT_PATH "?clock=stopped" : SNAPSHOT_PATH;
    json_t *reply = NULL;
    int rc = upload_from(cli, "PUT", to, SNAPSHOT_TYPE, cli->command->operands[0], &reply, f);

    if (rc == EXIT_OK)
        output_item(cli->output, &kind_replaced, reply);
    json_decref(reply);
    return rc;
}

int verb_snapshot_inspect(struct cli *cli, struct failure *f)
{
    struct error err = {0};
    json_t *document = inspect_snapshot(cli->command->operands[0], &err);

    if (document == NULL)
        return fail(f, EXIT_USAGE, "%s", err.message);
    output_item(cli->output, &kind_snapshot, document);
    json_decref(document);
    return EXIT_OK;
}
