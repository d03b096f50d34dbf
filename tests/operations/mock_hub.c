/*
 * A broker of its own process, for tests of the real program. Prints "bootstrap HOST:PORT", then obeys lines of standard input, each
 * answered by "ok": "topic NAME PARTITIONS", "fill NAME PARTITION COUNT BYTES". Ends with standard input.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/check_hv.h"
#include "tests/harness/mock_broker.h"

static void
say(const char *word, const char *behind)
{
    printf("%s%s\n", word, behind);
    (void)fflush(stdout);
}

/* A test, because the mock broker of the harness is for tests and fails them when it cannot go on. */
START_TEST(serve)
{
    mock_broker *broker = mock_broker_start(1);
    char line[400], name[250];
    int a, b, c;

    say("bootstrap ", mock_broker_bootstrap(broker));
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "topic %249s %d", name, &a) == 2)
            mock_broker_topic(broker, name, a);
        else if (sscanf(line, "fill %249s %d %d %d", name, &a, &b, &c) == 4)
            mock_broker_fill(broker, name, a, b, (size_t)c);
        else
            ck_abort_msg("what is '%s'?", line);
        say("ok", "");
    }
    mock_broker_stop(broker);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("mock hub");
    TCase *tests = tcase_create("serve");

    tcase_add_test(tests, serve);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
