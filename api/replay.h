// A recording, applied again: each line becomes the request that it was, without HTTP, and must
// come to the same end at the same revision.
#ifndef API_REPLAY_H
#define API_REPLAY_H

#include "api/request.h"

// Appends openapi.json's Replayed. A difference is part of it and ends the replay; errors are of
// files that are no recordings (naming the line) and of clouds that are not where it begins. On a
// thread that may wait.
int replay_file(struct api *api, const char *path, struct buffer *out, struct error *err);

#endif
