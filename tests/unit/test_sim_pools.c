// Address pools: what is known of a full one, and that it is forgotten in time.
#include "base/random.h"
#include "sim/cloud_internal.h"
#include "sim/instance.h"
#include "store/store.h"
#include "tests/simulation/disk.h"
#include "tests/unit/sim_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#define FREE 6 // addresses of the small pool

// External addresses come from a pool of six, internal ones from one that does not end.
static int setup(void **state)
{
    struct sim *s = calloc(1, sizeof(*s));
    struct cloud_config config = {.store = {.path = ":memory:"},
                                  .clock = {.mode = CLOCK_MANUAL, .cloud_ns = CLOCK_MANUAL_START},
                                  .seed = 1,
                                  .stepped = true,
                                  .pools = {.external_v4 = "198.18.0.0/29"}};
    struct error err = {0};

    log_setup(LOG_TEXT, LOG_ERROR);
    if (cloud_open(&config, &s->cloud, &err) < 0)
        fail_msg("cloud_open: %s", err.message);
    assert_int_equal(cloud_project(s->cloud, "default", &s->project, NULL), 0);
    *state = s;
    return 0;
}

static struct change *instances(struct sim *s, int count)
{
    struct change *c = request(s, instance_create, NULL);

    c->request.instance.count = count;
    c->request.instance.families[0] = IP_V4;
    c->request.instance.family_count = 1;
    c->request.instance.external_ip = true;
    return c;
}

// A change that is expected to be applied, or refused for want of an address.
static bool tried(struct sim *s, struct change *c)
{
    int rc = cloud_apply(s->cloud, c);

    if (rc != 0 && rc != -ERROR_EXHAUSTED)
        fail_msg("refused: %s", c->error.message);
    change_free(c);
    return rc == 0;
}

static void creates(struct sim *s, int count)
{
    while (count-- > 0)
        assert_true(tried(s, instances(s, 1)));
    assert_false(tried(s, instances(s, 1)));
}

// Frees an address behind the cloud's back: whoever looks at the table finds it.
static void free_unseen(struct sim *s, const char *text)
{
    struct reader *reader;
    struct arena arena;
    const char *owner;
    struct ip ip;

    arena_init(&arena);
    assert_int_equal(ip_parse(text, &ip, NULL), 0);
    assert_int_equal(store_reader_take(s->cloud->store, &reader, NULL), 0);
    assert_int_equal(reader_ip_owner(reader, &ip, &arena, &owner, NULL), 1);
    store_reader_give(s->cloud->store, reader);
    assert_int_equal(store_begin(s->cloud->store, NULL), 0);
    assert_int_equal(store_ip_release(s->cloud->store, &ip, owner, NULL), 0);
    assert_int_equal(store_commit(s->cloud->store, NULL), 0);
    arena_fini(&arena);
}

static void a_full_pool_is_walked_once_however_many_are_refused(void **state)
{
    struct sim *s = *state;
    struct change *c;

    creates(s, FREE);
    free_unseen(s, "198.18.0.3");
    for (int i = 0; i < 3; i++)
        assert_false(tried(s, instances(s, 1))); // each gives an internal address back
    c = request(s, address_create, NULL);        // an address of its own, of the other family
    c->request.address.family = IP_V6;
    accepted(s, c);
    assert_false(tried(s, instances(s, 1)));
}

static void a_refused_change_that_took_the_last_addresses_leaves_them_free(void **state)
{
    struct sim *s = *state;

    assert_false(tried(s, instances(s, FREE + 1)));
    creates(s, FREE);
}

static void ignore(struct change *c)
{
    (void)c;
}

static void
a_batch_that_took_the_last_addresses_and_was_not_committed_leaves_them_free(void **state)
{
    struct sim *s = *state;
    struct change *queued[FREE + 2];

    for (int i = 0; i < FREE + 2; i++) {
        queued[i] = instances(s, 1);
        queued[i]->done = ignore;
        cloud_submit(s->cloud, queued[i]);
    }
    log_setup(LOG_TEXT, (enum log_level)(LOG_ERROR + 1));
    disk_order(DISK_STAYS_FULL, 0, ENOSPC);
    cloud_step(s->cloud);
    assert_true(disk_was_hit());
    disk_heal();
    log_setup(LOG_TEXT, LOG_ERROR);
    for (int i = 0; i < FREE + 2; i++) {
        assert_int_equal(queued[i]->error.code, ERROR_STORAGE);
        change_free(queued[i]);
    }
    creates(s, FREE);
}

