// The table of endpoints and the router made of it.
#include "api/json_in.h"
#include "api/openapi_json.h"
#include "api/router.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static struct router *router;

static int setup(void **state)
{
    (void)state;
    router = router_new(endpoints, endpoint_count);
    return router ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    router_free(router);
    return 0;
}

static struct route_match match(enum method method, const char *path)
{
    struct route_match m;

    router_match(router, method, path, strlen(path), &m);
    return m;
}

static void every_endpoint_is_found_by_its_own_template(void **state)
{
    (void)state;
    assert_true(endpoint_count > 0 && endpoint_count <= ENDPOINT_MAX);
    for (size_t i = 0; i < endpoint_count; i++) {
        struct route_match m = match(endpoints[i].method, endpoints[i].path);
        assert_ptr_equal(m.endpoint, &endpoints[i]);
        assert_true(m.allowed & (1U << endpoints[i].method));
    }
    printf("%zu endpoints examined\n", endpoint_count);
}

static void operation_ids_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < endpoint_count; i++)
        for (size_t k = i + 1; k < endpoint_count; k++)
            assert_string_not_equal(endpoints[i].operation, endpoints[k].operation);
}

static void parameters_are_the_segments_of_the_path(void **state)
{
    struct route_match m = match(METHOD_DELETE, "/v1/load-balancers/lb-1/listeners/tcp-80");

    (void)state;
    assert_string_equal(m.endpoint->operation, "load_balancers.remove_listener");
    assert_int_equal(m.parameter_count, 2);
    assert_memory_equal(m.parameters[0].data, "lb-1", 4);
    assert_int_equal(m.parameters[0].length, 4);
    assert_memory_equal(m.parameters[1].data, "tcp-80", 6);
    assert_int_equal(m.parameters[1].length, 6);
}

static void paths_that_are_not_in_the_table_are_not_found(void **state)
{
    static const char *const paths[] = {"",
                                        "/",
                                        "v1/instances",
                                        "/v1",
                                        "/v1/",
                                        "/v1/instances/",
                                        "/v1//instances",
                                        "//v1/instances",
                                        "/v1/instances/i-1/",
                                        "/v1/instances/i-1/fly",
                                        "/v1/instances/i-1/start/now",
                                        "/V1/instances",
                                        "/healthz/x",
                                        "/v1/instances?x=1",
                                        "/v1/load-balancers//listeners"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct route_match m = match(METHOD_GET, paths[i]);
        assert_null(m.endpoint);
        assert_int_equal(m.allowed, 0);
    }
}

static void a_known_path_with_another_method_says_which_it_has(void **state)
{
    struct route_match m = match(METHOD_PUT, "/v1/instances/i-1");

    (void)state;
    assert_null(m.endpoint);
    assert_int_equal(m.allowed, 1U << METHOD_GET | 1U << METHOD_PATCH | 1U << METHOD_DELETE);
}

static void methods_are_read_and_head_is_get(void **state)
{
    enum method method = METHOD_DELETE;
    bool head = false;

    (void)state;
    assert_true(method_parse("HEAD", &method, &head));
    assert_int_equal(method, METHOD_GET);
    assert_true(head);
    assert_true(method_parse("PATCH", &method, &head));
    assert_int_equal(method, METHOD_PATCH);
    assert_false(head);
    assert_false(method_parse("get", &method, &head));
    assert_false(method_parse("PROPFIND", &method, &head));
}

// --- the document ---

static json_t *document(void)
{
    json_error_t error;
    json_t *d = json_loadb(openapi_json, openapi_json_length, 0, &error);

    assert_non_null(d);
    return d;
}

static const json_t *operation_in(const json_t *d, const struct endpoint *e)
{
    static const char *const lower[METHOD_COUNT] = {"get", "post", "put", "patch", "delete"};
    const json_t *item = json_object_get(json_object_get(d, "paths"), e->path);

    return json_object_get(item, lower[e->method]);
}

static const char *scope_of(const struct endpoint *e)
{
    return e->access == ACCESS_PUBLIC ? NULL : e->access == ACCESS_CLOUD ? "cloud" : "sim";
}

// Follows the only kind of reference that parameters have.
static const json_t *resolve(const json_t *d, const json_t *node)
{
    const char *reference = json_string_value(json_object_get(node, "$ref"));
    const json_t *components = json_object_get(d, "components");

    if (!reference)
        return node;
    return json_object_get(json_object_get(components, "parameters"), strrchr(reference, '/') + 1);
}

