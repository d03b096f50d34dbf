"""The units of systemd, as far as systemd itself can judge them without running: test_units.py, with HUBVAULT and HUBVAULT_SOURCE set."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

FOLDER = pathlib.Path(os.environ["HUBVAULT_SOURCE"]) / "docs/operations"
PROGRAM = pathlib.Path(os.environ["HUBVAULT"]).resolve()
UNITS = ("hubvault.service", "hubvault@.service")
EXPOSURE = 15       # in tenths: 1.5 of 10, where systemd calls 9.8 unsafe


class Units(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hubvault-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "bin").mkdir()
        (self.folder / "bin/hubvault").symlink_to(PROGRAM)
        for unit in UNITS:
            text = (FOLDER / (unit + ".in")).read_text()
            (self.folder / unit).write_text(text.replace("@bindir@", str(self.folder / "bin")))

    def settings(self, unit):
        text = (self.folder / unit).read_text()
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))

    def analyze(self, *words):
        return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60, cwd=self.folder)

    def test_systemd_understands_every_line(self):
        for unit in UNITS:
            done = self.analyze("verify", "--man=no", "./" + unit)
            self.assertEqual((done.returncode, done.stderr), (0, ""), unit)

    def test_systemd_would_notice_a_line_it_does_not_understand(self):
        unit = self.folder / UNITS[0]
        unit.write_text(unit.read_text().replace("[Service]", "[Service]\nNoSuchSetting=yes"))
        self.assertIn("NoSuchSetting", self.analyze("verify", "--man=no", "./" + UNITS[0]).stderr)

    def test_the_service_is_exposed_to_little(self):
        for unit in UNITS:
            done = self.analyze("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", "./" + unit)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_what_prevents_a_restart_are_codes_of_the_program_that_do_not_pass(self):
        text = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
        codes = {int(number): meaning for number, meaning in re.findall(r"^ +(\d+) +(.*)$", text, re.M)}
        for unit in UNITS:
            for code in self.settings(unit)["RestartPreventExitStatus"].split():
                self.assertIn(int(code), codes)
                self.assertNotRegex(codes[int(code)], "busy|memory|again")

    def test_both_units_differ_in_names_only(self):
        one, many = (self.settings(unit) for unit in UNITS)
        differing = {name for name in one.keys() | many.keys() if one.get(name) != many.get(name)}
        self.assertEqual(differing, {"Description", "RequiresMountsFor", "ExecStart", "StateDirectory"})


if shutil.which("systemd-analyze") is None:
    print("systemd-analyze is missing: nothing is tested")
    sys.exit(1 if os.environ.get("HUBVAULT_NO_SKIP") == "1" else 77)
unittest.main()
