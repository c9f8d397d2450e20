#include "sim/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct unpacker reading(const struct buffer *b)
{
    return (struct unpacker){.at = (const unsigned char *)b->data,
                             .end = (const unsigned char *)b->data + b->length};
}

static void what_was_packed_is_read_back_in_the_same_order(void **state)
{
    static const int64_t numbers[] = {0, 1, -1, 63, 64, -65, 1 << 20, INT64_MAX, INT64_MIN};
    struct ip v4, v6, none = {0};
    struct buffer b;

    (void)state;
    buffer_init(&b);
    assert_int_equal(ip_parse("192.0.2.7", &v4, NULL), 0);
    assert_int_equal(ip_parse("2001:db8::7", &v6, NULL), 0);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        pack_int(&b, numbers[i]);
    pack_string(&b, "web-1");
    pack_string(&b, "");
    pack_string(&b, NULL);
    pack_ip(&b, &v4);
    pack_ip(&b, &v6);
    pack_ip(&b, &none);

    struct unpacker in = reading(&b);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        assert_int_equal(unpack_int(&in), numbers[i]);
    assert_string_equal(unpack_string(&in), "web-1");
    assert_string_equal(unpack_string(&in), "");
    assert_null(unpack_string(&in));
    struct ip got = unpack_ip(&in);
    assert_int_equal(ip_compare(&got, &v4), 0);
    got = unpack_ip(&in);
    assert_int_equal(ip_compare(&got, &v6), 0);
    assert_int_equal(unpack_ip(&in).family, 0);
    assert_false(in.failed);
    assert_ptr_equal(in.at, in.end);
    buffer_fini(&b);
}

// Every prefix of a packed record is read to its end without a step beyond it (ASan looks on).
static void a_record_cut_anywhere_fails_and_reads_nothing_beyond(void **state)
{
    struct ip ip;
    struct buffer b;
    size_t examined = 0;

    (void)state;
    buffer_init(&b);
    assert_int_equal(ip_parse("2001:db8::7", &ip, NULL), 0);
    pack_int(&b, INT64_MIN);
    pack_string(&b, "a string of some length");
    pack_ip(&b, &ip);
    for (size_t length = 0; length < b.length; length++, examined++) {
        unsigned char *cut = malloc(length + 1);
        memcpy(cut, b.data, length);
        struct unpacker in = {.at = cut, .end = cut + length};
        unpack_int(&in);
        unpack_string(&in);
        unpack_ip(&in);
        assert_true(in.failed);
        free(cut);
    }
    assert_true(examined > 40);
    buffer_fini(&b);
}

static void a_count_that_cannot_be_is_refused(void **state)
{
    struct buffer b;

    (void)state;
    buffer_init(&b);
    pack_int(&b, 1000000);
    struct unpacker in = reading(&b);
    assert_int_equal(unpack_count(&in), 0);
    assert_true(in.failed);
    buffer_clear(&b);
    pack_int(&b, -1);
    in = reading(&b);
    assert_int_equal(unpack_count(&in), 0);
    assert_true(in.failed);
    buffer_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_is_read_back_in_the_same_order),
        cmocka_unit_test(a_record_cut_anywhere_fails_and_reads_nothing_beyond),
        cmocka_unit_test(a_count_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
