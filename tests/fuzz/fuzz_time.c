// Times, durations and clock names: whatever is taken prints to a text that reads back to the same.
#include "base/clock.h"
#include "base/timefmt.h"
#include "tests/fuzz/fuzz.h"

static void check_time(const char *text)
{
    char printed[TIME_TEXT_MAX];
    int64_t ns, again;

    if (time_parse(text, &ns, NULL) < 0)
        return;
    must(ns >= 0 && ns <= CLOCK_END);
    time_format(ns, printed);
    must(time_parse(printed, &again, NULL) == 0);
    must(again == ns - ns % NS_PER_MS);
}

static void check_duration(const char *text)
{
    char printed[DURATION_TEXT_MAX];
    int64_t ns, again;

    if (duration_parse(text, &ns, NULL) < 0)
        return;
    must(ns >= 0 && ns <= DURATION_MAX);
    duration_format(ns, printed);
    must(duration_parse(printed, &again, NULL) == 0);
    must(again == ns);
}

static void check_clock(const char *text)
{
    struct clock_state state;

    if (clock_state_parse(text, &state, NULL) == 0)
        must(state.scale >= 0 && state.scale <= CLOCK_SCALE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size);

    check_time(text);
    check_duration(text);
    check_clock(text);
    free(text);
    return 0;
}
