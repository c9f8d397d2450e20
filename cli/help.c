#include "cli/help.h"

#include <string.h>

#define SUMMARY_COLUMN 26

static void two_columns(FILE *out, const char *left, const char *right)
{
    size_t length = strlen(left);

    if (length + 4 > SUMMARY_COLUMN)
        fprintf(out, "  %s\n%*s%s\n", left, SUMMARY_COLUMN, "", right);
    else
        fprintf(out, "  %-*s%s\n", SUMMARY_COLUMN - 2, left, right);
}

static void print_flag(FILE *out, const struct flag *flag)
{
    char left[128], letter[8] = "";

    if (flag->letter != '\0')
        snprintf(letter, sizeof letter, "-%c, ", flag->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, flag->name, flag->value != NULL ? " " : "",
             flag->value != NULL ? flag->value : "");
    two_columns(out, left, flag->help);
    if (flag->choices != NULL && strlen(flag->choices) + SUMMARY_COLUMN < 100 &&
        flag != spec_flag(NULL, "output"))
        fprintf(out, "%*s(%s)\n", SUMMARY_COLUMN, "", flag->choices);
}

static void print_flags(FILE *out, const char *title, const struct flag *group)
{
    if (title != NULL)
        fprintf(out, "\n%s:\n", title);
    for (; group != NULL && group->name != NULL; group++)
        print_flag(out, group);
}

static const char *gap(const struct verb *verb)
{
    return verb->kind == &kind_none ? "" : " ";
}

static void print_aliases(FILE *out, const struct verb *verb)
{
    for (const struct alias *alias = spec_aliases; alias->name != NULL; alias++)
        if (strcmp(alias->noun, verb->kind->noun) == 0 && strcmp(alias->verb, verb->name) == 0)
            fprintf(out, "Short: mockcloud %s\n", alias->name);
}

static void help_verb(FILE *out, const struct verb *verb)
{
    fprintf(out, "%s%s%s: %s.\n\n", verb->kind->noun, gap(verb), verb->name, verb->summary);
    fprintf(out, "Usage: mockcloud %s%s%s%s%s [FLAG]...\n", verb->kind->noun, gap(verb), verb->name,
            verb->operands[0] != '\0' ? " " : "", verb->operands);
    print_aliases(out, verb);
    for (size_t i = 0; i < VERB_FLAG_GROUPS && verb->flags[i] != NULL; i++)
        print_flags(out, i == 0 ? "Flags" : NULL, verb->flags[i]);
    print_flags(out, "Flags of every command", spec_global_flags);
    fputs("\nExamples:\n", out);
    for (size_t i = 0; i < 4 && verb->examples[i] != NULL; i++)
        fprintf(out, "  mockcloud %s\n", verb->examples[i]);
}

static void print_verbs(FILE *out, const struct kind *kind)
{
    for (const struct verb *verb = spec_verbs; verb->summary != NULL; verb++) {
        char left[96];

        if (verb->kind == kind) {
            snprintf(left, sizeof left, "%s %s", verb->name, verb->operands);
            two_columns(out, left, verb->summary);
        }
    }
}

static void help_noun(FILE *out, const struct kind *kind)
{
    fprintf(out, "%s: %s.\n\nUsage: mockcloud %s VERB [ARGUMENT]... [FLAG]...\n", kind->noun,
            kind->about, kind->noun);
    if (kind->other_noun != NULL)
        fprintf(out, "Also: mockcloud %s VERB\n", kind->other_noun);
    fputs("\nVerbs:\n", out);
    print_verbs(out, kind);
    fputs("\nExamples:\n", out);
    for (const struct verb *verb = spec_verbs; verb->summary != NULL; verb++)
        if (verb->kind == kind)
            fprintf(out, "  mockcloud %s\n", verb->examples[0]);
    fprintf(out, "\nmockcloud %s VERB --help shows the flags of a verb.\n", kind->noun);
}

static void print_nouns(FILE *out)
{
    for (size_t i = 0; spec_kinds[i] != NULL; i++) {
        const struct kind *kind = spec_kinds[i];
        char verbs[256] = "";
        size_t used = 0;

        for (const struct verb *verb = spec_verbs; verb->summary != NULL; verb++) {
            if (verb->kind == kind && used < sizeof verbs) {
                used += (size_t)snprintf(verbs + used, sizeof verbs - used, "%s%s",
                                         used > 0 ? "|" : "", verb->name);
            }
        }
        fprintf(out, "  %-10s%s\n%12s%s\n", kind->noun, kind->about, "", verbs);
    }
}

static void help_all(FILE *out)
{
    fputs(
        "mockcloud: a small cloud that runs on a laptop.\n\n"
        "Usage: mockcloud serve [FLAG]...            start the cloud; see mockcloud serve --help\n"
        "       mockcloud NOUN VERB [ARGUMENT]... [FLAG]...\n"
        "       mockcloud COMMAND [ARGUMENT]... [FLAG]...\n\nNouns:\n",
        out);
    print_nouns(out);
    fputs("\nCommands:\n", out);
    print_verbs(out, &kind_none);
    for (const struct alias *alias = spec_aliases; alias->name != NULL; alias++) {
        char right[64];

        snprintf(right, sizeof right, "short for %s %s", alias->noun, alias->verb);
        two_columns(out, alias->name, right);
    }
    print_flags(out, "Flags of every command", spec_global_flags);
    fputs("\nExit codes:\n", out);
#define X(name, number, meaning) fprintf(out, "  %d  %s\n", number, meaning);
    EXIT_CODES(X)
#undef X
    fputs("\nExamples:\n  mockcloud serve\n  mockcloud instance create web-1 --tag role=web\n"
          "  mockcloud ls --state running\n  mockcloud terminate web-1\n"
          "  mockcloud wait instance/web-1 --for state=terminated --timeout 30s\n",
          out);
}

void help_print(FILE *out, const struct command *c)
{
    if (c->verb != NULL)
        help_verb(out, c->verb);
    else if (c->kind != NULL)
        help_noun(out, c->kind);
    else
        help_all(out);
}
