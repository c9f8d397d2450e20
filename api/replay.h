// A recording, applied again: each line becomes the request that it was, without HTTP, and must
// come to the same end at the same revision.
#ifndef API_REPLAY_H
#define API_REPLAY_H

#include "api/request.h"

struct replay_result {
    int64_t lines, applied, revision; // revision: of the cloud at its end
    int64_t difference;               // the line that came to another end; 0: none did
    int64_t difference_revision;
    char message[400]; // what differs
};

// A difference is part of the result and ends the replay; errors are of files that are no
// recordings (naming the line) and of clouds that are not where it begins. What was being written
// when a recording was killed is left out. On a thread that may wait. When the server is stopping:
// ERROR_UNAVAILABLE, naming the line.
int replay_file(struct api *api, const char *path, struct replay_result *out, struct error *err);
// The same on a cloud that has no server yet, which goes on for as long as `go_on` says so before
// each line.
typedef bool replay_go_on(void *context, int64_t line);
int replay_alone(struct cloud *cloud, const char *path, replay_go_on *go_on, void *context,
                 struct replay_result *out, struct error *err);
// Where the recording begins.
int replay_look(const char *path, struct replay_start *out, struct error *err);
// Appends openapi.json's Replayed.
void replay_encode(const struct replay_result *result, struct buffer *out);

#endif
