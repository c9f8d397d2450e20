// The reference servers of the benchmarks: libmicrohttpd with nothing around it, set as ours is.
//
//     bare get    --body FILE                  the same bytes from memory
//     bare select --db FILE --sql SQL          one SELECT per request; ?1 is the last path segment
//     bare insert --db FILE --synchronous S --body FILE
//                                              one INSERT, so one commit, per POST; answers the
//                                              bytes
//     bare list   --db FILE                    a streaming encoder over a SELECT of all rows (see
//     `rows`) bare join   --db FILE --sql SQL          column 0 of all rows joined to a list,
//     nothing encoded
//
// common: --threads N, --memory BYTES per connection. Prints "listening PORT" and serves until
// killed.
#include <arpa/inet.h>
#include <getopt.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
    const char *mode, *db, *sql, *synchronous;
    char *body;
    size_t body_length;
    unsigned threads;
    size_t memory;
};

static struct options options = {.synchronous = "NORMAL", .threads = 2, .memory = 12288};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bare: %s: %s\n", what, why);
    exit(1);
}

// --- SQLite: one connection per thread, or the one writer behind a lock ---

struct database {
    sqlite3 *handle;
    sqlite3_stmt *statement;
};

static __thread struct database thread_database;
static struct database writer;
static pthread_mutex_t writer_lock = PTHREAD_MUTEX_INITIALIZER;

static void execute(sqlite3 *handle, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(handle, sql, NULL, NULL, &message) != SQLITE_OK)
        die(sql, message);
}

static struct database database_open(const char *sql, int flags)
{
    struct database d = {0};
    if (sqlite3_open_v2(options.db, &d.handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        die(options.db, sqlite3_errmsg(d.handle));
    if (flags & SQLITE_OPEN_CREATE)
        execute(d.handle, "PRAGMA journal_mode=WAL");
    char pragma[64];
    snprintf(pragma, sizeof pragma, "PRAGMA synchronous=%s", options.synchronous);
    execute(d.handle, pragma);
    if (flags & SQLITE_OPEN_CREATE)
        execute(d.handle,
                "CREATE TABLE instances(id TEXT PRIMARY KEY, document BLOB) WITHOUT ROWID");
    if (sqlite3_prepare_v3(d.handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &d.statement, NULL) !=
        SQLITE_OK)
        die(sql, sqlite3_errmsg(d.handle));
    return d;
}

static struct database *database_of_thread(const char *sql)
{
    if (thread_database.handle == NULL)
        thread_database = database_open(sql, SQLITE_OPEN_READONLY);
    return &thread_database;
}

// --- the streaming encoder ---

struct buffer {
    char *bytes;
    size_t length, capacity;
};

static void append(struct buffer *b, const char *bytes, size_t length)
{
    if (b->length + length > b->capacity) {
        while (b->length + length > b->capacity)
            b->capacity = b->capacity ? b->capacity * 2 : 65536;
        if ((b->bytes = realloc(b->bytes, b->capacity)) == NULL)
            die("realloc", "out of memory");
    }
    memcpy(b->bytes + b->length, bytes, length);
    b->length += length;
}

static void append_bytes(struct buffer *b, const char *text, size_t length)
{
    append(b, "\"", 1);
    const char *start = text;
    for (const char *c = text; c < text + length; c++) {
        if ((unsigned char)*c >= 0x20 && *c != '"' && *c != '\\')
            continue;
        char escaped[8];
        int n = snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)*c);
        append(b, start, (size_t)(c - start));
        append(b, escaped, (size_t)n);
        start = c + 1;
    }
    append(b, start, (size_t)(text + length - start));
    append(b, "\"", 1);
}

static void append_string(struct buffer *b, const char *text)
{
    append_bytes(b, text, strlen(text));
}

// A column named "x" becomes the member "x"; "addresses" is "type family address|" repeated, "tags"
// "k=v|", both as tests/bench/run writes them; revision is a number.
static const char *append_field(struct buffer *b, const char *text, char end)
{
    const char *stop = strchr(text, end);
    append_bytes(b, text, (size_t)(stop - text));
    return stop + 1;
}

static void append_addresses(struct buffer *b, const char *text)
{
    append(b, "[", 1);
    for (bool first = true; *text; first = false) {
        append(b, first ? "{\"type\":" : ",{\"type\":", first ? 8 : 9);
        text = append_field(b, text, ' ');
        if (*text != '-') {
            append(b, ",\"family\":", 10);
            text = append_field(b, text, ' ');
        } else {
            text += 2;
        }
        append(b, ",\"address\":", 11);
        text = append_field(b, text, '|');
        append(b, "}", 1);
    }
    append(b, "]", 1);
}

static void append_tags(struct buffer *b, const char *text)
{
    append(b, "{", 1);
    for (bool first = true; *text; first = false) {
        if (!first)
            append(b, ",", 1);
        text = append_field(b, text, '=');
        append(b, ":", 1);
        text = append_field(b, text, '|');
    }
    append(b, "}", 1);
}

static void append_row(struct buffer *b, sqlite3_stmt *s)
{
    int columns = sqlite3_column_count(s);
    for (int i = 0; i < columns; i++) {
        const char *name = sqlite3_column_name(s, i);
        const char *text = (const char *)sqlite3_column_text(s, i);
        append(b, i ? ",\"" : "{\"", 2);
        append(b, name, strlen(name));
        append(b, "\":", 2);
        if (strcmp(name, "addresses") == 0)
            append_addresses(b, text);
        else if (strcmp(name, "tags") == 0)
            append_tags(b, text);
        else if (sqlite3_column_type(s, i) == SQLITE_INTEGER)
            append(b, text, strlen(text));
        else
            append_string(b, text);
    }
    append(b, "}", 1);
}

