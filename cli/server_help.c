// A file of its own: the headers of the server have an `enum kind`.
#include "cli/server_help.h"
#include "api/endpoint.h"
#include "cli/serve_options.h"
#include "sim/records.h"

#include <stdlib.h>

char *server_help(void)
{
    char *help = NULL;
    size_t size = 0;
    FILE *text = open_memstream(&help, &size);

    if (text == NULL)
        return NULL;
    serve_options_help(text);
    if (fclose(text) != 0) {
        free(help);
        return NULL;
    }
    return help;
}

const char *server_operation(size_t index, bool *out_faulty)
{
    if (index >= endpoint_count)
        return NULL;
    *out_faulty = endpoints[index].access == ACCESS_CLOUD;
    return endpoints[index].operation;
}

const char *server_transition(size_t index)
{
    return transition_names[index];
}
