// What the tests of store/ share: a store in a fresh directory, rows that name themselves, and
// checks that print the error.
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

struct fixture {
    char directory[64];
    char path[96];
    struct store *store;
    struct arena arena;
    struct error err;
    int64_t revision; // of the last row or event made
};

// A call that must succeed; prints the error otherwise. Evaluates to what the call returned.
#define OK(f, call) check_ok((call), &(f)->err, #call, __FILE__, __LINE__)
// A call that must fail with this code; clears the error.
#define FAILS(f, code_, call)                     \
    do {                                          \
        (f)->err = (struct error){0};             \
        assert_int_equal((call), -(int)(code_));  \
        assert_int_equal((f)->err.code, (code_)); \
    } while (0)

static UNUSED int check_ok(int result, struct error *err, const char *what, const char *file,
                           int line)
{
    if (result < 0) {
        print_error("%s: %d %s %s\n", what, result, err->field, err->message);
        _fail(file, line);
    }
    return result;
}

static UNUSED int fixture_open(struct fixture *f)
{
    return store_open(&(struct store_options){.path = f->path, .address = "http://127.0.0.1:9080"},
                      &f->store, &f->err);
}

static UNUSED void fixture_new(struct fixture *f)
{
    *f = (struct fixture){.directory = "/tmp/mockcloud-store-test-XXXXXX"};
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof(f->path), "%s/test.db", f->directory);
    arena_init(&f->arena);
}

static UNUSED void remove_directory(const char *directory)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    rmdir(directory);
}

static UNUSED void fixture_free(struct fixture *f)
{
    store_close(f->store);
    arena_fini(&f->arena);
    remove_directory(f->directory);
}

static UNUSED int setup(void **state)
{
    static struct fixture fixture;

    fixture_new(&fixture);
    OK(&fixture, fixture_open(&fixture));
    *state = &fixture;
    return 0;
}

static UNUSED int setup_closed(void **state)
{
    static struct fixture fixture;

    fixture_new(&fixture);
    *state = &fixture;
    return 0;
}

static UNUSED int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

static UNUSED void reopen(struct fixture *f)
{
    store_close(f->store);
    f->store = NULL;
    OK(f, fixture_open(f));
}

static UNUSED struct bytes text_bytes(const char *text)
{
    return (struct bytes){text, strlen(text)};
}

// A row to be stored: id "i-<n>", name "n<n>", document {"n":<n>}.
static UNUSED struct row make_row(struct fixture *f, int n)
{
    return (struct row){
        .id = arena_printf(&f->arena, "i-%d", n),
        .project = 1,
        .name = arena_printf(&f->arena, "n%d", n),
        .state = 1,
        .revision = ++f->revision,
        .columns = {"zone-a", "small", "spot"},
        .record = text_bytes(arena_printf(&f->arena, "record %d", n)),
        .document = text_bytes(arena_printf(&f->arena, "{\"n\":%d}", n)),
    };
}

// Stores make_row(n) as an instance; returns its seq.
static UNUSED int64_t put_instance(struct fixture *f, int n)
{
    struct row row = make_row(f, n);

    OK(f, store_put(f->store, KIND_INSTANCE, &row, &f->err));
    return row.seq;
}

static UNUSED void put_event(struct fixture *f, enum kind kind, int64_t project,
                             const char *document)
{
    struct event event = {.revision = ++f->revision,
                          .time_ns = f->revision * 1000,
                          .project = project,
                          .project_name = project ? "default" : NULL,
                          .kind = kind,
                          .id = "i-1",
                          .type = EVENT_UPDATED,
                          .cause = CAUSE_TIMER,
                          .operation = "instances.create",
                          .document = text_bytes(document)};

    OK(f, store_event_append(f->store, &event, &f->err));
}

#endif
