#include "cli/args.h"
#include "base/timefmt.h"
#include "cli/suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    struct command *c;
    const char *const *argv;
    int argc;
    int at;
    struct failure *f;
};

static int check_int(const struct flag *flag, const char *value, struct failure *f)
{
    char *end;
    long long n;

    errno = 0;
    n = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || n < flag->minimum || n > flag->maximum) {
        if (flag->maximum == INT64_MAX) {
            return fail(f, EXIT_USAGE, "--%s: '%s' is not a whole number of at least %lld",
                        flag->name, value, (long long)flag->minimum);
        }
        return fail(f, EXIT_USAGE, "--%s: '%s' is not a whole number from %lld to %lld", flag->name,
                    value, (long long)flag->minimum, (long long)flag->maximum);
    }
    return EXIT_OK;
}

static int check_choices(const struct flag *flag, const char *value, bool many, struct failure *f)
{
    const char *at = value;

    for (;;) {
        size_t length = many ? strcspn(at, ",") : strlen(at);

        if (!spec_choice(flag->choices, at, length)) {
            return fail(f, EXIT_USAGE, "--%s: unknown %s '%.*s' (%s)", flag->name, flag->name,
                        (int)length, at, flag->choices);
        }
        if (at[length] == '\0')
            return EXIT_OK;
        at += length + 1;
    }
}

static int check_value(const struct flag *flag, const char *value, struct failure *f)
{
    struct error error = {0};
    int64_t ns;

    switch (flag->type) {
    case FLAG_INT:
        return check_int(flag, value, f);
    case FLAG_DURATION:
        if (duration_parse(value, &ns, &error) != 0)
            return fail(f, EXIT_USAGE, "--%s: %s", flag->name, error.message);
        return EXIT_OK;
    case FLAG_CHOICE:
    case FLAG_CHOICES:
        return check_choices(flag, value, flag->type == FLAG_CHOICES, f);
    case FLAG_TAG:
        if (strchr(value, '=') == NULL || value[0] == '=')
            return fail(f, EXIT_USAGE, "--%s: '%s' is not KEY=VALUE", flag->name, value);
        return EXIT_OK;
    case FLAG_TAG_ANY:
        if (value[0] == '\0' || value[0] == '=')
            return fail(f, EXIT_USAGE, "--%s: '%s' is not KEY or KEY=VALUE", flag->name, value);
        return EXIT_OK;
    default:
        if (value[0] == '\0' && flag->type != FLAG_BOOL)
            return fail(f, EXIT_USAGE, "--%s: the value is empty", flag->name);
        return EXIT_OK;
    }
}

static int add_option(struct parser *p, const struct flag *flag, const char *value)
{
    struct option *slot = &p->c->options[p->c->option_count];

    if (flag == spec_flag(NULL, "help")) {
        p->c->help = true;
        return EXIT_OK;
    }
    if (check_value(flag, value, p->f) != EXIT_OK)
        return EXIT_USAGE;
    if (!flag->repeat && args_has(p->c, flag->name))
        return fail(p->f, EXIT_USAGE, "--%s: given twice", flag->name);
    slot->flag = flag;
    slot->value = value;
    p->c->option_count++;
    return EXIT_OK;
}

static void offer_flags(struct suggestion *s, const struct flag *group)
{
    for (; group != NULL && group->name != NULL; group++)
        suggest_offer(s, group->name);
}

static int unknown_flag(struct parser *p, const char *name)
{
    const struct verb *verb = p->c->verb;
    struct suggestion s;

    suggest_init(&s, name);
    for (size_t i = 0; verb != NULL && i < VERB_FLAG_GROUPS; i++)
        offer_flags(&s, verb->flags[i]);
    offer_flags(&s, spec_global_flags);
    if (s.best != NULL)
        return fail(p->f, EXIT_USAGE, "unknown flag --%s, did you mean --%s?", name, s.best);
    return fail(p->f, EXIT_USAGE, "unknown flag --%s%s", name,
                verb == NULL ? " (flags of a verb go after it)" : "; see --help");
}

// The value of a flag that takes one: after '=' or in the next argument.
static int take_value(struct parser *p, const struct flag *flag, const char *attached)
{
    if (flag->type == FLAG_BOOL) {
        if (attached != NULL)
            return fail(p->f, EXIT_USAGE, "--%s: takes no value", flag->name);
        return add_option(p, flag, "");
    }
    if (attached != NULL)
        return add_option(p, flag, attached);
    if (p->at + 1 >= p->argc)
        return fail(p->f, EXIT_USAGE, "--%s: needs a value (%s)", flag->name, flag->value);
    return add_option(p, flag, p->argv[++p->at]);
}

static int parse_long(struct parser *p, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t length = equals != NULL ? (size_t)(equals - text) : strlen(text);
    char name[64];
    const struct flag *flag;

    if (length >= sizeof name)
        return fail(p->f, EXIT_USAGE, "unknown flag --%.60s...", text);
    memcpy(name, text, length);
    name[length] = '\0';
    flag = spec_flag(p->c->verb, name);
    if (flag == NULL)
        return unknown_flag(p, name);
    return take_value(p, flag, equals != NULL ? equals + 1 : NULL);
}

static int parse_short(struct parser *p, const char *text)
{
    const struct flag *flag = spec_flag_letter(p->c->verb, text[0]);

    if (flag == NULL)
        return fail(p->f, EXIT_USAGE, "unknown flag -%c; see --help", text[0]);
    return take_value(p, flag, text[1] != '\0' ? text + 1 : NULL);
}

