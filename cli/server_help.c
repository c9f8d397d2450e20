// A file of its own: the headers of the server have an `enum kind`.
#include "cli/server_help.h"
#include "cli/serve_options.h"

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
