/* The program. A reader of our output that goes away must not end a capture half-way, so SIGPIPE is an error like others. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"

static const char *
environment(const char *name)
{
    return getenv(name);
}

int
main(int argc, char **argv)
{
    const char *const *words = (const char *const *)argv;

    (void)signal(SIGPIPE, SIG_IGN);
    return hv_cli_main(&(hv_cli_start){.words = argc > 0 ? words + 1 : words, .to = stdout, .notes = stderr, .terminal = isatty(2) == 1,
                                       .environment = environment, .default_config = "/etc/hubvault/hubvault.conf"});
}
