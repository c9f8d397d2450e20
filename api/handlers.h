// Handlers of the endpoint table. A handler translates and nothing else.
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api/endpoint.h"

// api/handle_reads.c
endpoint_handler handle_list, handle_get, handle_regions, handle_own_project, handle_project;
// api/handle_changes.c
endpoint_handler handle_change, handle_remove_listener, handle_target, handle_create_token,
    handle_create_project, handle_clock_change, handle_clock_freeze, handle_clock_resume;
// api/handle_snapshots.c
endpoint_handler handle_snapshot_save, handle_snapshot_restore, handle_reset;
// api/handle_chaos.c
endpoint_handler handle_chaos_profiles;
// api/handle_scenarios.c
endpoint_handler handle_scenario_validate;
// api/handle_recording.c
endpoint_handler handle_record_status, handle_record_start, handle_record_stop, handle_record_file,
    handle_replay;
// api/handle_events.c
endpoint_handler handle_events, handle_events_digest;
// api/handle_quotas.c
endpoint_handler handle_quotas, handle_own_quotas, handle_zone_capacity;
// api/handle_calls.c
endpoint_handler handle_calls, handle_call_counters, handle_calls_reset;
// api/handle_faults.c
endpoint_handler handle_fault_create, handle_fault_update, handle_faults_clear, handle_fault_stats;
// api/handle_meta.c
endpoint_handler handle_clock_get, handle_healthz, handle_readyz, handle_metrics, handle_openapi;

#endif
