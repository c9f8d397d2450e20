// A disk that fails on order, for tests: a VFS of SQLite in front of the real one, under the name
// by which store/ asks for it, so that the program under test is not changed at all.
//
// Every call that changes something (write, truncate, sync, delete, growing the shared memory of
// the WAL) is counted. A trouble can be ordered for the call n calls from now; then the disk
//   fails        that one call, with the errno given (ENOSPC, EIO, EROFS …), half of it written;
//   stays full   so that every such call fails until disk_heal;
//   stops        as a killed process or a machine without power does: from that call on nothing
//                reaches the files, whoever asks gets an error. disk_restart then leaves the files
//                as the killed process left them, or as the power cut did: of what was not synced
//                some writes are there, some are not, the last one may be torn.
//
// One disk per process; one thread at a time.
#ifndef TESTS_SIMULATION_DISK_H
#define TESTS_SIMULATION_DISK_H

#include <stdbool.h>
#include <stdint.h>

enum disk_trouble { DISK_FINE, DISK_FAILS_ONCE, DISK_STAYS_FULL, DISK_STOPS };

struct disk_figures {
    int64_t calls;    // that change something
    int64_t troubles; // that came
    int64_t lost;     // writes that a power cut took
    int64_t torn;
};

// Puts the disk before the real VFS. `remembers`: what has not been synced is kept, for power cuts.
void disk_install(bool remembers);
// Orders a trouble for the call `calls` from now (0: the next one); replaces an earlier order.
void disk_order(enum disk_trouble trouble, int64_t calls, int system_errno);
// Whether a trouble came since it was ordered, and whether it still holds.
bool disk_was_hit(void);
bool disk_is_stopped(void);
// Ends `stays full` and forgets what is ordered.
void disk_heal(void);
// After all files were closed: the disk works again. `power_cut`: what was not synced is at the
// mercy of `seed`.
void disk_restart(bool power_cut, uint64_t seed);
struct disk_figures disk_figures(void);

#endif
