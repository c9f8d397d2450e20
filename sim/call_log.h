// What scenarios ask of the log of calls. Declared here because conditions need it, implemented in
// api/, where calls are answered and counted.
//
// Calls are no changes: they are in memory only, in the order in which they were answered, and
// gone when the server ends. So what depends on them is no function of the seed and the changes.
#ifndef SIM_CALL_LOG_H
#define SIM_CALL_LOG_H

#include <stdint.h>

struct cloud;

struct calls_asked { // globs; NULL: any
    const char *caller, *operation;
    const char *statuses; // "429,5xx"
    int64_t project;      // that the call acts on
};

struct call_log {
    // How many such calls have been answered since counting began, and when (wall time) that was:
    // totals of two beginnings have nothing to do with each other. Began 0: nothing is counted.
    // On the writer: quick, takes no lock that is held for long.
    int64_t (*total)(const struct call_log *log, const struct calls_asked *asked,
                     int64_t *out_began_ns);
};

// Who counts the calls from now on; NULL: nobody. The log is not asked any more when this returns.
void cloud_set_call_log(struct cloud *cloud, const struct call_log *log);
// A call has been counted: scenarios that wait for calls look again. Any thread; one atomic load
// when none waits.
void cloud_call_counted(struct cloud *cloud);

#endif
