// Instances as records, for readers.
#include "sim/cloud_internal.h"
#include "sim/instance.h"

static int take_record(const struct row *row, struct arena *arena, struct instance **out,
                       struct error *err)
{
    struct resource *r = record_from_row(KIND_INSTANCE, row, arena, err);

    if (!r)
        return -ERROR_INTERNAL;
    *out = (struct instance *)r;
    return 1;
}

static int by_id(struct reader *reader, const char *id, struct arena *arena, struct instance **out,
                 struct error *err)
{
    struct row row;
    int rc = reader_row(reader, KIND_INSTANCE, id, arena, &row, err);

    return rc == 1 ? take_record(&row, arena, out, err) : rc;
}

static int by_address(struct reader *reader, const struct ip *ip, struct arena *arena,
                      struct instance **out, struct error *err)
{
    const char *id;
    int rc = reader_ip_owner(reader, ip, arena, &id, err);

    return rc == 1 ? by_id(reader, id, arena, out, err) : rc;
}

int cloud_instance_at(struct cloud *cloud, const struct ip *ip, struct arena *arena,
                      struct instance **out, struct error *err)
{
    struct reader *reader;
    int rc = store_reader_take(cloud->store, &reader, err);

    if (rc < 0)
        return rc;
    rc = by_address(reader, ip, arena, out, err);
    store_reader_give(cloud->store, reader);
    return rc;
}

static int by_name(struct reader *reader, int64_t project, const char *name, struct arena *arena,
                   struct instance **out, struct error *err)
{
    struct row rows[2];
    int count =
        reader_rows_named(reader, KIND_INSTANCE, project, name, INSTANCE_DEAD, arena, rows, 2, err);

    if (count == 2)
        return error_set(err, ERROR_INVALID, NULL, "several instances are named %s", name);
    return count == 1 ? take_record(&rows[0], arena, out, err) : count;
}

static int find(struct reader *reader, int64_t project, const char *ref, struct arena *arena,
                struct instance **out, struct error *err)
{
    struct instance *found = NULL;
    int rc = by_id(reader, ref, arena, &found, err);

    if (rc == 1 && project && found->r.project != project)
        rc = 0;
    if (rc == 0)
        rc = by_name(reader, project, ref, arena, &found, err);
    if (rc == 0)
        return error_set(err, ERROR_NOT_FOUND, NULL, "instance %s does not exist", ref);
    if (rc < 0)
        return rc;
    *out = found;
    return 0;
}

int cloud_instance_named(struct cloud *cloud, int64_t project, const char *ref, struct arena *arena,
                         struct instance **out, struct error *err)
{
    struct reader *reader;
    int rc = store_reader_take(cloud->store, &reader, err);

    if (rc < 0)
        return rc;
    rc = find(reader, project, ref, arena, out, err);
    store_reader_give(cloud->store, reader);
    return rc;
}
