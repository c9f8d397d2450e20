#include "cli/completion.h"
#include "base/timefmt.h"
#include "cli/resource.h"
#include "cli/server_help.h"
#include "cli/verbs.h"

#include <stdlib.h>
#include <string.h>

#define LOOKUP_NS (500 * NS_PER_MS) // a shell must not hang on a key press
#define NAMES_MAX 500

static const char bash_script[] =
    "# bash completion of mockcloud; printed by `mockcloud completion bash`\n"
    "_mockcloud()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} line\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r line; do\n"
    "        line=${line%%$'\\t'*}\n"
    "        [[ $cur == = || $line == \"${cur}\"* ]] && COMPREPLY+=(\"$line\")\n"
    "    done < <(mockcloud __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]]; then\n"
    "        compopt -o nospace\n"
    "    fi\n"
    "}\n"
    "complete -o default -F _mockcloud mockcloud\n";

static const char zsh_script[] =
    "#compdef mockcloud\n"
    "# zsh completion of mockcloud; printed by `mockcloud completion zsh`\n"
    "_mockcloud() {\n"
    "    local -a found\n"
    "    local line\n"
    "    while IFS= read -r line; do\n"
    "        line=${line//:/\\\\:}\n"
    "        found+=(\"${line/$'\\t'/:}\")\n"
    "    done < <(mockcloud __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
    "    if (( ${#found} )); then\n"
    "        _describe mockcloud found\n"
    "    else\n"
    "        _files\n"
    "    fi\n"
    "}\n"
    "if [ \"${funcstack[1]}\" = _mockcloud ]; then\n"
    "    _mockcloud \"$@\"\n"
    "else\n"
    "    compdef _mockcloud mockcloud\n"
    "fi\n";

const char *completion_script(const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        return bash_script;
    return strcmp(shell, "zsh") == 0 ? zsh_script : NULL;
}

// What the words before the last one say.
struct state {
    FILE *out;
    const struct kind *kind;
    const struct verb *verb;
    const struct flag *pending; // it waits for its value
    size_t operands;
    bool serve;           // it has flags of its own
    struct command given; // flags that say how to reach the server
};

static void offer(const struct state *s, const char *word, const char *about)
{
    fprintf(s->out, "%s%s%s\n", word, about != NULL ? "\t" : "", about != NULL ? about : "");
}

static void offer_choices(const struct state *s, const char *choices)
{
    while (*choices != '\0') {
        size_t n = strcspn(choices, ",");

        fprintf(s->out, "%.*s\n", (int)n, choices);
        choices += n + (choices[n] == ',');
    }
}

static void offer_names(const struct state *s, const struct kind *kind, const char *prefix)
{
    struct failure ignored = {0};
    struct resource_list list = {0};
    struct config config;
    struct http *http;
    json_t *item;
    size_t i;

    if (config_load(&config, &s->given, &ignored) != EXIT_OK)
        return;
    config.timeout_ns = LOOKUP_NS;
    http = http_new(&config);
    if (http == NULL)
        return;
    if (resource_list(http, kind, "", NAMES_MAX, &list, &ignored) == EXIT_OK) {
        json_array_foreach(list.items, i, item)
        {
            const char *state = json_string_value(json_object_get(item, "state"));

            fprintf(s->out, "%s%s%s%s\n", prefix, resource_name(kind, item),
                    state != NULL ? "\t" : "", state != NULL ? state : "");
        }
        json_decref(list.items);
    }
    http_free(http);
}

static void offer_transitions(const struct state *s)
{
    const char *name;

    for (size_t i = 0; (name = server_transition(i)) != NULL; i++)
        offer(s, name, NULL);
}

// Calls are of every operation.
static void offer_operations(const struct state *s, bool for_faults)
{
    const char *name;
    bool faulty;

    for (size_t i = 0; (name = server_operation(i, &faulty)) != NULL; i++)
        if (!for_faults || faulty)
            offer(s, name, NULL);
    if (for_faults)
        offer_transitions(s);
}

static void offer_value(const struct state *s)
{
    static const struct {
        const char *flag;
        const struct kind *kind;
    } named[] = {{"zone", &kind_zone},      {"type", &kind_type},       {"region", &kind_region},
                 {"via", &kind_instance},   {"target", &kind_instance}, {"address", &kind_address},
                 {"project", &kind_project}};

    if (s->pending->choices != NULL) {
        offer_choices(s, s->pending->choices);
        return;
    }
    if (strcmp(s->pending->name, "op") == 0)
        offer_operations(s, s->pending->use == USE_BODY);
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (strcmp(named[i].flag, s->pending->name) == 0 && s->pending->type != FLAG_ADDRESS)
            offer_names(s, named[i].kind, "");
}

static void offer_flags(const struct state *s, const struct flag *group)
{
    for (; group != NULL && group->name != NULL; group++)
        fprintf(s->out, "--%s\t%s\n", group->name, group->help);
}

static void offer_all_flags(const struct state *s)
{
    for (size_t i = 0; s->verb != NULL && i < VERB_FLAG_GROUPS; i++)
        offer_flags(s, s->verb->flags[i]);
    offer_flags(s, spec_global_flags);
}

