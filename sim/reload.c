// What modules keep in memory beside the database, read from it.
#include "sim/cloud_internal.h"
#include "sim/fault_internal.h"
#include "sim/outbox.h"
#include "sim/usage.h"

int cloud_reload(struct cloud *cloud, struct error *err)
{
    int rc = ledger_load(cloud, err); // first: the others may ask for latencies, seed, revision

    rc = rc < 0 ? rc : usage_load(cloud, err);
    rc = rc < 0 ? rc : tokens_reload(cloud, err);
    rc = rc < 0 ? rc : rates_reload(cloud, true, err);
    rc = rc < 0 ? rc : faults_load(cloud, err);
    news_batch_truncate(&cloud->pending, 0); // nobody has watched what a new database begins with
    cloud->trimmed_idempotency_ns = 0;
    atomic_fetch_add(&cloud->projects_ended, 1); // any of them may be gone
    ledger_publish(cloud);
    cloud->ledger.outbox_changed = cloud->ledger.clusters_changed = true;
    outbox_committed(cloud); // a backend runs what is wanted now, and looks at what there is
    return rc;
}
