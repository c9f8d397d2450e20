// The parser of server-sent events, fed in every way that a network may cut a stream.
#include "cli/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    char text[512];
    size_t count;
    size_t stop_at; // 0: never
};

static bool remember(void *user, const char *data, size_t length)
{
    struct seen *seen = user;

    strcat(strncat(seen->text, data, length), "|");
    return ++seen->count != seen->stop_at;
}

static const char stream[] = ": comment\n\nid: 7\nevent: instance.updated\ndata: {\"a\":1}\n\n"
                             "data:two\ndata: lines\nretry: 5\n\nid: x9\nid\n\nid: 12\ndata\n\n"
                             "data: half";
static const char expected[] = "{\"a\":1}|two\nlines||";

static void feed_in_pieces(const char *text, size_t size)
{
    struct seen seen = {.text = ""};
    struct sse s;

    sse_init(&s, remember, &seen);
    for (size_t at = 0; at < strlen(text); at += size)
        assert_true(sse_feed(&s, text + at, strnlen(text + at, size)));
    assert_string_equal(seen.text, expected);
    assert_int_equal(seen.count, 3);
    assert_string_equal(s.id, "12");
    sse_fini(&s);
}

static void pieces_of_any_size_give_the_same_events(void **state)
{
    (void)state;
    for (size_t size = 1; size <= sizeof stream; size++)
        feed_in_pieces(stream, size);
}

static void every_line_ending_gives_the_same_events(void **state)
{
    char text[sizeof stream * 2] = "";

    (void)state;
    for (const char *at = stream; *at != '\0'; at++)
        strcat(text, *at == '\n' ? "\r\n" : (char[]){*at, '\0'});
    for (size_t size = 1; size <= 9; size++)
        feed_in_pieces(text, size);
    strcpy(text, stream);
    for (char *at = text; *at != '\0'; at++)
        *at = (char)(*at == '\n' ? '\r' : *at);
    for (size_t size = 1; size <= 9; size++)
        feed_in_pieces(text, size);
}

static void the_sink_stops_the_feed_and_nothing_after_is_seen(void **state)
{
    struct seen seen = {.stop_at = 1};
    struct sse s;

    (void)state;
    sse_init(&s, remember, &seen);
    assert_false(sse_feed(&s, stream, strlen(stream)));
    assert_int_equal(seen.count, 1);
    assert_string_equal(s.id, "7");
    sse_fini(&s);
}

static void a_restart_drops_half_an_event_with_its_id(void **state)
{
    struct seen seen = {.text = ""};
    struct sse s;

    (void)state;
    sse_init(&s, remember, &seen);
    assert_string_equal(s.id, "");
    assert_true(sse_feed(&s, stream, strlen(stream)));
    assert_true(sse_feed(&s, "\nid: 13\n", 8));
    sse_restart(&s);
    assert_true(sse_feed(&s, "data: new\n\n", 11));
    assert_string_equal(seen.text + strlen(expected), "new|");
    assert_string_equal(s.id, "12");
    sse_fini(&s);
}

static void the_id_of_a_cloud_that_was_replaced_is_kept_as_it_was_sent(void **state)
{
    struct seen seen = {.text = ""};
    struct sse s;

    (void)state;
    sse_init(&s, remember, &seen);
    assert_true(sse_feed(&s, "id: 7-2\ndata: a\n\n", 18));
    assert_string_equal(s.id, "7-2");
    sse_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_any_size_give_the_same_events),
        cmocka_unit_test(every_line_ending_gives_the_same_events),
        cmocka_unit_test(the_sink_stops_the_feed_and_nothing_after_is_seen),
        cmocka_unit_test(a_restart_drops_half_an_event_with_its_id),
        cmocka_unit_test(the_id_of_a_cloud_that_was_replaced_is_kept_as_it_was_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
