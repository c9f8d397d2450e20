#include "base/ip.h"
#include "base/random.h"
#include "tests/unit/base_unit.h"

#include <string.h>

static struct ip ip(const char *text)
{
    struct ip parsed;
    if (ip_parse(text, &parsed, NULL) < 0)
        fail_msg("\"%s\" was refused", text);
    return parsed;
}

static struct cidr cidr(const char *text)
{
    struct cidr parsed;
    if (cidr_parse(text, &parsed, NULL) < 0)
        fail_msg("\"%s\" was refused", text);
    return parsed;
}

static void test_addresses_are_printed_in_canonical_form(void **state)
{
    static const struct {
        const char *text, *canonical;
        enum ip_family family;
    } rows[] = {
        {"0.0.0.0", "0.0.0.0", IP_V4},
        {"255.255.255.255", "255.255.255.255", IP_V4},
        {"10.1.2.3", "10.1.2.3", IP_V4},
        {"::", "::", IP_V6},
        {"::1", "::1", IP_V6},
        {"1::", "1::", IP_V6},
        {"2001:DB8::1", "2001:db8::1", IP_V6},
        {"2001:0db8:0000:0000:0000:0000:0002:0001", "2001:db8::2:1", IP_V6},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", IP_V6}, // a lone zero is not shortened
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1", IP_V6},          // the longest run
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", IP_V6},    // the first of equals
        {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::", IP_V6},
        {"0:0:3:4:5:6:7:8", "::3:4:5:6:7:8", IP_V6},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         IP_V6},
        {"::1.2.3.4", "::102:304", IP_V6},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221", IP_V6},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ip parsed = ip(rows[i].text), again;
        char text[IP_TEXT_MAX];
        ip_format(&parsed, text);
        assert_string_equal(text, rows[i].canonical);
        assert_int_equal(parsed.family, rows[i].family);
        again = ip(text);
        assert_int_equal(ip_compare(&parsed, &again), 0);
    }
}

static void test_what_is_no_address_is_refused_and_leaves_the_output_alone(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.04",
        "1.2.3.4 ",
        " 1.2.3.4",
        "0x1.2.3.4",
        "1.2.3.-4",
        "1..2.3",
        "1.2.3.",
        ":",
        ":::",
        "1::2::3",
        "12345::",
        "g::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "fe80::1%eth0",
        "::ffff:1.2.3.4",
        "::ffff:102:304",
        "[::1]",
        "::1/64",
        "localhost",
        "1.2.3.4:80",
        "::1.2.3.256",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ip out = {.family = IP_V6, .bytes = {9}};
        struct error err = {0};
        if (ip_parse(rows[i], &out, &err) != -ERROR_INVALID)
            fail_msg("\"%s\" was taken", rows[i]);
        assert_int_equal(err.code, ERROR_INVALID);
        assert_int_equal(out.bytes[0], 9);
    }
}

static void test_blocks_are_printed_as_they_were_read(void **state)
{
    static const char *const rows[] = {
        "0.0.0.0/0",     "10.0.0.0/8",  "10.128.0.0/9",    "192.0.2.1/32", "::/0",
        "2001:db8::/32", "fd00:1::/64", "2001:db8::1/128", "10.0.0.4/30"};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cidr block = cidr(rows[i]);
        char text[CIDR_TEXT_MAX];
        cidr_format(&block, text);
        assert_string_equal(text, rows[i]);
    }
}

static void test_what_is_no_block_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "/",
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/8 ",
        "10.0.0.0/8/8",
        "10.0.0.0/1000",
        "::/129",
        "2001:db8::/032",
        "10.0.0.1/8",
        "10.0.0.0/6",
        "2001:db8::1/64",
        "::1/0",
        "10.0.0/8",
        "::ffff:10.0.0.0/104",
        "/8",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/64",
        "10.0.0.0/0x8",
        "fe80::%1/64",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error err = {0};
        struct cidr out;
        if (cidr_parse(rows[i], &out, &err) != -ERROR_INVALID)
            fail_msg("\"%s\" was taken", rows[i]);
        assert_true(strlen(err.message) > 0);
    }
}

