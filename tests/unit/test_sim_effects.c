// The outbox under crashes, failing disks and a backend that refuses: whatever happens, every
// effect that was committed happens at least once, and in the end the containers are what the
// instances say.
#include "tests/simulation/disk.h"
#include "tests/unit/fake_backend.h"
#include "tests/unit/seed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define RUNS 60
#define STEPS 150

struct world {
    struct cloud *cloud;
    struct fake fake;
    int64_t project;
    uint64_t seed;
    int64_t step;
    uint32_t stream;
    char path[128];
    int made, crashes, acknowledged;
    char ids[FAKE_MAX][ID_MAX];
};

static uint64_t below(struct world *w, uint64_t limit)
{
    return random_u64(w->seed, w->step, w->stream++) % limit;
}

static void open_cloud(struct world *w)
{
    struct cloud_config config = {.store = {.path = w->path},
                                  .clock = {.mode = CLOCK_MANUAL, .cloud_ns = CLOCK_MANUAL_START},
                                  .seed = w->seed,
                                  .stepped = true};
    struct error err = {0};

    if (cloud_open(&config, &w->cloud, &err) < 0)
        fail_msg("seed %" PRIu64 ": %s", w->seed, err.message);
    assert_int_equal(cloud_project(w->cloud, "default", &w->project, NULL), 0);
    fake_attach(&w->fake, w->cloud);
}

static void recover_if_stopped(struct world *w)
{
    if (!disk_is_stopped())
        return;
    cloud_close(w->cloud); // detaches
    disk_restart(false, 0);
    open_cloud(w);
    w->crashes++;
}

// Its answer is told, then forgotten.
static enum error_code apply(struct world *w, change_apply *what, const char *id, const char *name,
                             char out_id[ID_MAX])
{
    struct change *c = change_new(what, "test");
    enum error_code code;

    c->cause = CAUSE_API;
    c->project = w->project;
    c->project_name = "default";
    c->id = id;
    if (what == cluster_create) {
        c->request.cluster = (struct cluster_spec){.name = name};
    } else if (what == instance_create) {
        c->request.instance.name = name;
        c->request.instance.backend = BACKEND_DOCKER;
        c->request.instance.container.cluster = "c1";
        c->request.instance.container.provision = PROVISION_JOIN;
    }
    cloud_apply(w->cloud, c);
    code = c->error.code;
    if (code == ERROR_NONE && out_id)
        snprintf(out_id, ID_MAX, "%s", c->result_id);
    change_free(c);
    w->acknowledged += code == ERROR_NONE;
    return code;
}

static void act_at_random(struct world *w)
{
    static change_apply *const actions[] = {instance_start, instance_stop, instance_reboot,
                                            instance_terminate};
    char name[16];

    if (w->made < FAKE_MAX && below(w, 3) == 0) {
        snprintf(name, sizeof(name), "n%d", w->made);
        if (apply(w, instance_create, NULL, name, w->ids[w->made]) == ERROR_NONE)
            w->made++;
    } else if (w->made > 0) {
        change_apply *action = actions[below(w, 8) == 0 ? 3 : below(w, 3)];
        apply(w, action, w->ids[below(w, (uint64_t)w->made)], NULL, NULL);
    }
}

static void trouble_at_random(struct world *w)
{
    switch (below(w, 12)) {
    case 0:
        disk_order(DISK_STOPS, (int64_t)below(w, 12), EIO);
        break;
    case 1:
        disk_order(DISK_FAILS_ONCE, (int64_t)below(w, 12), ENOSPC);
        break;
    case 2:
        fake_order(&w->fake, false, ERROR_UNAVAILABLE);
        break;
    case 3:
    case 4:
        fake_order(&w->fake, false, ERROR_NONE);
        break;
    default:
        break;
    }
}

static void step(struct world *w)
{
    w->stream = 0;
    trouble_at_random(w);
    if (below(w, 2) == 0)
        act_at_random(w);
    else
        cloud_run_effect(w->cloud);
    recover_if_stopped(w);
}

// --- in the end ---

static void settle(struct world *w)
{
    int rounds = 0;

    disk_heal();
    fake_order(&w->fake, false, ERROR_NONE);
    while (cloud_run_effect(w->cloud)) {
        if (rounds++ > 1000)
            fail_msg("seed %" PRIu64 ": effects that never end", w->seed);
    }
}

static enum container_state container_of(struct world *w, const char *name)
{
    const struct fake_container *c = fake_find(&w->fake, name);

    return c ? c->state : CONTAINER_ABSENT;
}

static void check_instance(struct world *w, json_t *document)
{
    const char *state = text(document, "state"), *name = text(document, "name");
    enum container_state expected = CONTAINER_ABSENT;

    if (strcmp(state, "running") == 0)
        expected = CONTAINER_RUNNING;
    else if (strcmp(state, "stopped") == 0)
        expected = CONTAINER_STOPPED;
    else if (strcmp(state, "terminated") != 0)
        fail_msg("seed %" PRIu64 ": %s stays %s", w->seed, name, state);
    if (container_of(w, name) != expected)
        fail_msg("seed %" PRIu64 ": %s is %s, its container is in state %d", w->seed, name, state,
                 (int)container_of(w, name));
}

// Who is acknowledged is there, and every container is somebody's.
static void check_all(struct world *w)
{
    struct list_query query = {.kind = KIND_INSTANCE, .limit = 1000};
    struct buffer out;
    int64_t next, revision;
    size_t count = 0;

    buffer_init(&out);
    buffer_append(&out, "[", 1);
    assert_int_equal(cloud_list(w->cloud, &query, &out, &count, &next, &revision, NULL), 0);
    buffer_append(&out, "]", 1);
    json_t *list = json_loadb(out.data, out.length, 0, NULL);
    assert_non_null(list);
    for (size_t i = 0; i < count; i++)
        check_instance(w, json_array_get(list, i));
    assert_true(count >= (size_t)w->made); // one may be there whose answer was lost
    assert_true(w->fake.count <= count);
    json_decref(list);
    buffer_fini(&out);
}

static void run(struct world *w, uint64_t seed, int n)
{
    *w = (struct world){.seed = seed};
    snprintf(w->path, sizeof(w->path), "/tmp/effects-%d-%d.db", (int)getpid(), n);
    fake_init(&w->fake);
    open_cloud(w);
    assert_int_equal(apply(w, cluster_create, NULL, "c1", NULL), ERROR_NONE);
    for (w->step = 1; w->step <= STEPS; w->step++)
        step(w);
    settle(w);
    check_all(w);
    cloud_close(w->cloud);
    disk_restart(false, 0);
    unlink(w->path);
}

static void committed_effects_happen_at_least_once_and_converge(void **unused)
{
    uint64_t first = chosen_seed();
    int crashes = 0, runs = 0, acknowledged = 0;
    static struct world w;

    (void)unused;
    printf("SEED=%" PRIu64 "\n", first);
    for (int n = 0; n < RUNS; n++) {
        run(&w, first + (uint64_t)n, n);
        crashes += w.crashes;
        acknowledged += w.acknowledged;
        for (int action = 0; action < EFFECT_ACTIONS; action++)
            runs += w.fake.runs[action];
    }
    printf("%d changes, %d effects run, %d crashes in %d runs\n", acknowledged, runs, crashes,
           RUNS);
    assert_true(crashes > RUNS && runs > 10 * RUNS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committed_effects_happen_at_least_once_and_converge),
    };

    disk_install(false);
    log_setup(LOG_TEXT, (enum log_level)(LOG_ERROR + 1)); // failures are no news here
    return cmocka_run_group_tests(tests, NULL, NULL);
}