static int unknown_verb(struct parser *p, const char *word)
{
    const struct kind *kind = p->c->kind != NULL ? p->c->kind : &kind_none;
    const char *separator = kind == &kind_none ? "" : " ";
    struct suggestion s;

    suggest_init(&s, word);
    for (const struct verb *verb = spec_verbs; verb->summary != NULL; verb++)
        if (verb->kind == kind)
            suggest_offer(&s, verb->name);
    if (kind == &kind_none) {
        suggest_offer(&s, "serve");
        suggest_offer(&s, "help");
        for (size_t i = 0; spec_kinds[i] != NULL; i++)
            suggest_offer(&s, spec_kinds[i]->noun);
        for (const struct alias *alias = spec_aliases; alias->name != NULL; alias++)
            suggest_offer(&s, alias->name);
    }
    if (s.best == NULL) {
        return fail(p->f, EXIT_USAGE, "unknown command '%s%s%s'; see mockcloud%s%s --help",
                    kind->noun, separator, word, separator, kind->noun);
    }
    return fail(p->f, EXIT_USAGE, "unknown command '%s%s%s', did you mean '%s%s%s'?", kind->noun,
                separator, word, kind->noun, separator, s.best);
}

static int parse_word(struct parser *p, const char *word)
{
    struct command *c = p->c;

    if (word[0] == '\0')
        return fail(p->f, EXIT_USAGE, "an argument is empty");
    if (c->verb != NULL) {
        c->operands[c->operand_count++] = word;
        return EXIT_OK;
    }
    if (c->kind == NULL && c->operand_count == 0 && strcmp(word, "help") == 0) {
        c->help = true;
        return EXIT_OK;
    }
    c->verb = c->kind != NULL ? spec_verb(c->kind, word) : spec_top_verb(word);
    if (c->verb == NULL && c->kind == NULL) {
        c->kind = spec_kind(word);
        return c->kind != NULL ? EXIT_OK : unknown_verb(p, word);
    }
    return c->verb != NULL ? EXIT_OK : unknown_verb(p, word);
}

static int parse_all(struct parser *p)
{
    bool only_words = false;

    for (p->at = 1; p->at < p->argc; p->at++) {
        const char *text = p->argv[p->at];
        int rc;

        if (!only_words && strcmp(text, "--") == 0) {
            only_words = true;
            continue;
        }
        if (only_words || text[0] != '-' || text[1] == '\0')
            rc = parse_word(p, text);
        else if (text[1] == '-')
            rc = parse_long(p, text + 2);
        else
            rc = parse_short(p, text + 1);
        if (rc != EXIT_OK)
            return rc;
    }
    return EXIT_OK;
}

static int check_operands(const struct command *c, struct failure *f)
{
    const struct verb *verb = c->verb;
    const char *separator = verb->kind == &kind_none ? "" : " ";

    if (c->operand_count < verb->min_operands) {
        return fail(f, EXIT_USAGE, "%s%s%s: needs %s; see --help", verb->kind->noun, separator,
                    verb->name, verb->operands);
    }
    if (c->operand_count > verb->max_operands) {
        return fail(f, EXIT_USAGE, "%s%s%s: unexpected argument '%s'; see --help", verb->kind->noun,
                    separator, verb->name, c->operands[verb->max_operands]);
    }
    return EXIT_OK;
}

static int finish(struct parser *p)
{
    struct command *c = p->c;

    if (c->help)
        return EXIT_OK;
    if (c->verb == NULL && c->kind == NULL)
        return fail(p->f, EXIT_USAGE, "no command given; see mockcloud --help");
    if (c->verb == NULL) {
        return fail(p->f, EXIT_USAGE, "%s: what to do with it? see mockcloud %s --help",
                    c->kind->noun, c->kind->noun);
    }
    return check_operands(c, p->f);
}

int args_parse(struct command *out, int argc, const char *const *argv, struct failure *f)
{
    struct parser p = {.c = out, .argv = argv, .argc = argc, .f = f};
    int rc;

    memset(out, 0, sizeof *out);
    out->options = calloc((size_t)argc + 1, sizeof *out->options);
    out->operands = calloc((size_t)argc + 1, sizeof *out->operands);
    if (out->options == NULL || out->operands == NULL) {
        args_free(out);
        return fail(f, EXIT_REFUSED, "out of memory");
    }
    rc = parse_all(&p);
    if (rc == EXIT_OK)
        rc = finish(&p);
    if (rc != EXIT_OK)
        args_free(out);
    return rc;
}

void args_free(struct command *c)
{
    free(c->options);
    free(c->operands);
    memset(c, 0, sizeof *c);
}

bool args_has(const struct command *c, const char *flag)
{
    return args_value(c, flag) != NULL;
}

const char *args_value(const struct command *c, const char *flag)
{
    for (size_t i = c->option_count; i > 0; i--)
        if (strcmp(c->options[i - 1].flag->name, flag) == 0)
            return c->options[i - 1].value;
    return NULL;
}

int64_t args_int(const struct command *c, const char *flag, int64_t otherwise)
{
    const char *value = args_value(c, flag);

    return value != NULL ? (int64_t)strtoll(value, NULL, 10) : otherwise;
}

bool args_uses(const struct command *c, enum flag_use use)
{
    for (size_t i = 0; i < c->option_count; i++)
        if (c->options[i].flag->use == use)
            return true;
    return false;
}
