// Addresses and CIDR blocks: whatever is taken prints to a text that reads back to the same.
#include "base/ip.h"
#include "tests/fuzz/fuzz.h"

static void check_ip(const char *text)
{
    struct error err = {0};
    struct ip ip, again;
    char printed[IP_TEXT_MAX], twice[IP_TEXT_MAX];

    if (ip_parse(text, &ip, &err) < 0) {
        must(err.code == ERROR_INVALID && err.message[0]);
        return;
    }
    ip_format(&ip, printed);
    must(ip_parse(printed, &again, NULL) == 0);
    must(ip_compare(&ip, &again) == 0);
    ip_format(&again, twice);
    must(strcmp(printed, twice) == 0);
}

static void check_cidr(const char *text)
{
    struct error err = {0};
    struct cidr block, again;
    char printed[CIDR_TEXT_MAX];
    struct ip last;
    uint64_t size;

    if (cidr_parse(text, &block, &err) < 0) {
        must(err.code == ERROR_INVALID && err.message[0]);
        return;
    }
    cidr_format(&block, printed);
    must(cidr_parse(printed, &again, NULL) == 0);
    must(again.prefix == block.prefix && ip_compare(&block.base, &again.base) == 0);
    size = cidr_size(&block);
    last = cidr_nth(&block, size - 1);
    must(size > 0 && cidr_contains(&block, &last) && cidr_index(&block, &last) == size - 1);
    must(cidr_overlaps(&block, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size);

    check_ip(text);
    check_cidr(text);
    free(text);
    return 0;
}
