#include "cli/config.h"
#include "base/timefmt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static int set_token(struct config *out, const char *source, const char *text, struct failure *f)
{
    size_t length = strcspn(text, "\r\n");

    if (strspn(text + length, "\r\n") != strlen(text + length) || length >= sizeof out->token) {
        return fail(f, EXIT_USAGE, "%s: not a token (one line of at most %zu characters)", source,
                    sizeof out->token - 1);
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return fail(f, EXIT_USAGE, "%s: not a token (white space or control characters in it)",
                        source);
        }
    }
    memcpy(out->token, text, length);
    out->token[length] = '\0';
    return EXIT_OK;
}

static int read_token(struct config *out, const char *path, bool named, struct failure *f)
{
    char text[2048];
    size_t length;
    int failed;
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        if (!named && (errno == ENOENT || errno == ENOTDIR))
            return EXIT_OK;
        return fail(f, EXIT_USAGE, "token file %s: %s", path, strerror(errno));
    }
    length = fread(text, 1, sizeof text - 1, file);
    failed = ferror(file) ? errno : 0;
    fclose(file);
    if (failed != 0)
        return fail(f, EXIT_USAGE, "token file %s: %s", path, strerror(failed));
    text[length] = '\0';
    return set_token(out, path, text, f);
}

static int default_token(struct config *out, struct failure *f)
{
    const char *xdg = environment("XDG_CONFIG_HOME");
    const char *home = environment("HOME");
    char path[4096];
    int n;

    if (xdg != NULL)
        n = snprintf(path, sizeof path, "%s/mockcloud/token", xdg);
    else if (home != NULL)
        n = snprintf(path, sizeof path, "%s/.config/mockcloud/token", home);
    else
        return EXIT_OK;
    return n > 0 && (size_t)n < sizeof path ? read_token(out, path, false, f) : EXIT_OK;
}

static int load_token(struct config *out, const struct command *c, struct failure *f)
{
    const char *token = args_value(c, "token");
    const char *file = args_value(c, "token-file");

    if (token != NULL && file != NULL)
        return fail(f, EXIT_USAGE, "--token: not together with --token-file");
    if (token != NULL)
        return set_token(out, "--token", token, f);
    if (file != NULL)
        return read_token(out, file, true, f);
    if (environment("MOCKCLOUD_TOKEN") != NULL)
        return set_token(out, "MOCKCLOUD_TOKEN", environment("MOCKCLOUD_TOKEN"), f);
    if (environment("MOCKCLOUD_TOKEN_FILE") != NULL)
        return read_token(out, environment("MOCKCLOUD_TOKEN_FILE"), true, f);
    return default_token(out, f);
}

static int load_server(struct config *out, const struct command *c, struct failure *f)
{
    const char *source = "--server";

    out->server = args_value(c, "server");
    if (out->server == NULL) {
        source = "MOCKCLOUD_URL";
        out->server = environment("MOCKCLOUD_URL");
    }
    if (out->server == NULL)
        out->server = CONFIG_SERVER;
    const char *host = strstr(out->server, "://");
    if ((strncmp(out->server, "http://", 7) != 0 && strncmp(out->server, "https://", 8) != 0) ||
        host[3] == '\0' || host[3] == '/') {
        return fail(f, EXIT_USAGE, "%s: '%s' is not a http:// or https:// address", source,
                    out->server);
    }
    return EXIT_OK;
}

int config_load(struct config *out, const struct command *c, struct failure *f)
{
    const char *timeout = args_value(c, "timeout");

    memset(out, 0, sizeof *out);
    out->timeout_ns = CONFIG_TIMEOUT_S * NS_PER_S;
    if (timeout != NULL)
        duration_parse(timeout, &out->timeout_ns, NULL); // checked when it was parsed
    out->project = args_value(c, "project");
    if (out->project != NULL && strpbrk(out->project, "\r\n") != NULL)
        return fail(f, EXIT_USAGE, "--project: line breaks are not allowed");
    if (load_server(out, c, f) != EXIT_OK)
        return EXIT_USAGE;
    return load_token(out, c, f);
}
