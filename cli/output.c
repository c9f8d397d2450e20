#include "cli/output.h"
#include "cli/resource.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 24

static const struct {
    const char *name;
    enum output_format format;
} formats[] = {{"table", OUTPUT_TABLE},
               {"wide", OUTPUT_WIDE},
               {"json", OUTPUT_JSON},
               {"name", OUTPUT_NAME},
               {"id", OUTPUT_ID}};

void output_init(struct output *out, FILE *file, const struct command *c, struct http *http)
{
    const char *name = args_value(c, "output");

    memset(out, 0, sizeof *out);
    out->file = file;
    out->http = http;
    for (size_t i = 0; name != NULL && i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, name) == 0)
            out->format = formats[i].format;
}

static void print_json(struct output *out, const json_t *value, size_t flags)
{
    json_dumpf(value, out->file, flags | JSON_ENCODE_ANY);
    fputc('\n', out->file);
}

static void print_reference(struct output *out, const struct kind *kind, const json_t *item)
{
    struct column column = {.header = "", .path = kind->key, .format = COLUMN_TEXT};
    struct buffer cell;

    if (out->format == OUTPUT_NAME && json_object_get(item, "name") != NULL)
        column.path = "name";
    buffer_init(&cell);
    output_cell(out, &column, item, &cell);
    fprintf(out->file, "%.*s\n", (int)cell.length, cell.data);
    buffer_fini(&cell);
}

static size_t pick_columns(const struct output *out, const struct kind *kind,
                           const struct column *picked[COLUMNS_MAX])
{
    size_t count = 0;

    for (const struct column *c = kind->columns; c->header != NULL && count < COLUMNS_MAX; c++)
        if (!c->wide || out->format == OUTPUT_WIDE)
            picked[count++] = c;
    return count;
}

static size_t width_of(const char *text, size_t length)
{
    size_t width = 0;

    for (size_t i = 0; i < length; i++)
        width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

static void print_cell(struct output *out, const char *text, size_t length, size_t width, bool last)
{
    size_t used = width_of(text, length);

    fwrite(text, 1, length, out->file);
    width = (used > width ? used : width) + 2; // streamed cells may be wider
    while (!last && used++ < width)
        fputc(' ', out->file);
    if (last)
        fputc('\n', out->file);
}

struct table {
    const struct column *columns[COLUMNS_MAX];
    size_t width[COLUMNS_MAX];
    size_t column_count;
    struct buffer text; // all cells, row after row
    size_t *ends;       // where each ends in `text`
};

static void fill_table(struct output *out, struct table *t, const json_t *items)
{
    size_t row, cell = 0;
    const json_t *item;

    json_array_foreach(items, row, item)
    {
        for (size_t i = 0; i < t->column_count; i++) {
            struct buffer text;
            size_t width;

            buffer_init(&text);
            output_cell(out, t->columns[i], item, &text);
            width = width_of(text.data, text.length);
            t->width[i] = width > t->width[i] ? width : t->width[i];
            buffer_append(&t->text, text.data, text.length);
            t->ends[cell++] = t->text.length;
            buffer_fini(&text);
        }
    }
}

static void print_rows(struct output *out, const struct table *t, size_t rows)
{
    size_t start = 0;

    for (size_t i = 0; i < t->column_count; i++) {
        print_cell(out, t->columns[i]->header, strlen(t->columns[i]->header), t->width[i],
                   i + 1 == t->column_count);
    }
    for (size_t cell = 0; cell < rows * t->column_count; cell++) {
        size_t i = cell % t->column_count;

        print_cell(out, t->text.data + start, t->ends[cell] - start, t->width[i],
                   i + 1 == t->column_count);
        start = t->ends[cell];
    }
}

static void print_table(struct output *out, const struct kind *kind, const json_t *items)
{
    struct table t = {.ends = NULL};

    t.column_count = pick_columns(out, kind, t.columns);
    t.ends = calloc(json_array_size(items) * t.column_count + 1, sizeof *t.ends);
    buffer_init(&t.text);
    for (size_t i = 0; i < t.column_count; i++)
        t.width[i] = strlen(t.columns[i]->header);
    if (t.ends != NULL) {
        fill_table(out, &t, items);
        if (!t.text.failed)
            print_rows(out, &t, json_array_size(items));
    }
    if (t.ends == NULL || t.text.failed)
        fputs("mockcloud: out of memory\n", stderr);
    free(t.ends);
    buffer_fini(&t.text);
}

void output_items(struct output *out, const struct kind *kind, const json_t *items)
{
    size_t i;
    const json_t *item;

    if (out->format == OUTPUT_JSON) {
        print_json(out, items, JSON_INDENT(2));
        return;
    }
    if (out->format == OUTPUT_TABLE || out->format == OUTPUT_WIDE) {
        print_table(out, kind, items);
        return;
    }
    json_array_foreach(items, i, item)
    {
        print_reference(out, kind, item);
    }
}

void output_item(struct output *out, const struct kind *kind, const json_t *item)
{
    json_t *items;

    if (out->format == OUTPUT_JSON) {
        print_json(out, item, JSON_INDENT(2));
        return;
    }
    items = json_array();
    json_array_append(items, (json_t *)(uintptr_t)item);
    output_items(out, kind, items);
    json_decref(items);
}

static void print_streamed_row(struct output *out, const struct kind *kind, const json_t *item)
{
    static const size_t widths[] = {8, 24, 13, 7, 20, 16, 12, 5, 24, 12};
    const struct column *columns[COLUMNS_MAX];
    size_t count = pick_columns(out, kind, columns);

    for (size_t i = 0; i < count; i++) {
        size_t width = i < sizeof widths / sizeof *widths ? widths[i] : 0;
        struct buffer cell;

        buffer_init(&cell);
        output_cell(out, columns[i], item, &cell);
        print_cell(out, cell.data, cell.length, width, i + 1 == count);
        buffer_fini(&cell);
    }
}

void output_streamed(struct output *out, const struct kind *kind, const json_t *item)
{
    if (out->format == OUTPUT_JSON)
        print_json(out, item, JSON_COMPACT);
    else if (out->format == OUTPUT_NAME || out->format == OUTPUT_ID)
        print_reference(out, kind, item);
    else
        print_streamed_row(out, kind, item);
    fflush(out->file);
}

void output_deleted(struct output *out, const struct kind *kind, const char *name)
{
    if (out->format == OUTPUT_NAME || out->format == OUTPUT_ID)
        fprintf(out->file, "%s\n", name);
    else if (out->format != OUTPUT_JSON)
        fprintf(out->file, "%s/%s deleted\n", kind->noun, name);
}
