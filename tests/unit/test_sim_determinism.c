// The same seed and the same changes give the same event log, byte for byte.
#include "base/random.h"
#include "tests/unit/seed.h"
#include "tests/unit/sim_fixture.h"

#include <stdio.h>

#define STEPS 400

static void make_latencies_random(struct sim *s)
{
    static const char *const transitions[] = {
        "instance.pending", "instance.stopping", "instance.rebooting", "instance.terminating",
        "target.initial",   "target.draining",   "route.pending"};

    for (size_t n = 0; n < sizeof(transitions) / sizeof(transitions[0]); n++) {
        struct change *c = request(s, latency_put, transitions[n]);

        c->request.latency = (struct distribution){DISTRIBUTION_UNIFORM, 0, 20 * NS_PER_S};
        accepted(s, c);
    }
}

// One step, chosen by `draw`; whether it is refused is part of the story too.
static void step(struct sim *s, uint64_t draw, char ids[STEPS][ID_MAX], size_t *count)
{
    static change_apply *const actions[] = {instance_start, instance_stop, instance_reboot,
                                            instance_terminate};
    struct change *c;
    char cidr[32];

    if (*count == 0 || draw % 4 == 0) {
        c = request(s, instance_create, NULL);
        c->request.instance.external_ip = true;
    } else {
        c = request(s, actions[draw / 4 % 4], ids[draw / 64 % *count]);
    }
    if (cloud_apply(s->cloud, c) == 0 && c->apply == instance_create)
        snprintf(ids[(*count)++], ID_MAX, "%s", c->result_id);
    change_free(c);
    if (draw % 8 != 1)
        return;
    snprintf(cidr, sizeof(cidr), "10.%d.%d.0/24", (int)(draw / 8 % 256), (int)(draw / 2048 % 256));
    c = request(s, route_create, NULL);
    c->request.route.destination_cidr = cidr;
    c->request.route.next_hop_instance_id = ids[draw / 512 % *count];
    cloud_apply(s->cloud, c);
    change_free(c);
    advance(s, (int64_t)(draw % 7) * NS_PER_S);
}

static char *run(uint64_t seed, uint64_t story)
{
    static char ids[STEPS][ID_MAX];
    size_t count = 0;
    struct sim s;
    char *log;

    sim_open(&s, seed);
    make_latencies_random(&s);
    for (int n = 0; n < STEPS; n++)
        step(&s, random_u64(story, n, 0), ids, &count);
    advance(&s, 120 * NS_PER_S);
    log = event_log(&s, 0);
    sim_close(&s);
    return log;
}

static void two_runs_with_one_seed_write_the_same_events(void **unused)
{
    uint64_t story = chosen_seed();
    char *first = run(7, story), *second = run(7, story);

    (void)unused;
    printf("SEED=%llu, %zu bytes of events\n", (unsigned long long)story, strlen(first));
    assert_true(strlen(first) > 10000);
    assert_string_equal(first, second);
    free(first);
    free(second);
}

static void another_seed_gives_other_ids(void **unused)
{
    char *first = run(7, 1), *second = run(8, 1);

    (void)unused;
    assert_string_not_equal(first, second);
    free(first);
    free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_runs_with_one_seed_write_the_same_events),
        cmocka_unit_test(another_seed_gives_other_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
