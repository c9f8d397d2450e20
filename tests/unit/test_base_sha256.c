// The examples of FIPS 180-4 and NIST's vectors, and that pieces make the same whole.
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *digest(const char *text, size_t length, size_t piece)
{
    static char out[SHA256_TEXT_MAX];
    struct sha256 s;

    sha256_init(&s);
    for (size_t at = 0; at < length; at += piece)
        sha256_update(&s, text + at, length - at < piece ? length - at : piece);
    sha256_text(&s, out);
    return out;
}

static void the_published_examples_come_out(void **state)
{
    static const struct {
        const char *text, *digest;
    } examples[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
        assert_string_equal(digest(examples[i].text, strlen(examples[i].text), 64),
                            examples[i].digest);
}

static void a_million_times_a(void **state)
{
    static char text[1000000];

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_string_equal(digest(text, sizeof(text), sizeof(text)),
                        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void pieces_of_any_size_make_the_same_whole(void **state)
{
    char text[300], whole[SHA256_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)i;
    for (size_t length = 0; length <= sizeof(text); length++) {
        strcpy(whole, digest(text, length, sizeof(text)));
        for (size_t piece = 1; piece <= 130; piece += 3)
            assert_string_equal(digest(text, length, piece), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_examples_come_out),
        cmocka_unit_test(a_million_times_a),
        cmocka_unit_test(pieces_of_any_size_make_the_same_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
