#include "cli/serve_options.h"

static const char help[] =
    "Usage: mockcloud serve [FLAG]...\n"
    "\n"
    "Runs the mock cloud until SIGTERM or SIGINT (a second one ends it at once).\n"
    "\n"
    "  --db FILE|:memory:        database; made when missing (mockcloud.db)\n"
    "  --listen HOST:PORT        where the API answers; port 0: any free one (127.0.0.1:9080)\n"
    "  --clock real|scaled:N|manual\n"
    "                            cloud time of a new database (real)\n"
    "  --seed N                  seed of a new database: same changes, same ids and draws "
    "(random)\n"
    "  --seed-file FILE          JSON: what a new database begins with\n"
    "  --config FILE             JSON: these settings by the same names (events_kept) and\n"
    "                            address_pools, duplicate_names, zones, instance_types, "
    "latencies;\n"
    "                            flags win\n"
    "  --token-file FILE         the server's token; made when missing\n"
    "                            (${XDG_CONFIG_HOME:-$HOME/.config}/mockcloud/token)\n"
    "  --allowed-host NAME       another name that the Host header may have; repeatable; needed "
    "to\n"
    "                            listen beyond loopback\n"
    "  --durability process|power\n"
    "                            what an answered change survives: kill -9, or loss of power too\n"
    "                            (process)\n"
    "  --events-kept N           number of events kept for watchers (100000)\n"
    "  --max-body BYTES          largest request body (1048576)\n"
    "  --keepalive DURATION      longest silence of an event stream (15s)\n"
    "  --threads N               HTTP threads (2 to 4, by processors)\n"
    "  --log-format text|json    log on standard error (text)\n"
    "  --log-level debug|info|warn|error  (info)\n"
    "  --help                    this text\n"
    "\n"
    "Examples:\n"
    "  mockcloud serve\n"
    "  mockcloud serve --db :memory: --listen 127.0.0.1:0 --clock manual --seed 1\n"
    "  mockcloud serve --clock scaled:60 --seed-file cloud.json\n"
    "  mockcloud serve --listen 0.0.0.0:9080 --allowed-host mockcloud.example\n";

void serve_options_help(FILE *out)
{
    fputs(help, out);
}
