// Reads of the past: what a client sees that is not told the latest. Exact and without an index of
// its own, because every event knows its predecessor of the same resource: whatever has not changed
// since a revision is in its row, and the first event after that revision leads to what was there
// before. Lists and single reads of the same view agree with one another.
//
// The past goes back as far as the events that are kept; a version that is gone already is stood in
// for by the next one.
#ifndef STORE_PAST_H
#define STORE_PAST_H

#include "store/store.h"

// A resource that has changed, or was made, in the time that the view leaves out.
struct past {
    const char *id;
    size_t moment;                       // which one `then` is: what past_view's said
    int64_t revision_then, revision_now; // 0: it was not, is not there
    struct bytes then, now;              // documents; NULL data: not there
    int64_t made_ns;                     // when, if that was after born_by_ns; else INT64_MIN
};

enum past_choice { PAST_NEITHER, PAST_THEN, PAST_NOW };

// A time that is looked back to.
struct past_moment {
    int64_t back;     // the last so many changes (of the project) are not seen; 0: all are
    int64_t as_of_ns; // nor what happened after this cloud time; 0: everything is
};

#define PAST_MOMENTS_MAX 32

struct past_view {
    struct past_moment moments[PAST_MOMENTS_MAX];
    size_t moment_count; // 0: everything is seen as it is now
    int64_t born_by_ns;  // what was made after this cloud time is young; 0: nothing is
    // Which moment a resource is seen as of, moment_count: none; `now` is its document, NULL data:
    // it is gone. NULL: the first.
    size_t (*moment)(void *context, const char *id, struct bytes now);
    // What the reader is to see of such a resource. The filters of a list are its business.
    enum past_choice (*choose)(void *context, const struct past *past);
    void *context;
};

// As reader_document and reader_list. The list's *out_revision is the one that it is as of; of
// several moments, the first in time.
int reader_past_document(struct reader *r, enum kind kind, int64_t project, const char *id,
                         const struct past_view *view, struct buffer *out, int64_t *out_revision,
                         struct error *err);
int reader_past_list(struct reader *r, const struct list_query *query, const struct past_view *view,
                     struct buffer *out, size_t *out_count, int64_t *out_next_seq,
                     int64_t *out_revision, struct error *err);

#endif
