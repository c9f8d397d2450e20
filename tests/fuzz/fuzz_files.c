// The other files that people write: the first byte says whether the rest is a configuration or a
// seed file. A seed file is put into a cloud, in which earlier ones may have left something.
#include "base/log.h"
#include "cli/serve_options.h"
#include "cli/serve_seed.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <sys/mman.h>
#include <unistd.h>

#define REVISIONS_MAX 3000 // then a new cloud

static struct cloud *cloud;

static void renew(void)
{
    struct cloud_config config = {.store = {.path = ":memory:"},
                                  .clock = {.mode = CLOCK_MANUAL, .cloud_ns = CLOCK_MANUAL_START},
                                  .seed = 1,
                                  .stepped = true};
    struct error err = {0};

    if (cloud && cloud_revision(cloud) < REVISIONS_MAX)
        return;
    log_setup(LOG_TEXT, LOG_ERROR);
    cloud_close(cloud);
    must(cloud_open(&config, &cloud, &err) == 0);
}

static void read_config(char *path)
{
    char name[] = "serve", flag[] = "--config";
    char *argv[] = {name, flag, path, NULL};
    struct serve_options options;
    struct error err = {0};
    struct arena arena;
    json_t *file = NULL;

    arena_init(&arena);
    if (serve_options_read(3, argv, &arena, &options, &file, &err) < 0)
        must(err.code != ERROR_NONE && err.message[0]);
    json_decref(file);
    arena_fini(&arena);
}

static void read_seed(const char *path)
{
    struct error err = {0};
    json_t *seed = NULL;

    if (json_file_load(path, &seed, &err) == 0) {
        renew();
        seed_apply(cloud, seed, "seed.json", &err);
    }
    must(seed || err.message[0]);
    json_decref(seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[32];
    int fd;

    if (size == 0)
        return 0;
    fd = memfd_create("fuzz", 0);
    must(fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)(size - 1));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (data[0] & 1)
        read_config(path);
    else
        read_seed(path);
    close(fd);
    return 0;
}