static void test_containment_and_overlap(void **state)
{
    static const struct {
        const char *a, *b;
        bool overlaps;
    } rows[] = {
        {"10.0.0.0/8", "10.1.0.0/16", true},
        {"10.0.0.0/16", "10.1.0.0/16", false},
        {"0.0.0.0/0", "192.0.2.1/32", true},
        {"10.0.0.0/9", "10.128.0.0/9", false},
        {"0.0.0.0/0", "::/0", false},
        {"2001:db8::/32", "2001:db8:1::/48", true},
        {"2001:db8::/33", "2001:db8:8000::/33", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cidr a = cidr(rows[i].a), b = cidr(rows[i].b);
        assert_int_equal(cidr_overlaps(&a, &b), rows[i].overlaps);
        assert_int_equal(cidr_overlaps(&b, &a), rows[i].overlaps);
        assert_int_equal(cidr_contains(&a, &b.base) || cidr_contains(&b, &a.base),
                         rows[i].overlaps);
    }
    struct cidr ten = cidr("10.0.0.0/8");
    struct ip last = ip("10.255.255.255"), after = ip("11.0.0.0"), six = ip("a00::");
    assert_true(cidr_contains(&ten, &last));
    assert_false(cidr_contains(&ten, &after));
    assert_false(cidr_contains(&ten, &six));
}

static void test_addresses_are_ordered_family_first(void **state)
{
    static const char *const ordered[] = {"0.0.0.0", "9.255.255.255", "10.0.0.0",   "255.0.0.0",
                                          "::",      "::1",           "2001:db8::", "ffff::"};

    (void)state;
    for (size_t a = 0; a < COUNT(ordered); a++)
        for (size_t b = 0; b < COUNT(ordered); b++) {
            struct ip x = ip(ordered[a]), y = ip(ordered[b]);
            int order = ip_compare(&x, &y);
            assert_int_equal((order > 0) - (order < 0), (a > b) - (a < b));
        }
}

static void test_the_nth_address_and_its_index_are_inverse(void **state)
{
    static const char *const blocks[] = {"10.0.0.0/8",  "0.0.0.0/0",     "192.0.2.7/32",
                                         "10.0.0.4/31", "2001:db8::/64", "::/0",
                                         "fd00::/112",  "fd00::/70",     "fd00::8000/113"};

    (void)state;
    for (size_t i = 0; i < COUNT(blocks); i++) {
        struct cidr block = cidr(blocks[i]);
        uint64_t size = cidr_size(&block);
        for (int64_t draw = 0; draw < 200; draw++) {
            uint64_t n = draw == 0 ? 0 : draw == 1 ? size - 1 : random_u64(1, draw, 0) % size;
            struct ip nth = cidr_nth(&block, n);
            assert_true(cidr_contains(&block, &nth));
            assert_true(cidr_index(&block, &nth) == n);
        }
    }
}

static void test_sizes_are_exact_and_capped_at_64_bits(void **state)
{
    static const struct {
        const char *block;
        uint64_t size;
    } rows[] = {
        {"0.0.0.0/0", UINT64_C(1) << 32}, {"10.0.0.0/24", 256},      {"10.0.0.1/32", 1},
        {"fd00::/65", UINT64_C(1) << 63}, {"fd00::/64", UINT64_MAX}, {"::/0", UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cidr block = cidr(rows[i].block);
        assert_true(cidr_size(&block) == rows[i].size);
    }
    struct cidr all = cidr("::/0");
    struct ip far = ip("0:0:0:1::"), near = ip("::ffff:ffff:ffff:ffff");
    assert_true(cidr_index(&all, &far) == UINT64_MAX);
    assert_true(cidr_index(&all, &near) == UINT64_MAX);
}

static void test_families_have_names(void **state)
{
    enum ip_family family = IP_V4;

    (void)state;
    assert_int_equal(ip_family_parse("ipv6", &family, NULL), 0);
    assert_int_equal(family, IP_V6);
    assert_string_equal(ip_family_name(family), "ipv6");
    assert_int_equal(ip_family_parse("ipv4", &family, NULL), 0);
    assert_string_equal(ip_family_name(family), "ipv4");
    assert_int_equal(ip_family_parse("IPv4", &family, NULL), -ERROR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_printed_in_canonical_form),
        cmocka_unit_test(test_what_is_no_address_is_refused_and_leaves_the_output_alone),
        cmocka_unit_test(test_blocks_are_printed_as_they_were_read),
        cmocka_unit_test(test_what_is_no_block_is_refused),
        cmocka_unit_test(test_containment_and_overlap),
        cmocka_unit_test(test_addresses_are_ordered_family_first),
        cmocka_unit_test(test_the_nth_address_and_its_index_are_inverse),
        cmocka_unit_test(test_sizes_are_exact_and_capped_at_64_bits),
        cmocka_unit_test(test_families_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
