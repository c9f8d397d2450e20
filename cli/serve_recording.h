// `mockcloud serve --record FILE` and `--replay FILE`.
#ifndef CLI_SERVE_RECORDING_H
#define CLI_SERVE_RECORDING_H

#include "cli/serve_options.h"
#include "cli/serve_signals.h"
#include "sim/cloud.h"

// Before the database is opened: what cannot be is refused, naming the flag. A new database whose
// beginning is recorded, or that is to be like one that was, begins with its clock frozen.
int serve_recording_prepare(const struct serve_options *o, bool is_new, struct cloud_config *inout,
                            struct error *err);
// Once it has what it begins with, before it is served. Nothing unless the flag was given. A signal
// ends a replay.
int serve_replay(const struct serve_options *o, struct cloud *cloud, struct serve_signals *signals,
                 struct error *err);
int serve_record(const struct serve_options *o, bool is_new, struct cloud *cloud,
                 struct error *err);
// When nothing is asked any more: finishes the recording, unless somebody has already.
void serve_recording_end(const struct serve_options *o, struct cloud *cloud);

#endif
