// Recordings: saved into a file, and applied again.
#include "cli/verbs.h"

#include <string.h>

#define RECORDING_TYPE "application/x-ndjson"

int verb_record_save(struct cli *cli, struct failure *f)
{
    return download_to(cli, "/sim/v1/recording/file", cli->command->operands[0], f);
}

static int print_replayed(struct cli *cli, const json_t *reply, struct failure *f)
{
    const json_t *difference = json_object_get(reply, "difference");

    output_item(cli->output, &kind_replayed, reply);
    if (difference == NULL)
        return EXIT_OK;
    return fail(f, EXIT_REFUSED, "line %lld, at revision %lld: %s",
                (long long)json_integer_value(json_object_get(difference, "line")),
                (long long)json_integer_value(json_object_get(difference, "revision")),
                json_string_value(json_object_get(difference, "message")));
}

int verb_replay(struct cli *cli, struct failure *f)
{
    json_t *reply = NULL;
    int rc = upload_from(cli, "POST", "/sim/v1/replay", RECORDING_TYPE, cli->command->operands[0],
                         &reply, f);

    if (rc == EXIT_OK)
        rc = print_replayed(cli, reply, f);
    json_decref(reply);
    return rc;
}