static struct MHD_Response *answer_list(bool encode)
{
    struct buffer b = {0};
    struct database *d =
        database_of_thread(encode ? "SELECT * FROM rows ORDER BY revision" : options.sql);
    append(&b, "{\"items\":[", 10);
    for (bool first = true; sqlite3_step(d->statement) == SQLITE_ROW; first = false) {
        if (!first)
            append(&b, ",", 1);
        if (encode)
            append_row(&b, d->statement);
        else
            append(&b, sqlite3_column_blob(d->statement, 0),
                   (size_t)sqlite3_column_bytes(d->statement, 0));
    }
    sqlite3_reset(d->statement);
    append(&b, "],\"revision\":1}", 15);
    return MHD_create_response_from_buffer(b.length, b.bytes, MHD_RESPMEM_MUST_FREE);
}

// --- the other answers ---

static struct MHD_Response *answer_select(const char *url)
{
    const char *id = strrchr(url, '/') + 1;
    struct database *d = database_of_thread(options.sql);
    sqlite3_bind_text(d->statement, 1, id, -1, SQLITE_STATIC);
    struct MHD_Response *response = NULL;
    if (sqlite3_step(d->statement) == SQLITE_ROW)
        response = MHD_create_response_from_buffer(
            (size_t)sqlite3_column_bytes(d->statement, 0),
            (void *)(uintptr_t)sqlite3_column_blob(d->statement, 0), MHD_RESPMEM_MUST_COPY);
    sqlite3_reset(d->statement);
    return response;
}

static void insert_row(void)
{
    static unsigned long long next;
    pthread_mutex_lock(&writer_lock);
    char id[32];
    int length =
        snprintf(id, sizeof id, "i-%016llx%d", next++ * 0x9E3779B97F4A7C15ULL, (int)getpid() & 7);
    sqlite3_bind_text(writer.statement, 1, id, length, SQLITE_STATIC);
    sqlite3_bind_blob(writer.statement, 2, options.body, (int)options.body_length, SQLITE_STATIC);
    if (sqlite3_step(writer.statement) != SQLITE_DONE)
        die("insert", sqlite3_errmsg(writer.handle));
    sqlite3_reset(writer.statement);
    pthread_mutex_unlock(&writer_lock);
}

static struct MHD_Response *answer(const char *url)
{
    if (strcmp(options.mode, "select") == 0)
        return answer_select(url);
    if (strcmp(options.mode, "list") == 0 || strcmp(options.mode, "join") == 0)
        return answer_list(options.mode[0] == 'l');
    if (strcmp(options.mode, "insert") == 0)
        insert_row();
    return MHD_create_response_from_buffer(options.body_length, options.body,
                                           MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result handle(void *closure, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    (void)closure, (void)version, (void)upload;
    if (*state == NULL) {
        *state = (void *)1;
        return MHD_YES; // the usual first call, before the body
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    struct MHD_Response *response = answer(url);
    if (response == NULL)
        return MHD_NO;
    // The same header bytes as ours.
    MHD_add_response_header(response, "Content-Type", "application/json");
    MHD_add_response_header(response, "X-Request-Id", "00000000-0000000");
    MHD_add_response_header(response, "X-Mockcloud-Time", "2026-01-01T00:00:00.000Z");
    if (strcmp(options.mode, "list") != 0 && strcmp(options.mode, "join") != 0)
        MHD_add_response_header(response, "ETag", "\"12345\"");
    unsigned status = strcmp(method, "POST") == 0 ? MHD_HTTP_CREATED : MHD_HTTP_OK;
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static void read_body(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        die(path, "cannot be read");
    options.body = malloc(1 << 20);
    options.body_length = fread(options.body, 1, 1 << 20, file);
    fclose(file);
}

static void parse(int argc, char **argv)
{
    static const struct option longs[] = {
        {"db", 1, NULL, 'd'},
        {"sql", 1, NULL, 's'},
        {"synchronous", 1, NULL, 'y'},
        {"body", 1, NULL, 'b'},
        {"threads", 1, NULL, 't'},
        {"memory", 1, NULL, 'm'},
        {0},
    };
    if (argc < 2)
        die("usage", "bare get|select|insert|list|join [--option value]…");
    options.mode = argv[1];
    for (int c; (c = getopt_long(argc - 1, argv + 1, "", longs, NULL)) != -1;) {
        switch (c) {
        case 'd':
            options.db = optarg;
            break;
        case 's':
            options.sql = optarg;
            break;
        case 'y':
            options.synchronous = optarg;
            break;
        case 'b':
            read_body(optarg);
            break;
        case 't':
            options.threads = (unsigned)atoi(optarg);
            break;
        case 'm':
            options.memory = (size_t)atol(optarg);
            break;
        default:
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(options.mode, "insert") == 0)
        writer = database_open("INSERT INTO instances(id, document) VALUES(?1, ?2)",
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    // As api/http_server.c sets ours. MHD accepts a pool of one only as "no pool".
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL, NULL,
        handle, NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, options.memory, MHD_OPTION_CONNECTION_LIMIT, 19000u,
        MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        options.threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, options.threads,
        MHD_OPTION_END);
    if (daemon == NULL)
        die("libmicrohttpd", "did not start");
    printf("listening %u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    pause();
    MHD_stop_daemon(daemon);
    return 0;
}
