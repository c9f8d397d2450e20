// Requests to the metadata service: the first byte chooses method and headers, the rest is the
// target, and behind a NUL the body. The instance that asks has one notice of each kind.
#include "api/metadata.h"
#include "base/log.h"
#include "tests/fuzz/fuzz.h"

static struct cloud *cloud;
static struct ip address = {.family = IP_V4, .bytes = {127, 0, 0, 7}};

static void apply(change_apply *operation, const char *id, enum notice_kind kind)
{
    struct address_spec list[] = {{.type = ADDRESS_INTERNAL, .ip = address, .text = "127.0.0.7"}};
    struct change *c = change_new(operation, "fuzz");

    must(c);
    must(cloud_project(cloud, "default", &c->project, NULL) == 0);
    c->project_name = "default";
    c->id = id;
    if (id) {
        c->request.notice.kind = kind;
    } else {
        c->request.instance = (struct instance_spec){
            .name = "web", .has_addresses = true, .addresses = list, .address_count = 1};
    }
    must(cloud_apply(cloud, c) == 0);
    change_free(c);
}

static void open_cloud(void)
{
    struct cloud_config config = {.store = {.path = ":memory:"},
                                  .clock = {.mode = CLOCK_MANUAL, .cloud_ns = CLOCK_MANUAL_START}};
    struct instance *made;
    struct arena arena;

    log_setup(LOG_TEXT, LOG_ERROR);
    must(cloud_open(&config, &cloud, NULL) == 0);
    apply(instance_create, NULL, NOTICE_SPOT);
    arena_init(&arena);
    must(cloud_instance_at(cloud, &address, &arena, &made, NULL) == 1);
    for (int kind = 0; kind < NOTICE_KINDS; kind++)
        apply(instance_interrupt, made->r.id, (enum notice_kind)kind);
    arena_fini(&arena);
}

static struct metadata_headers headers_of(uint8_t choice, const char *text)
{
    return (struct metadata_headers){.host = "127.0.0.1",
                                     .ec2_token = choice & 4 ? text : NULL,
                                     .ec2_ttl = choice & 8 ? text : NULL,
                                     .gce_flavor = choice & 16 ? NULL : "Google",
                                     .azure_metadata = choice & 32 ? NULL : "true",
                                     .forwarded_for = choice & 64 ? text : NULL};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
    static const char *const no_hosts[] = {NULL};
    struct metadata_request r = {0};
    enum metadata_outcome outcome;
    size_t length, path;
    char *text;

    if (size == 0)
        return 0;
    if (!cloud)
        open_cloud();
    struct metadata service = {.cloud = cloud, .allowed_hosts = no_hosts, .secret = 1};
    text = fuzz_string(data + 1, size - 1);
    length = strlen(text);
    path = strcspn(text, "?");
    arena_init(&r.arena);
    r.service = &service;
    r.method = methods[data[0] & 3];
    r.path = (struct span){text, path};
    r.query = (struct span){text + path + (path < length), length - path - (path < length)};
    r.headers = headers_of(data[0], text);
    r.peer = address;
    if (length + 1 < size - 1)
        buffer_append(&r.body, text + length + 1, size - 2 - length);
    outcome = metadata_handle(&r);
    must(outcome != METADATA_CHANGE || r.change);
    must(outcome == METADATA_CHANGE || (r.reply.status >= 200 && r.reply.status < 500));
    must(outcome != METADATA_WAIT || (r.waiting.instance_id && r.waiting.etag));
    metadata_request_fini(&r);
    free(text);
    return 0;
}
