/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tools.h"

struct command {
    const char *name;
    enum mp_command bit;
    const char *words; /* after the name */
    const char *summary;
    const char *about;
};

static const struct command commands[] = {
    {"run", MP_COMMAND_RUN, "[options]", "take events in and deliver them",
     "Listens for events, keeps them in the queue in --data, and delivers each through "
     "its\n"
     "partner's script in --scripts. A saved script is live at once. Each attempt is a "
     "JSON\n"
     "line on stdout, diagnostics go to stderr. SIGTERM drains and ends, SIGHUP looks at "
     "the\n"
     "scripts again.\n"},
    {"check", MP_COMMAND_CHECK, "[script…] [options]",
     "load scripts and say what is wrong",
     "Loads each script as `run` would and prints its generation, or file, line and what "
     "is\n"
     "wrong. Without words: every script of --scripts.\n"
     "\n"
     "  moonpost check\n"
     "  moonpost check scripts/acme.lua\n"},
    {"try", MP_COMMAND_TRY, "PARTNER EVENT [options]", "show the exact request, unsent",
     "Prints the request that the partner's script in --scripts makes of an event, the "
     "same as a\n"
     "line for curl, and when it would be tried again. Nothing is sent and no server is "
     "needed.\n"
     "EVENT is a file, - for stdin, or JSON. Secrets are shown as [secret name], to curl "
     "as\n"
     "$MOONPOST_SECRET_NAME.\n"
     "\n"
     "  moonpost try acme event.json\n"
     "  moonpost try acme '{\"click_id\":\"c-1\"}'\n"
     "  moonpost try postback --endpoint 'GET http://a.example/pb?x={x}' '{\"x\":1}'\n"},
    {"new", MP_COMMAND_NEW, "PARTNER [options]", "write a partner's script and its spec",
     "Writes PARTNER.lua and spec/PARTNER_spec.lua into --scripts; both work as they "
     "are. "
     "What\n"
     "an editor's Lua server, luacheck and busted need to know of them is written into "
     "this\n"
     "folder, where it is missing and when --scripts lies in it. All of it is written, "
     "or "
     "nothing.\n"
     "\n"
     "  moonpost new acme\n"},
    {"test", MP_COMMAND_TEST, "[script…] [options] [-- busted's own]",
     "run the partners' specs",
     "Runs the specs of the scripts named (a file, a partner's name, a folder, a spec) "
     "in "
     "busted,\n"
     "under LuaJIT; without words those of --scripts. The spec of DIR/acme.lua is\n"
     "DIR/spec/acme_spec.lua; it uses require(\"moonpost.testing\"), which needs no "
     "server. What\n"
     "follows -- is passed on to busted. Needs lua-busted, luajit and lua-cjson.\n"
     "\n"
     "  moonpost test\n"
     "  moonpost test acme\n"
     "  moonpost test scripts/acme.lua -- -o TAP --filter 'is told'\n"},
    {"send", MP_COMMAND_SEND, "[PARTNER] EVENT [options]", "post an event or a postback",
     "Posts to a running Moonpost and prints its answer. EVENT is a file, - for stdin, "
     "or JSON:\n"
     "one object, a list, or one object a line.\n"
     "\n"
     "  moonpost send acme event.json       to /events/acme\n"
     "  moonpost send postback.json         has \"endpoint\": to /postback\n"
     "  moonpost send --type signup '{}'    to /events, for every partner that "
     "subscribes\n"
     "  moonpost send --endpoint 'GET http://a.example/pb?x={x}' '{\"x\":1}'\n"},
    {"sink", MP_COMMAND_SINK, "[options]", "be a partner to try against",
     "Prints every request it gets and answers it, until SIGINT or SIGTERM.\n"
     "\n"
     "  moonpost sink\n"
     "  moonpost sink --status 503 --delay 2s\n"
     "  moonpost sink --fail 30%\n"},
    {"partner", MP_COMMAND_PARTNER, "list | pause NAME | resume NAME [options]",
     "list, pause and resume partners",
     "A paused partner's events are taken and wait; a pause outlives a restart.\n"
     "\n"
     "  moonpost partner list\n"
     "  moonpost partner pause acme\n"},
    {"dead", MP_COMMAND_DEAD, "list | show ID | replay [ID…] | purge [ID…] [options]",
     "list, show, replay and purge dead letters",
     "Dead letters are deliveries that ended without success. A replayed one keeps its "
     "id and\n"
     "its attempts start again; a purged one is gone. Say which by id, or by --partner, "
     "--since\n"
     "and --until.\n"
     "\n"
     "  moonpost dead list --partner acme\n"
     "  moonpost dead replay --partner acme --since 2h\n"
     "  moonpost dead purge --until 2026-01-01T00:00:00Z --dry-run\n"},
    {"topics", MP_COMMAND_TOPICS, "create | check --kafka HOST:PORT [options]",
     "make and check Kafka's topics",
     "`create` makes the topics that are missing and changes none that is there; both "
     "say what\n"
     "is wrong with those that are there, and what mends it.\n"
     "\n"
     "  moonpost topics create --kafka kafka-1:9092,kafka-2:9092\n"
     "  moonpost topics check --kafka kafka-1:9092 --kafka-config client.properties\n"},
    {"health", MP_COMMAND_HEALTH, "[options]", "ask whether a Moonpost is ready",
     "Exits 0 when it is ready, prints why and exits 1 when it is not, and exits 3 when "
     "there\n"
     "is no answer within 3 s. For containers and scripts.\n"},
    {"version", MP_COMMAND_VERSION, "", "print the version, and the libraries'", ""},
    {"help", MP_COMMAND_HELP, "[command]", "print this, or a command's help", ""},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const char exit_codes[] =
    "Exit codes:\n"
    "  0  it worked\n"
    "  1  it was done and the answer is no: a script does not load, a spec fails, a "
    "request was\n"
    "     refused, a topic is not as it must be\n"
    "  2  the command line is wrong, or what it names cannot be read\n"
    "  3  the server or the cluster could not be reached, the port not listened on, or "
    "busted\n"
    "     is not installed\n";

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

enum mp_command mp_cli_command(const char *name)
{
    const struct command *command = find(name);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        return MP_COMMAND_HELP;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        return MP_COMMAND_VERSION;
    }
    return command ? command->bit : (enum mp_command)0;
}

