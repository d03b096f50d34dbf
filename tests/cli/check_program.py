"""What only the program itself shows: check_program.py PROGRAM COMPLETION."""
import os
import signal
import subprocess
import sys
import unittest

PROGRAM, COMPLETION = sys.argv.pop(1), sys.argv.pop(1)


def run(*words, **more):
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.run([PROGRAM, *words], text=True, timeout=30, env={"PATH": "/usr/bin:/bin"}, **more)


def complete(*words):
    """What bash offers for the last of these words."""
    script = f'source "{COMPLETION}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hubvault 2>/dev/null; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", script, "bash", *words], text=True, capture_output=True, timeout=30, check=True)
    return done.stdout.split()


class Program(unittest.TestCase):
    def test_results_go_to_standard_output_and_nothing_else(self):
        done = run("--version")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^hubvault \d+\.\d+\.\d+\n$")

    def test_a_failure_is_one_line_on_standard_error(self):
        done = run("optoins")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr, "hubvault: unknown command 'optoins'; did you mean 'options'?\n")

    def test_lost_output_ends_with_11(self):
        for words in (["--help"], ["options"], ["options", "--output", "json"], ["completion"], ["options", "--format", "man"]):
            with open("/dev/full", "w") as full:
                done = run(*words, stdout=full)
            self.assertEqual(done.returncode, 11, words)
            # stdio forgets the reason when it was an earlier piece that got lost
            self.assertRegex(done.stderr, "^hubvault: cannot write all output(: No space left on device)?\n$")

    def test_a_closed_standard_output_ends_with_11(self):
        done = run("options", preexec_fn=lambda: os.close(1), stdout=None)
        self.assertEqual(done.returncode, 11)

    def test_a_reader_that_went_away_is_no_signal(self):
        read, write = os.pipe()
        os.close(read)
        done = run("options", stdout=write, preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL))
        os.close(write)
        self.assertEqual(done.returncode, 11)
        self.assertRegex(done.stderr, "^hubvault: cannot write all output(: Broken pipe)?\n$")


class Completion(unittest.TestCase):
    def test_commands_are_offered(self):
        self.assertEqual(complete("hubvault", "seg"), ["segments"])
        self.assertIn("doctor", complete("hubvault", ""))

    def test_flags_of_the_command_are_offered(self):
        self.assertEqual(complete("hubvault", "segments", "orders", "--from-"), ["--from-offset"])
        self.assertEqual(complete("hubvault", "--store", "/x", "status", "--g"), ["--gaps"])
        self.assertNotIn("--gaps", complete("hubvault", "hubs", "--"))

    def test_second_words_are_offered(self):
        self.assertEqual(complete("hubvault", "index", "re"), ["rebuild"])

    def test_words_that_a_flag_takes_are_offered(self):
        self.assertEqual(complete("hubvault", "hubs", "--output", ""), ["table", "json"])
        self.assertEqual(complete("hubvault", "options", "--format", "m"), ["markdown", "man"])

    def test_options_are_offered_behind_set(self):
        self.assertEqual(complete("hubvault", "--set", "segment.max-a"), ["segment.max-age="])

    def test_folders_are_offered_behind_store(self):
        self.assertIn("/usr", complete("hubvault", "--store", "/us"))


unittest.main()
