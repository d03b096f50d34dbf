#!/usr/bin/env python3
"""Kills hubvault again and again over live producers, and counts what is lost and what is there twice.

    campaign.py --broker real|mock --cycles N [--seed S]    N SIGKILLs and more, at named places, at random passages, at random times
    campaign.py --broker real|mock --short                  every named place once
    campaign.py ... --cycle N                               the round of cycle N, from its beginning up to that cycle

Exit status 0 if nothing was lost or doubled and every named place was reached, else 1. `scripts/campaign` builds what is needed and
calls this; docs/RELIABILITY.md tells what it is all about.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "real")]
import parts  # noqa: E402

if not parts.prepared():
    print("tests/real/prepare was not run")
    sys.exit(1 if os.environ.get("HUBVAULT_NO_SKIP") == "1" else 77)
parts.use_venv()

import broker  # noqa: E402
import campaign_group  # noqa: E402
import campaign_plan  # noqa: E402
import campaign_replay  # noqa: E402
import campaign_round  # noqa: E402
from campaign_judge import Failure  # noqa: E402

MAX_FAILURES = 3


class Campaign:
    def __init__(self, arguments):
        self.arguments = arguments
        programs = pathlib.Path(arguments.build).resolve()
        self.product = str(programs / "cli" / "hubvault")
        self.killed = str(programs / "tests" / "campaign" / "hubvault_killed")
        self.hub_program = str(programs / "tests" / "campaign" / "campaign_hub")
        self.work = pathlib.Path(arguments.work).resolve() / f"{arguments.broker}-{arguments.seed}-{os.getpid()}"
        self.work.mkdir(parents=True)
        self.places = subprocess.run([self.killed], env=os.environ | {"CAMPAIGN_PLACES": "1"}, capture_output=True, text=True,
                                     check=True).stdout.split()
        self.results = campaign_round.Results()
        self.failures = []
        self.began = time.monotonic()
        self.broker = None
        self.bootstrap = "mock"

    def start_broker(self):
        if self.arguments.broker == "real":
            self.broker = broker.Broker(self.work / "kafka")
            self.broker.start(settings=["group.min.session.timeout.ms=1000"])
            self.bootstrap = self.broker.bootstrap

    def close(self):
        if self.broker is not None:
            self.broker.kill()
        if not self.failures:
            shutil.rmtree(self.work, ignore_errors=True)

    def progress(self, running, end="\r"):
        if sys.stdout.isatty() or end == "\n":
            numbers = self.results.numbers
            print(f"{self.arguments.broker}: round {running.plan.number} ({running.plan.kind.name}, {running.plan.method}), "
                  f"{self.results.kill_count()} kills, {numbers['events']} events, {numbers['rounds']} rounds, "
                  f"{time.monotonic() - self.began:.0f} s   ", end=end, flush=True)

    def replay(self, running):
        campaign_replay.replay(self, running)

    def command_for(self, cycle):
        arguments = self.arguments
        size = ("--short" if arguments.short else f"--cycles {arguments.cycles}") + (f" --kind {arguments.kind}" if arguments.kind else "")
        return f"scripts/campaign --{arguments.broker} {size} --seed {arguments.seed} --cycle {cycle.number if cycle else 0}"

    def run_round(self, plan, up_to=None):
        folder = self.work / f"round-{plan.number}"
        folder.mkdir()
        running = None
        try:
            running = (campaign_group.GroupRun if plan.kind.member else campaign_round.RoundRun)(self, plan, folder)
            running.run(up_to)
            self.progress(running, "\n")
        except (Failure, RuntimeError, ValueError, OSError) as failure:
            cycle = running.cycle if running else None
            self.failures.append({"cycle": cycle.number if cycle else plan.cycles[0].number, "what": str(failure), "folder": str(folder),
                                  "plan": str(cycle), "repeat": self.command_for(cycle)})
            print(f"\n{self.arguments.broker}: FAILED in cycle {cycle}: {failure}\n  folder: {folder}\n  again: {self.command_for(cycle)}", flush=True)
        finally:
            if running is not None:
                self.results.numbers["lost"] += running.judge.lost
                self.results.numbers["doubled"] += running.judge.doubled
                running.close()
        if not self.failures or self.failures[-1]["folder"] != str(folder):
            shutil.rmtree(folder)

    def plan(self):
        arguments = self.arguments
        if arguments.short:
            return campaign_plan.make_covering(arguments.seed, arguments.broker, self.places, arguments.kind)
        return campaign_plan.make(arguments.seed, arguments.broker, self.places, arguments.cycles, arguments.kind)

    def wanted_places(self):
        return campaign_plan.places_for(self.arguments.broker, self.places, self.arguments.short)

    def run(self):
        one = self.arguments.cycle
        for plan in self.plan():
            if one is not None and not plan.cycles[0].number <= one <= plan.cycles[-1].number:
                continue
            self.run_round(plan, one)
            if len(self.failures) >= (1 if self.arguments.short else MAX_FAILURES):
                break
        return [] if one is not None or self.arguments.kind else [place for place in self.wanted_places() if not self.results.at[place]]

    def report(self, missed):
        results = self.results
        return {"broker": self.arguments.broker, "seed": self.arguments.seed, "cycles": self.arguments.cycles, "short": self.arguments.short,
                "seconds": round(time.monotonic() - self.began), "kills": results.kill_count(), "kills_by": dict(results.kills),
                "verbs": dict(results.verbs), "disks": dict(results.disks), "rounds": dict(results.kinds),
                "numbers": {"lost": 0, "doubled": 0} | dict(results.numbers), "most_read_again": results.most_read_again,
                "places": {place: {"kills": results.at[place], "passed": results.passed[place]}
                           for place in self.wanted_places()},
                "missed": missed, "failures": self.failures}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", choices=("real", "mock"), required=True)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cycle", type=int)
    parser.add_argument("--kind", choices=[kind.name for kind in campaign_plan.KINDS], help="rounds of this kind only")
    parser.add_argument("--build", default="build")
    parser.add_argument("--work", default=str(parts.PARTS / "campaign"))
    parser.add_argument("--report", help="write the results there, as JSON")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))         # so that everything that was started is ended
    campaign = Campaign(parser.parse_args())
    try:
        campaign.start_broker()
        missed = campaign.run()
    finally:
        campaign.close()
    report = campaign.report(missed)
    if campaign.arguments.report:
        pathlib.Path(campaign.arguments.report).write_text(json.dumps(report, indent=1) + "\n")
    numbers = report["numbers"]
    print(f"{report['broker']}: {report['kills']} kills in {report['seconds']} s, {numbers.get('events', 0)} events, {numbers['lost']} lost, "
          f"{numbers['doubled']} doubled, {len(missed)} places missed {missed}, {len(report['failures'])} failures, seed {report['seed']}")
    return 1 if missed or report["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
