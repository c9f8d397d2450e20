// The `mockcloud` command: `serve` goes its own way, everything else is a client verb.
#include "cli/completion.h"
#include "cli/help.h"
#include "cli/scenario.h"
#include "cli/serve.h"
#include "cli/verbs.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>

static bool needs_server(const struct verb *verb)
{
    return verb->run != verb_version && verb->run != verb_completion &&
           verb->run != verb_snapshot_inspect && verb->run != verb_scenario_validate;
}

static int run_with_server(struct cli *cli, struct failure *f)
{
    struct config config;
    int rc = config_load(&config, cli->command, f);

    if (rc != EXIT_OK)
        return rc;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return fail(f, EXIT_REFUSED, "libcurl does not start");
    cli->http = http_new(&config);
    cli->output->http = cli->http;
    rc = cli->http != NULL ? cli->command->verb->run(cli, f)
                           : fail(f, EXIT_REFUSED, "out of memory");
    http_free(cli->http);
    curl_global_cleanup();
    return rc;
}

static int run(const struct command *c, struct failure *f)
{
    struct output output;
    struct cli cli = {.command = c, .output = &output};

    output_init(&output, stdout, c, NULL);
    if (c->help) {
        help_print(stdout, c);
        return EXIT_OK;
    }
    return needs_server(c->verb) ? run_with_server(&cli, f) : c->verb->run(&cli, f);
}

static int client_main(int argc, char **argv, struct failure *f)
{
    struct command command;
    int rc;

    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        argv[1] += 2;
    rc = args_parse(&command, argc, (const char *const *)argv, f);
    if (rc == EXIT_OK) {
        rc = run(&command, f);
        args_free(&command);
    }
    if (rc == EXIT_OK && (fflush(stdout) != 0 || ferror(stdout)))
        rc = fail(f, EXIT_REFUSED, "cannot write the output: %s", strerror(errno));
    return rc;
}

// "help serve" and "--help serve", as for the verbs of clients
static bool asks_for_serve(int argc, char **argv)
{
    return argc == 3 && strcmp(argv[2], "serve") == 0 &&
           (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
            strcmp(argv[1], "-h") == 0);
}

static int serve_help(void)
{
    char name[] = "serve", flag[] = "--help";
    char *argv[] = {name, flag, NULL};

    return serve_main(2, argv);
}

int main(int argc, char **argv)
{
    struct failure failure = {0};
    int rc;

    if (argc > 1 && strcmp(argv[1], "serve") == 0)
        return serve_main(argc - 1, argv + 1);
    if (asks_for_serve(argc, argv))
        return serve_help();
    if (argc > 1 && strcmp(argv[1], "__complete") == 0) { // for the shells' scripts
        completion_print(stdout, argc - 2, (const char *const *)argv + 2);
        return EXIT_OK;
    }
    if (argc > 1 && strcmp(argv[1], "__manual") == 0) { // makes docs/mockcloud.1
        manual_print(stdout);
        return EXIT_OK;
    }
    rc = client_main(argc, argv, &failure);
    if (rc != EXIT_OK) {
        fflush(stdout);
        fprintf(stderr, "mockcloud: %s\n", failure.message);
    }
    return rc;
}
