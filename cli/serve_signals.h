// SIGTERM and SIGINT of `mockcloud serve`, from its first moment to its last.
#ifndef CLI_SERVE_SIGNALS_H
#define CLI_SERVE_SIGNALS_H

#include "sim/cloud.h"

#include <pthread.h>
#include <stdbool.h>

struct serve_signals {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t came;
    bool stopped;
    struct cloud *cloud; // NULL: none is open
};

// Before other threads start: they inherit that both are blocked. A thread waits for the first,
// also while the main one waits for the cloud; from then on a second one ends the process.
int serve_signals_start(struct serve_signals *s, struct error *err);
// The cloud that is wound down when told to stop; NULL before it is closed.
void serve_signals_cloud(struct serve_signals *s, struct cloud *cloud);
bool serve_signals_stopped(struct serve_signals *s);
void serve_signals_wait(struct serve_signals *s);
void serve_signals_end(struct serve_signals *s);

#endif
