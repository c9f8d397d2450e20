#include "cli/spec.h"

#include <string.h>

const struct kind *spec_kind(const char *noun)
{
    for (size_t i = 0; spec_kinds[i] != NULL; i++) {
        const struct kind *kind = spec_kinds[i];

        if (strcmp(kind->noun, noun) == 0 ||
            (kind->other_noun != NULL && strcmp(kind->other_noun, noun) == 0))
            return kind;
    }
    return NULL;
}

const struct verb *spec_verb(const struct kind *kind, const char *name)
{
    for (const struct verb *verb = spec_verbs; verb->summary != NULL; verb++)
        if (verb->kind == kind && strcmp(verb->name, name) == 0)
            return verb;
    return NULL;
}

const struct verb *spec_top_verb(const char *name)
{
    for (const struct alias *alias = spec_aliases; alias->name != NULL; alias++)
        if (strcmp(alias->name, name) == 0)
            return spec_verb(spec_kind(alias->noun), alias->verb);
    return spec_verb(&kind_none, name);
}

static bool flag_matches(const struct flag *flag, const char *name, char letter)
{
    return name != NULL ? strcmp(flag->name, name) == 0 : flag->letter == letter;
}

static const struct flag *find_in(const struct flag *group, const char *name, char letter)
{
    for (; group != NULL && group->name != NULL; group++)
        if (flag_matches(group, name, letter))
            return group;
    return NULL;
}

static const struct flag *find(const struct verb *verb, const char *name, char letter)
{
    for (size_t i = 0; verb != NULL && i < VERB_FLAG_GROUPS; i++) {
        const struct flag *flag = find_in(verb->flags[i], name, letter);

        if (flag != NULL)
            return flag;
    }
    return find_in(spec_global_flags, name, letter);
}

const struct flag *spec_flag(const struct verb *verb, const char *name)
{
    return find(verb, name, '\0');
}

const struct flag *spec_flag_letter(const struct verb *verb, char letter)
{
    return letter == '\0' ? NULL : find(verb, NULL, letter);
}

bool spec_choice(const char *choices, const char *text, size_t length)
{
    while (*choices != '\0') {
        size_t n = strcspn(choices, ",");

        if (n == length && memcmp(choices, text, n) == 0)
            return true;
        choices += n + (choices[n] == ',');
    }
    return false;
}