static void whatever_ends_gives_its_addresses_back(void **state)
{
    struct sim *s = *state;
    char *id = create_instance(s, "one");
    struct change *c;

    c = request(s, project_create, NULL);
    c->request.project_create.name = "other";
    accepted(s, c);
    c = instances(s, 2);
    c->project_name = "other";
    assert_int_equal(cloud_project(s->cloud, "other", &c->project, NULL), 0);
    assert_true(tried(s, c));
    creates(s, FREE - 3);
    act(s, instance_terminate, id);
    creates(s, 1);
    act(s, project_delete, "other");
    creates(s, 2);
    free(id);
}

static void a_cloud_that_was_replaced_knows_its_own_pools(void **state)
{
    struct sim *s = *state;
    char *path;

    assert_int_equal(cloud_snapshot(s->cloud, &path, NULL), 0);
    creates(s, FREE);
    assert_int_equal(cloud_restore(s->cloud, path, "a snapshot", false, NULL, NULL), 0);
    creates(s, FREE);
    assert_int_equal(cloud_reset(s->cloud, NULL, NULL), 0);
    creates(s, FREE);
    unlink(path);
    free(path);

    // the other way round: as full as before, and nobody has claimed anything since
    assert_int_equal(cloud_snapshot(s->cloud, &path, NULL), 0);
    assert_int_equal(cloud_restore(s->cloud, path, "a snapshot", false, NULL, NULL), 0);
    creates(s, 0);
    assert_int_equal(cloud_reset(s->cloud, NULL, NULL), 0);
    creates(s, FREE);
    unlink(path);
    free(path);
}

// The holders of the pool's addresses; returns how many.
static int look_for_holders(struct sim *s, char ids[FREE][ID_MAX])
{
    struct arena arena;
    struct instance *holder;
    struct ip ip;
    char text[IP_TEXT_MAX];
    int count = 0;

    arena_init(&arena);
    for (int n = 1; n <= FREE; n++) {
        snprintf(text, sizeof(text), "198.18.0.%d", n);
        assert_int_equal(ip_parse(text, &ip, NULL), 0);
        if (cloud_instance_at(s->cloud, &ip, &arena, &holder, NULL) == 1)
            snprintf(ids[count++], ID_MAX, "%s", holder->r.id);
    }
    arena_fini(&arena);
    return count;
}

static void a_pool_is_full_exactly_when_nothing_is_left_of_it(void **state)
{
    struct sim *s = *state;
    char ids[FREE][ID_MAX];
    int used = 0, refusals = 0;

    for (int64_t step = 1; step <= 2000; step++) {
        int count = 1 + (int)(random_u64(7, step, 1) % 3);
        if (used > 0 && random_u64(7, step, 0) % 2 == 0) {
            act(s, instance_terminate, ids[random_u64(7, step, 2) % (uint64_t)used]);
        } else if (tried(s, instances(s, count)) != (used + count <= FREE)) {
            fail_msg("step %" PRId64 ": %d of %d used, %d more", step, used, FREE, count);
        } else {
            refusals += used + count > FREE;
        }
        used = look_for_holders(s, ids);
    }
    assert_in_range(refusals, 100, 2000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_pool_is_walked_once_however_many_are_refused),
        TEST(a_refused_change_that_took_the_last_addresses_leaves_them_free),
        TEST(a_batch_that_took_the_last_addresses_and_was_not_committed_leaves_them_free),
        TEST(whatever_ends_gives_its_addresses_back),
        TEST(a_cloud_that_was_replaced_knows_its_own_pools),
        TEST(a_pool_is_full_exactly_when_nothing_is_left_of_it),
    };
    disk_install(false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