static bool has_parameter(const json_t *d, const json_t *operation, const char *in,
                          const char *name)
{
    const json_t *list = json_object_get(operation, "parameters");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = resolve(d, json_array_get(list, i));
        if (strcmp(json_string_value(json_object_get(p, "in")), in) == 0 &&
            strcmp(json_string_value(json_object_get(p, "name")), name) == 0)
            return true;
    }
    return false;
}

static void check_flag(const json_t *d, const json_t *operation, const struct endpoint *e,
                       unsigned flag, const char *header)
{
    if (has_parameter(d, operation, "header", header) != !!(e->flags & flag))
        fail_msg("%s: header %s", e->operation, header);
}

static void check_query(const json_t *d, const json_t *operation, const struct endpoint *e)
{
    static const char *const names[] = {
#define X(id, name) name,
        QUERY_PARAMETERS(X)
#undef X
    };

    for (int i = 0; i < QUERY_INDEX_TAGS; i++) {
        unsigned of_that_name = 0; // `since` is a revision here and a time there
        for (int k = 0; k < QUERY_INDEX_TAGS; k++)
            of_that_name |= strcmp(names[i], names[k]) == 0 ? 1U << k : 0;
        if (has_parameter(d, operation, "query", names[i]) != !!(e->query & of_that_name))
            fail_msg("%s: parameter %s", e->operation, names[i]);
    }
}

static void check_body(const json_t *operation, const struct endpoint *e)
{
    const json_t *body = json_object_get(operation, "requestBody");
    const json_t *media = json_object_get(json_object_get(body, "content"), "application/json");
    const char *reference =
        json_string_value(json_object_get(json_object_get(media, "schema"), "$ref"));

    if (!body != !(e->body || (e->flags & TAKES_FILE)))
        fail_msg("%s: body", e->operation);
    if (!e->body)
        return;
    assert_string_equal(strrchr(reference, '/') + 1, e->body->name);
}

static void check_endpoint(const json_t *d, const struct endpoint *e)
{
    const json_t *operation = operation_in(d, e);
    const char *scope;
    char status[8];

    if (!operation)
        fail_msg("%s %s is not in the document", method_names[e->method], e->path);
    assert_string_equal(json_string_value(json_object_get(operation, "operationId")), e->operation);
    scope = json_string_value(json_object_get(operation, "x-scope"));
    assert_int_equal(!scope, !scope_of(e));
    if (scope)
        assert_string_equal(scope, scope_of(e));
    snprintf(status, sizeof(status), "%d", e->status);
    if (!json_object_get(json_object_get(operation, "responses"), status))
        fail_msg("%s: status %s", e->operation, status);
    check_flag(d, operation, e, TAKES_IF_MATCH, "If-Match");
    check_flag(d, operation, e, TAKES_IDEMPOTENCY_KEY, "Idempotency-Key");
    check_flag(d, operation, e, OF_PROJECT, "X-Mockcloud-Project");
    check_query(d, operation, e);
    check_body(operation, e);
}

static void every_endpoint_is_in_the_document_with_its_parameters_and_body(void **state)
{
    json_t *d = document();

    (void)state;
    for (size_t i = 0; i < endpoint_count; i++)
        check_endpoint(d, &endpoints[i]);
    printf("%zu endpoints examined\n", endpoint_count);
    json_decref(d);
}

static void every_operation_of_the_document_is_an_endpoint(void **state)
{
    json_t *d = document(), *item, *operation;
    const char *path, *method;
    size_t count = 0;

    (void)state;
    json_object_foreach(json_object_get(d, "paths"), path, item)
    {
        json_object_foreach(item, method, operation)
        {
            const char *id = json_string_value(json_object_get(operation, "operationId"));
            size_t i = 0;
            while (i < endpoint_count && strcmp(endpoints[i].operation, id) != 0)
                i++;
            if (i == endpoint_count)
                fail_msg("%s has no endpoint", id);
            assert_string_equal(endpoints[i].path, path);
            count++;
        }
    }
    printf("%zu operations examined\n", count);
    assert_int_equal(count, endpoint_count);
    json_decref(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_endpoint_is_found_by_its_own_template),
        cmocka_unit_test(operation_ids_are_unique),
        cmocka_unit_test(parameters_are_the_segments_of_the_path),
        cmocka_unit_test(paths_that_are_not_in_the_table_are_not_found),
        cmocka_unit_test(a_known_path_with_another_method_says_which_it_has),
        cmocka_unit_test(methods_are_read_and_head_is_get),
        cmocka_unit_test(every_endpoint_is_in_the_document_with_its_parameters_and_body),
        cmocka_unit_test(every_operation_of_the_document_is_an_endpoint),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