// The server tells its flags in its help only: "  --listen HOST:PORT   where the API answers".
static void offer_serve_flags(const struct state *s)
{
    char *help = server_help(), *at = help, *line;

    if (help == NULL)
        return;
    while ((line = strsep(&at, "\n")) != NULL)
        if (strncmp(line, "  --", 4) == 0)
            fprintf(s->out, "%.*s\n", (int)strcspn(line + 2, " ="), line + 2);
    free(help);
}

static void offer_commands(const struct state *s)
{
    const struct kind *kind = s->kind != NULL ? s->kind : &kind_none;

    for (const struct verb *verb = spec_verbs; verb->summary != NULL; verb++)
        if (verb->kind == kind)
            offer(s, verb->name, verb->summary);
    if (s->kind != NULL)
        return;
    for (size_t i = 0; spec_kinds[i] != NULL; i++)
        offer(s, spec_kinds[i]->noun, spec_kinds[i]->about);
    for (const struct alias *alias = spec_aliases; alias->name != NULL; alias++)
        offer(s, alias->name, NULL);
    offer(s, "serve", "start the cloud");
    offer(s, "help", NULL);
}

static void offer_wait(const struct state *s, const char *word)
{
    const char *slash = strchr(word, '/');

    for (size_t i = 0; spec_kinds[i] != NULL; i++) {
        const struct kind *kind = spec_kinds[i];
        char prefix[32];

        snprintf(prefix, sizeof prefix, "%s/", kind->noun);
        if (kind->event_kind == NULL || kind == &kind_clock || kind == &kind_latency)
            continue;
        if (slash == NULL)
            offer(s, prefix, kind->about);
        else if (strncmp(word, prefix, strlen(prefix)) == 0)
            offer_names(s, kind, prefix);
    }
}

static void offer_operands(const struct state *s, const char *word)
{
    const struct verb *verb = s->verb;

    if (strcmp(verb->operands, "bash|zsh") == 0)
        offer_choices(s, "bash,zsh");
    else if (strcmp(verb->name, "wait") == 0)
        offer_wait(s, word);
    else if (verb->run == verb_latency_set && s->operands == 0)
        offer_transitions(s);
    else if (verb->kind == &kind_token)
        offer_names(s, &kind_project, "");
    else if (s->operands == 1 && strstr(verb->operands, "INSTANCE") != NULL)
        offer_names(s, &kind_instance, "");
    else if (strcmp(verb->name, "create") != 0 && s->operands < verb->max_operands &&
             (s->operands == 0 || strstr(verb->operands, "...") != NULL))
        offer_names(s, verb->kind, "");
}

static void read_word(struct state *s, const char *word)
{
    if (s->verb != NULL) {
        s->operands++;
    } else if (s->kind != NULL) {
        s->verb = spec_verb(s->kind, word);
    } else if (strcmp(word, "serve") == 0) {
        s->serve = true;
    } else {
        s->verb = spec_top_verb(word);
        s->kind = s->verb == NULL ? spec_kind(word) : NULL;
    }
}

static void keep(struct state *s, const struct flag *flag, const char *value)
{
    struct option *slot = &s->given.options[s->given.option_count++];

    slot->flag = flag;
    slot->value = value;
}

static void read_flag(struct state *s, const char *word)
{
    const char *equals = strchr(word, '=');
    const struct flag *flag;
    char name[64];

    if (word[1] != '-') {
        s->pending = word[2] == '\0' ? spec_flag_letter(s->verb, word[1]) : NULL;
    } else {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
        flag = spec_flag(s->verb, name);
        s->pending = equals == NULL ? flag : NULL;
        if (flag != NULL && equals != NULL)
            keep(s, flag, equals + 1);
    }
    if (s->pending != NULL && s->pending->type == FLAG_BOOL)
        s->pending = NULL;
}

static void read_words(struct state *s, int count, const char *const *words)
{
    for (int i = 0; i + 1 < count; i++) {
        if (s->pending != NULL && strcmp(words[i], "=") == 0)
            continue; // bash splits --flag=value
        if (s->pending != NULL) {
            keep(s, s->pending, words[i]);
            s->pending = NULL;
        } else if (words[i][0] == '-' && words[i][1] != '\0') {
            read_flag(s, words[i]);
        } else {
            read_word(s, words[i]);
        }
    }
}

void completion_print(FILE *out, int count, const char *const *words)
{
    struct state s = {.out = out};
    const char *word = count > 0 ? words[count - 1] : "";

    s.given.options = calloc((size_t)count + 1, sizeof *s.given.options);
    if (s.given.options == NULL)
        return;
    read_words(&s, count, words);
    if (s.serve) {
        if (word[0] == '-')
            offer_serve_flags(&s);
    } else if (s.pending != NULL)
        offer_value(&s);
    else if (word[0] == '-')
        offer_all_flags(&s);
    else if (s.verb != NULL)
        offer_operands(&s, word);
    else
        offer_commands(&s);
    free(s.given.options);
}
