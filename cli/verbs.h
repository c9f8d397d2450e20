// What the verbs do. Each run function serves one or more rows of spec_verbs.
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "cli/args.h"
#include "cli/failure.h"
#include "cli/http.h"
#include "cli/output.h"

struct cli {
    const struct command *command;
    struct http *http; // NULL for verbs that need no server
    struct output *output;
};

int verb_list(struct cli *cli, struct failure *f);
int verb_get(struct cli *cli, struct failure *f);
int verb_create(struct cli *cli, struct failure *f);
int verb_put(struct cli *cli, struct failure *f); // zone, type: what no flag changes stays
int verb_act(struct cli *cli, struct failure *f); // start, stop, …, delete: names or selectors
int verb_update(struct cli *cli, struct failure *f);
int verb_add_part(struct cli *cli, struct failure *f); // listener, targets
int verb_act_on_part(struct cli *cli, struct failure *f);
int verb_delete_named(struct cli *cli, struct failure *f); // zone, type, project, latency
int verb_send(struct cli *cli, struct failure *f);         // the verb's method and path, no body
int verb_token_create(struct cli *cli, struct failure *f);
int verb_latency_set(struct cli *cli, struct failure *f);
int verb_clock_advance(struct cli *cli, struct failure *f);
int verb_clock_scale(struct cli *cli, struct failure *f);
int verb_fault_add(struct cli *cli, struct failure *f); // fault.c
int verb_fault_update(struct cli *cli, struct failure *f);
int verb_fault_remove(struct cli *cli, struct failure *f);
int verb_fault_stats(struct cli *cli, struct failure *f);
int verb_fault_clear(struct cli *cli, struct failure *f);
int verb_events(struct cli *cli, struct failure *f); // events.c
int verb_events_follow(struct cli *cli, struct failure *f);
int verb_project_create(struct cli *cli, struct failure *f); // quota.c
int verb_quota_list(struct cli *cli, struct failure *f);
int verb_zone_capacity(struct cli *cli, struct failure *f);
int verb_quota_set(struct cli *cli, struct failure *f);
int verb_quota_remove(struct cli *cli, struct failure *f);
int verb_calls_list(struct cli *cli, struct failure *f); // calls.c
int verb_calls_top(struct cli *cli, struct failure *f);
int verb_calls_assert(struct cli *cli, struct failure *f);
int verb_calls_reset(struct cli *cli, struct failure *f);
int verb_snapshot_save(struct cli *cli, struct failure *f); // snapshot.c
int verb_snapshot_restore(struct cli *cli, struct failure *f);
int verb_snapshot_inspect(struct cli *cli, struct failure *f);
// GET of `from` into a file, 0600; what was there stays when it fails.
int download_to(struct cli *cli, const char *from, const char *path, struct failure *f);
// Sends the file `path`; *out is to be decref'ed.
int upload_from(struct cli *cli, const char *method, const char *to, const char *type,
                const char *path, json_t **out, struct failure *f);
int verb_record_save(struct cli *cli, struct failure *f); // record.c
int verb_replay(struct cli *cli, struct failure *f);
int verb_wait(struct cli *cli, struct failure *f);   // wait.c
int verb_status(struct cli *cli, struct failure *f); // status.c
int verb_version(struct cli *cli, struct failure *f);
int verb_completion(struct cli *cli, struct failure *f);

// --wait: replaces each document by what it is once the verb's `done` condition holds.
int verb_wait_all(struct cli *cli, json_t *documents, struct failure *f);

#endif
