// What fault rules do to the reads of resources: stale answers, resources that are not to be seen
// yet, lists out of order, and documents that are altered on their way out; the truth stays. Lists
// and single reads that meet the same rule agree with one another.
#ifndef API_FAULTY_READS_H
#define API_FAULTY_READS_H

#include "api/query.h"
#include "api/request.h"
#include "sim/fault.h"

struct faulty_read {
    struct request *request;
    const struct fault_verdict *verdict; // the request's
    enum kind kind;
    int64_t project;           // whose resources; 0: any
    const struct query *query; // of lists; NULL: one document
    int64_t now_ns;            // when the past was reckoned from
    size_t moments;            // stale reads among the rules
};

// Whether a rule that the request has met (api/injection.h) changes what is read: the read is then
// made with faulty_get or faulty_list. `query` NULL: one document.
bool faulty_begin(struct faulty_read *f, struct request *r, int64_t project,
                  const struct query *query);

// As cloud_get and cloud_list; the list is written after a '['. *out_altered: the document is not
// the one that has this revision.
int faulty_get(struct faulty_read *f, const char *id, struct buffer *out, int64_t *out_revision,
               bool *out_altered, struct error *err);
int faulty_list(struct faulty_read *f, const struct list_query *query, struct buffer *out,
                int64_t *out_next_seq, int64_t *out_revision, struct error *err);

#endif
