// The server itself: clock, health, metrics, the document.
#include "api/handlers.h"
#include "api/metrics.h"
#include "api/openapi_json.h"
#include "api/request.h"
#include "api/stream.h"

int handle_clock_get(struct request *r, struct error *err)
{
    (void)err;
    cloud_clock_encode(r->api->cloud, &r->reply.body);
    return 0;
}

int handle_healthz(struct request *r, struct error *err)
{
    (void)err;
    buffer_append_string(&r->reply.body, "{\"status\":\"ok\"}");
    return 0;
}

int handle_readyz(struct request *r, struct error *err)
{
    if (cloud_stats(r->api->cloud).writable)
        return handle_healthz(r, err);
    r->reply.status = 503;
    buffer_append_string(&r->reply.body, "{\"status\":\"unavailable\",\"detail\":\"the last change "
                                         "could not be written to the database\"}");
    return 0;
}

int handle_metrics(struct request *r, struct error *err)
{
    struct cloud_stats stats = cloud_stats(r->api->cloud);

    (void)err;
    r->reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_write(r->api->metrics, &stats, flight_under_way(&r->api->flight),
                  streams_count(r->api->streams), &r->reply.body);
    return 0;
}

int handle_openapi(struct request *r, struct error *err)
{
    (void)err;
    r->reply.fixed = openapi_json;
    r->reply.fixed_length = openapi_json_length;
    return 0;
}
