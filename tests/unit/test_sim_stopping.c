// A cloud that is told to wind down while it is behind with what is due.
#include "sim/writer_internal.h"
#include "tests/unit/sim_fixture.h"

#include <stdio.h>
#include <unistd.h>

#define GROUP (DUE_BATCH + 100) // more than one batch of what is due at the same moment
#define AT(seconds) (CLOCK_MANUAL_START + (seconds)*NS_PER_S)

// Without a writer of its own, which would catch up between the steps of the test.
static int setup(void **state)
{
    struct cloud_config config = {.store = {.path = ":memory:"},
                                  .clock = {.mode = CLOCK_MANUAL, .cloud_ns = CLOCK_MANUAL_START},
                                  .seed = 1,
                                  .stepped = true};
    struct sim *s = calloc(1, sizeof(*s));

    log_setup(LOG_TEXT, LOG_ERROR);
    assert_int_equal(cloud_open(&config, &s->cloud, NULL), 0);
    assert_int_equal(cloud_project(s->cloud, "default", &s->project, NULL), 0);
    *state = s;
    return 0;
}

static void create(struct sim *s, int count)
{
    struct change *c = request(s, instance_create, NULL);

    c->request.instance.count = count;
    accepted(s, c);
}

// Two groups and one more, due one after the other; a recording that begins now.
static void fall_behind(struct sim *s, const char *path)
{
    takes(s, "instance.pending", 10 * NS_PER_S);
    create(s, GROUP);
    advance(s, NS_PER_S);
    create(s, GROUP);
    advance(s, NS_PER_S);
    create(s, 1);
    assert_int_equal(cloud_record_start(s->cloud, path, false, NULL), 0);
    clock_advance_to(s->cloud->clock, AT(3600));
    cloud_wind_down(s->cloud);
}

static json_t *line_of(const char *path, int number)
{
    FILE *file = fopen(path, "r");
    json_t *line = NULL;

    assert_non_null(file);
    for (int n = 0; n <= number; n++) {
        json_decref(line);
        line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL);
    }
    fclose(file);
    return line;
}

static int64_t number(const json_t *line, const char *key)
{
    return json_integer_value(json_object_get(line, key));
}

static void a_recording_ends_where_a_stop_has_cut_the_catching_up(void **state)
{
    static const struct change_source source = {.method = "POST",
                                                .path = {"/sim/v1/clock/freeze", 20}};
    struct clock_change freeze = {.action = CLOCK_FREEZE};
    struct change *c = clock_change_new(&freeze, "clock.freeze");
    struct sim *s = *state;
    char path[] = "/tmp/mockcloud-stopping-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    fall_behind(s, path);
    c->source = &source;
    assert_int_equal(cloud_apply(s->cloud, c), -ERROR_UNAVAILABLE); // it has not happened
    change_free(c);
    assert_int_equal(cloud_record_stop(s->cloud, NULL), 0);
    assert_int_equal(cloud_clock(s->cloud).next_deadline_ns, AT(12));

    json_t *end = line_of(path, 1);
    assert_true(json_is_true(json_object_get(end, "end")));
    assert_int_equal(number(end, "time_ns"), AT(11));
    assert_int_equal(number(end, "revision"), cloud_revision(s->cloud));
    json_decref(end);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_recording_ends_where_a_stop_has_cut_the_catching_up,
                                        setup, sim_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