/* How many letters two short words do not have in common, in order. */
static size_t difference(const char *a, const char *b)
{
    enum { MAX = 16 };
    size_t common[MAX + 1][MAX + 1] = {{0}};
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length > MAX || b_length > MAX) {
        return MAX;
    }
    for (size_t i = 1; i <= a_length; i++) {
        for (size_t j = 1; j <= b_length; j++) {
            size_t best =
                common[i - 1][j] > common[i][j - 1] ? common[i - 1][j] : common[i][j - 1];
            common[i][j] = a[i - 1] == b[j - 1] ? common[i - 1][j - 1] + 1 : best;
        }
    }
    return a_length + b_length - 2 * common[a_length][b_length];
}

static int complain_unknown(const char *name)
{
    const struct command *nearest = NULL;
    size_t least = 4; /* a letter exchanged counts two */
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        size_t d = difference(name, commands[i].name);
        if (d < least && d < strlen(name)) {
            nearest = &commands[i];
            least = d;
        }
    }
    if (nearest) {
        return mp__complain(MP_EXIT_USAGE, "there is no command `%s`; did you mean `%s`?",
                            name, nearest->name);
    }
    return mp__complain(MP_EXIT_USAGE,
                        "there is no command `%s`; `moonpost help` lists them", name);
}

static int write_overview(struct mp_buf *out)
{
    int status = mp_buf_append_text(out, "Moonpost delivers postbacks and webhooks, each "
                                         "through its partner's Lua script.\n"
                                         "\n"
                                         "Usage: moonpost <command> [options]\n\n");
    for (size_t i = 0; !status && i < COMMAND_COUNT; i++) {
        status = mp_buf_printf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    }
    status =
        status
            ? status
            : mp_buf_append_text(
                  out, "\n`moonpost help <command>` tells a command's options. Each can\n"
                       "also be set in the environment: --data is MOONPOST_DATA.\n\n");
    return status ? status : mp_buf_append_text(out, exit_codes);
}

static int write_command(struct mp_buf *out, const struct command *command)
{
    size_t count, before;
    const struct mp_option *options = mp_cli_options(&count);
    int status =
        mp_buf_printf(out, "moonpost %s: %s\n\nUsage: moonpost %s %s\n", command->name,
                      command->summary, command->name, command->words);
    if (*command->about) {
        status = status ? status : mp_buf_printf(out, "\n%s", command->about);
    }
    status = status ? status : mp_buf_append_text(out, "\nOptions:\n");
    before = out->length;
    status = status ? status : mp_options_help(options, count, command->bit, out);
    if (!status && out->length == before) {
        status = mp_buf_append_text(out, "  none\n");
    }
    status = status ? status : mp_buf_append_char(out, '\n');
    return status ? status : mp_buf_append_text(out, exit_codes);
}

int mp_cli_help(const char *name)
{
    struct mp_buf out;
    const struct command *command = name ? find(name) : NULL;
    if (name && !command) {
        return complain_unknown(name);
    }
    mp_buf_init(&out, MP_CLI_BYTES_MAX);
    bool failed = command ? write_command(&out, command) : write_overview(&out);
    return mp__print_buf(&out, failed);
}
