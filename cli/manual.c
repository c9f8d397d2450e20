#include "cli/help.h"
#include "cli/server_help.h"

#include <stdlib.h>
#include <string.h>

// Text as roff: backslashes, hyphens and leading dots mean something there.
static void roff(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text != '\0'; text++)
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
}

// Separated by commas, after each of which a line may break.
static void roff_choices(FILE *out, const char *choices)
{
    for (; *choices != '\0'; choices++) {
        char one[2] = {*choices, '\0'};

        roff(out, one);
        if (*choices == ',')
            fputs("\\:", out);
    }
}

static void roff_flag(FILE *out, const struct flag *flag)
{
    fputs(".TP\n", out);
    if (flag->letter != '\0')
        fprintf(out, "\\fB\\-%c\\fR, ", flag->letter);
    fputs("\\fB\\-\\-", out);
    roff(out, flag->name);
    fputs("\\fR", out);
    if (flag->value != NULL) {
        fputs(" \\fI", out);
        roff(out, flag->value);
        fputs("\\fR", out);
    }
    fputs("\n", out);
    roff(out, flag->help);
    if (flag->choices != NULL && flag != spec_flag(NULL, "output")) {
        fputs(" (", out);
        roff_choices(out, flag->choices);
        fputs(")", out);
    }
    fputs("\n", out);
}

static void roff_flags(FILE *out, const struct flag *group)
{
    for (; group != NULL && group->name != NULL; group++)
        roff_flag(out, group);
}

static void roff_verb(FILE *out, const struct verb *verb)
{
    fprintf(out, ".SS \"mockcloud %s%s", verb->kind->noun, verb->kind == &kind_none ? "" : " ");
    roff(out, verb->name);
    fputs(verb->operands[0] != '\0' ? " " : "", out);
    roff(out, verb->operands);
    fputs("\"\n", out);
    roff(out, verb->summary);
    fputs(".\n", out);
    for (size_t i = 0; i < VERB_FLAG_GROUPS; i++)
        roff_flags(out, verb->flags[i]);
    fputs(".PP\n.nf\n", out);
    for (size_t i = 0; i < 4 && verb->examples[i] != NULL; i++) {
        fputs("    mockcloud ", out);
        roff(out, verb->examples[i]);
        fputs("\n", out);
    }
    fputs(".fi\n", out);
}

static void roff_verbs(FILE *out, const struct kind *kind)
{
    for (const struct verb *verb = spec_verbs; verb->summary != NULL; verb++)
        if (verb->kind == kind)
            roff_verb(out, verb);
}

static void roff_synopsis(FILE *out)
{
    fputs(".SH SYNOPSIS\n.nf\n\\fBmockcloud serve\\fR [\\fIFLAG\\fR]...\n", out);
    for (const struct verb *verb = spec_verbs; verb->summary != NULL; verb++) {
        fprintf(out, "\\fBmockcloud %s%s", verb->kind->noun, verb->kind == &kind_none ? "" : " ");
        roff(out, verb->name);
        fputs("\\fR ", out);
        roff(out, verb->operands);
        fputs(verb->operands[0] != '\0' ? " [FLAG]...\n" : "[FLAG]...\n", out);
    }
    fputs(".fi\n", out);
}

// The server's own help, as it is.
static void roff_serve(FILE *out)
{
    char *help = server_help(), *at = help, *line;

    if (help == NULL)
        return;
    fputs(".SH THE SERVER\n.nf\n", out);
    while ((line = strsep(&at, "\n")) != NULL) {
        roff(out, line);
        fputs("\n", out);
    }
    fputs(".fi\n", out);
    free(help);
}

static void roff_files(FILE *out)
{
    fputs(".SH ENVIRONMENT\n"
          ".TP\n\\fBMOCKCLOUD_URL\\fR\nThe server, as \\-\\-server.\n"
          ".TP\n\\fBMOCKCLOUD_TOKEN\\fR\nThe bearer token, as \\-\\-token.\n"
          ".TP\n\\fBMOCKCLOUD_TOKEN_FILE\\fR\nA file with the token, as \\-\\-token\\-file.\n"
          ".TP\n\\fBhttp_proxy\\fR, \\fBhttps_proxy\\fR, \\fBno_proxy\\fR\n"
          "As curl reads them; servers on this machine are never reached through a proxy.\n"
          ".SH FILES\n"
          ".TP\n\\fI${XDG_CONFIG_HOME:\\-$HOME/.config}/mockcloud/token\\fR\n"
          "The token that is used when none is given.\n"
          ".SH EXIT STATUS\n",
          out);
#define X(name, number, meaning) fprintf(out, ".TP\n\\fB%d\\fR\n%s\n", number, meaning);
    EXIT_CODES(X)
#undef X
}

void manual_print(FILE *out)
{
    fputs(".\\\" Made by `mockcloud __manual` from the tables of cli/spec_*.c; do not edit.\n"
          ".TH MOCKCLOUD 1 \"\" mockcloud \"mockcloud manual\"\n"
          ".SH NAME\nmockcloud \\- a small cloud that runs on a laptop\n",
          out);
    roff_synopsis(out);
    fputs(".SH DESCRIPTION\n"
          "\\fBmockcloud serve\\fR starts a simulated cloud. Every other command is a client of a "
          "running one.\n"
          "Resources are named by name or id. Actions take names, or a selector: filters,\n"
          "\\-\\-random, or \\-\\-all. The commands ",
          out);
    for (const struct alias *alias = spec_aliases; alias->name != NULL; alias++) {
        fprintf(out, "%s\\fB%s\\fR (%s %s)", alias == spec_aliases ? "" : ", ", alias->name,
                alias->noun, alias->verb);
    }
    fputs("\nare short forms.\n.SH OPTIONS\nThese go with every command.\n", out);
    roff_flags(out, spec_global_flags);
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; spec_kinds[i] != NULL; i++)
        roff_verbs(out, spec_kinds[i]);
    roff_verbs(out, &kind_none);
    roff_serve(out);
    roff_files(out);
}
