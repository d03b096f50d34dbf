"""One round: a hub with a live producer, archivers that are killed, a judge."""

import collections
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "real"))
import campaign_judge  # noqa: E402
import campaign_plan  # noqa: E402
import kill_board  # noqa: E402
import parts  # noqa: E402
import power_loss  # noqa: E402
from campaign_judge import Failure  # noqa: E402

FOREIGN_WAIT_MS = 300
REACH = 5           # seconds until a place counts as not reached; then others come first
AGAIN = (10, 30, 60)        # the same whenever it is tried again: a slow machine must not fail for that
END = 90            # seconds after which something hangs
RECREATED = "recreated"
# Events come once a second where a broker has little, and small cuts are sealed at once: for these it has to have read, and cuts stay open.
SEALS_AT_STOP = ("shutdown.put.", "shutdown.commit.")
BEHIND = {"index-missing-cut", "index-incarnation"}
REPLAY_SECONDS = 4      # of events for a replay


def die_with_us():
    """In a child before it becomes another program: whatever ends the campaign ends it too (prctl(2), PR_SET_PDEATHSIG is 1)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Results:
    """Sums of a whole campaign."""

    def __init__(self):
        self.kills = collections.Counter()          # by how: place, tick, time
        self.verbs = collections.Counter()
        self.at = collections.Counter()             # kills at a place
        self.passed = collections.Counter()         # passages of a place
        self.disks = collections.Counter()
        self.kinds = collections.Counter()          # rounds
        self.numbers = collections.Counter()        # events, segments, lost, doubled, ...
        self.most_read_again = 0

    def kill_count(self):
        return sum(self.kills.values())


class Hub:
    """The producer of a round, and on the mock the broker as well."""

    def __init__(self, program, bootstrap, topic, plan, log, errors, again=False):
        """With `again` there is a topic of that name, and it is deleted first."""
        kind = plan.kind
        self.java = kind.producer == "java"
        if self.java:
            parts.run_java("OddEvents", bootstrap, f"topic:{topic}:{kind.partitions}")
            command = parts.java("Producer", bootstrap, topic, kind.partitions, kind.rate, log, plan.seed)
        else:
            command = [program, bootstrap, topic, str(kind.partitions), str(kind.rate), str(plan.seed), str(log),
                       "again" if again else kind.producer]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        self.bootstrap = bootstrap if self.java else self._line("bootstrap ")
        self._line("first")

    def _line(self, beginning):
        text = self.process.stdout.readline()
        if not text.startswith(beginning):
            raise RuntimeError(f"the producer says '{text.strip()}' and not '{beginning}'; it ended with {self.process.poll()}")
        return text[len(beginning):].strip()

    def stop(self):
        """Everything produced is acknowledged and in the log afterwards. The mock goes on serving."""
        if self.java:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
            return
        self.process.stdin.write("stop\n")
        self.process.stdin.flush()
        self._line("stopped ")

    def end(self):
        if self.java:
            self.process.kill()
        else:
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Archiver:
    """One machine: a configuration with an index of its own."""

    def __init__(self, number):
        self.name = "abc"[number]
        self.process = self.board = self.index = self.config = None
        self.ended = False              # the process was seen to end
        self.reads = {}                 # of the last process: (incarnation, partition) -> (first, next)


class RoundRun:
    def __init__(self, campaign, plan, folder):
        self.campaign, self.plan, self.folder = campaign, plan, folder
        self.results, self.places = campaign.results, campaign.places
        self.vaults = 0
        self.boards = self.hubs = 0
        self.cycle = None
        self.again = []                 # cycles whose place was not reached
        self.reach = REACH
        self.patient = False            # a place is tried again: what it needs is waited for
        self.archivers = [Archiver(number) for number in range(plan.kind.archivers)]
        self.log_file = open(folder / "hubvault.log", "ab")
        self.topic = f"live-{plan.number}"
        self._new_hub()
        self._new_vault()

    def _new_hub(self):
        """The hub, or the next one of the same name."""
        again = self.hubs > 0
        if again:
            self.hub.stop()
            self.hub.end()
        self.hubs += 1
        log = self.folder / f"live-{self.hubs}.log"
        self.hub = Hub(self.campaign.hub_program, self.campaign.bootstrap, self.topic, self.plan, log, self.log_file, again)
        self.log = campaign_judge.Log(log)

    # ---- vaults and machines ----

    def _new_vault(self):
        self.vaults += 1
        self.place = self.folder / f"vault-{self.vaults}"
        self.place.mkdir()
        self.vault = self.place / "vault"
        self.judge = campaign_judge.Judge(self.vault, self.topic, self.log, self.plan.kind.name == RECREATED)
        self.journal = power_loss.Journal(self.place)
        self.copies = {}
        for archiver in self.archivers:
            archiver.index = self.place / f"index-{archiver.name}"
            archiver.config = self.place / f"{archiver.name}.conf"
            archiver.reads = {}
            archiver.config.write_text(self._settings(archiver))

    def _settings(self, archiver):
        return (f"store.dir = {self.vault}\nindex.dir = {archiver.index}\nsource.bootstrap = {self.hub.bootstrap}\n"
                f"source.include = {self.topic}\nsegment.max-age = 1s\nsegment.max-bytes = 64K\nsegment.block-bytes = 4K\nindex.map-size = 1M\n")

    def _environment(self, kill_at=None):
        kind, made = self.plan.kind, dict(os.environ)
        self.boards += 1
        board = self.folder / f"board-{self.boards}"
        board.unlink(missing_ok=True)
        made |= {"CAMPAIGN_BOARD": str(board), "CAMPAIGN_JOURNAL": str(self.place / f"journal-{self.boards}"),
                 "CAMPAIGN_CLASSES": str(kind.classes), "CAMPAIGN_FOREIGN_WAIT_MS": str(FOREIGN_WAIT_MS)}
        if kind.cut_bytes:
            stays_open = self.cycle is not None and self.cycle.place.startswith(SEALS_AT_STOP)
            made |= {"CAMPAIGN_CUT_BYTES": str(1 << 24 if stays_open else kind.cut_bytes),
                     "CAMPAIGN_CUT_AGE_MS": str(60000 if stays_open else kind.cut_age_ms)}
        if self.plan.method != "tmpfile":
            made["CAMPAIGN_METHOD"] = self.plan.method
        if kill_at:
            made["CAMPAIGN_KILL"] = kill_at
        return board, made

    def start(self, archiver, words, kill_at=None, product=False):
        board, environment = self._environment(kill_at)
        program = self.campaign.product if product else self.campaign.killed
        archiver.process = subprocess.Popen([program, "--config", str(archiver.config), *words], stdin=subprocess.DEVNULL,
                                            stdout=self.log_file, stderr=self.log_file, env=environment, preexec_fn=die_with_us)
        archiver.board, archiver.ended = board, False

    def command(self, archiver, *words, status=(0,), killed=False):
        """Run it to its end, unharmed."""
        self.start(archiver, words, product=not killed)
        self._wait(archiver, END)
        if archiver.process.returncode not in status:
            raise Failure(f"'{' '.join(words)}' ended with {archiver.process.returncode}, see {self.log_file.name}")
        self._collect(archiver)

    def _wait(self, archiver, seconds):
        try:
            archiver.process.wait(seconds)
        except subprocess.TimeoutExpired:
            archiver.process.kill()
            archiver.process.wait()
            raise Failure(f"it hung for {seconds} s: {archiver.process.args}") from None

    def _collect(self, archiver):
        """Read the board of a process that has ended; what it read from the hub again is measured."""
        if archiver.ended:
            return kill_board.Board(archiver.board, self.places)
        archiver.ended = True
        board = kill_board.Board(archiver.board, self.places)
        self.results.passed.update(board.passed)
        for key, (first, _) in board.reads.items():
            tail = self.judge.tails.get(key, 0)
            if first < tail:
                self.results.numbers["sealed again"] += 1
                raise Failure(f"partition {key[1]} was read from offset {first} on although cuts up to {tail} are sealed")
            again = archiver.reads.get(key, (0, first))[1] - first
            if again > 0:
                self.results.numbers["read again"] += again
                self.results.most_read_again = max(self.results.most_read_again, again)
        archiver.reads |= board.reads
        archiver.board.unlink(missing_ok=True)
        return board

    @staticmethod
    def _runs(archiver):
        if archiver.process is None or archiver.ended:
            return False
        if archiver.process.poll() is not None:
            raise Failure(f"'{archiver.process.args}' ended by itself with {archiver.process.returncode}")
        return True

    def _kill(self, archiver):
        if self._runs(archiver):
            archiver.process.kill()
            archiver.process.wait()
            self.results.kills["time"] += 1
            self.results.verbs["run"] += 1
            self._collect(archiver)

    def _kill_all(self):
        for archiver in self.archivers:
            self._kill(archiver)

    # ---- one cycle ----

    def prepare(self, cycle, victim):
        """Bring about what the place needs."""
        if self.plan.kind.name == RECREATED:
            if cycle.place.startswith(("claim.", "put.incarnation.")) or cycle.number % 5 == 0:
                self._kill_all()
                self._leave_incomplete(victim)
                self.judge.look()
                self._new_hub()
                self.judge.log = self.log
            self._prepare_machine(cycle, victim)
            return
        claim = f"segments/hub={self.topic}/incarnation=1/incarnation.json"
        needs_new = {"put.marker.": "vault.json", "folder.": "segments", "put.incarnation.": claim, "claim.": claim,
                     "index.incarnation.": claim, campaign_plan.SNAPSHOT: "snapshots/**/*.json"}
        if any(cycle.place.startswith(beginning) and any(self.vault.glob(path)) for beginning, path in needs_new.items()):
            self.finish_vault()
            self._new_vault()
        self._prepare_machine(cycle, victim)

    def _prepare_machine(self, cycle, victim):
        if cycle.place.startswith(("index.open.", "rebuild.")):
            shutil.rmtree(victim.index, ignore_errors=True)
        if cycle.place.startswith(("adopt.looked", "adopt.record.")):
            if self.patient:
                self._copy(victim)
                self._capture_more(victim, "index.cut.commit.after")
            self._old_copy(victim)
        if cycle.place.startswith("fill."):
            self._leave_incomplete(victim)

    def _capture_more(self, archiver, place):
        """Until it has come by that place."""
        self.start(archiver, ("run",))
        self._until(archiver, lambda board: place in board.passed)
        self._kill(archiver)

    def _until(self, archiver, condition):
        """Of the board of a process that runs."""
        deadline = time.monotonic() + END
        while archiver.process.poll() is None and time.monotonic() < deadline and not condition(kill_board.Board(archiver.board, self.places)):
            time.sleep(0.02)

    def _leave_incomplete(self, victim):
        """A cut whose lead is there and whose siblings are not."""
        self.start(victim, ("run",), "put.sibling.before:1")
        self._reach(victim)

    def _reach(self, archiver):
        """Until it kills itself, or too long. Whether it did."""
        try:
            archiver.process.wait(self.reach)
        except subprocess.TimeoutExpired:
            archiver.process.kill()
            archiver.process.wait()
        board = self._collect(archiver)
        return self._count_kill(archiver, board)

    def _count_kill(self, archiver, board):
        """Whether it killed itself."""
        if archiver.process.returncode != -signal.SIGKILL:
            return False
        how = "time" if board.killed_at is None else "tick" if board.killed_at == "tick" else "place"
        self.results.kills[how] += 1
        if how == "place":
            self.results.at[board.killed_at] += 1
        return board.killed_at is not None

    def run_cycle(self, cycle):
        """False if the place was not reached (it was killed from outside then, or it ended)."""
        self.cycle = cycle
        victim = self.archivers[cycle.victim]
        if self.plan.kind.archivers == 1 or cycle.place.startswith(("adopt.looked", "adopt.record.", "fill.")):
            self._kill_all()
        self.prepare(cycle, victim)
        kill_at = None if cycle.place == "time" else f"{cycle.place}:{cycle.count}"
        self._kill(victim)              # it ran beside the other one, unarmed
        for other in self.archivers:
            if other is not victim and not self._runs(other):
                self.start(other, ("run",))
        words = {"run": ("run",), "shutdown": ("run",), "rebuild": ("index", "rebuild"), "verify": ("verify", "--threads", "1")}[cycle.verb]
        if cycle.verb in ("rebuild", "verify") and not (self.vault / "vault.json").exists():
            words = ("run",)
        behind = words[0] == "verify" and cycle.number % 2 == 0 and self._has_index(victim)
        if words[0] == "verify" and not behind:
            words += ("--no-index",)
        self.start(victim, words, kill_at, cycle.product)
        reached = self._await_end(cycle, victim, words, {0, 15} if behind else {0})     # its index may lag behind the store
        self.results.verbs[cycle.verb] += 1
        self.after(cycle, victim)
        return reached

    def _await_end(self, cycle, victim, words, good):
        if cycle.verb == "shutdown":
            if self.patient or cycle.place.startswith(SEALS_AT_STOP):
                self._until(victim, lambda board: board.reads)
            self._sleep(victim, cycle.stop_after)
            if victim.process.poll() is None:
                victim.process.send_signal(signal.SIGTERM)
        if cycle.place == "time":
            self._sleep(victim, cycle.seconds)
            if victim.process.poll() is None:
                victim.process.kill()
        reached = self._reach(victim)
        status = victim.process.returncode
        may_end = words[0] != "run" or cycle.verb == "shutdown"
        if status != -signal.SIGKILL and not (may_end and status in good):
            raise Failure(f"'{' '.join(words)}' ended by itself with {status}, see {self.log_file.name}")
        return reached or cycle.place in ("time", "tick")

    @staticmethod
    def _sleep(archiver, seconds):
        try:
            archiver.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass

    def after(self, cycle, victim):
        """Lose what is to be lost, and look at what is left."""
        if cycle.product:
            self.journal.settle()       # it kept no journal, so nobody knows what it has synced
        power = cycle.power and not cycle.product
        if power or (len(self.archivers) > 1 and (cycle.disk != "keep" or cycle.number % 3 == 0)):
            self._kill_all()
        done = []
        if power and self.vault.exists():
            done.append("power")
            gone, broken = power_loss.lose_power(self.journal)
            self.results.numbers["names lost with power"] += len(gone)
            self.judge.forget(gone)
            if broken:
                raise Failure("; ".join(broken[:5]))
        if cycle.disk == "lose" and victim.index.exists():
            done.append("lose")
            shutil.rmtree(victim.index)
        elif cycle.disk == "old" and victim.name in self.copies:
            done.append("old")
            self._old_copy(victim)
        elif cycle.number % 4 == 0:
            self._copy(victim)
        self.results.disks[" and ".join(done) or "keep"] += 1
        if not any(self._runs(archiver) for archiver in self.archivers):
            self.judge.look()
            if cycle.disk != "keep" or power or cycle.number % 5 == 0:
                self._verify(victim)

    def _has_index(self, archiver):
        """A process that died in making one leaves a file that is none yet."""
        done = subprocess.run([self.campaign.product, "--config", archiver.config, "index", "stats"], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=END, check=False)
        return done.returncode != 3

    def _copy(self, archiver):
        if (archiver.index / "data.mdb").exists():
            copy = self.place / f"copy-{archiver.name}"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(archiver.index, copy)
            self.copies[archiver.name] = copy

    def _old_copy(self, archiver):
        copy = self.copies.get(archiver.name)
        if copy is not None:
            shutil.rmtree(archiver.index, ignore_errors=True)
            shutil.copytree(copy, archiver.index)

    def _verify(self, archiver):
        """The store has no fault; an index may know less than the store, and nothing else."""
        if not (self.vault / "vault.json").exists():
            return
        index = () if self._has_index(archiver) else ("--no-index",)
        _, environment = self._environment()
        done = subprocess.run([self.campaign.killed, "--config", archiver.config, "verify", "--quick", *index, "--output", "json"],
                              stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=END, check=False, text=True)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        if not (done.returncode == 0 or (done.returncode == 15 and {row["kind"] for row in rows[:-1]} <= BEHIND)):
            raise Failure(f"verify ended with {done.returncode}: {done.stdout[:2000]} {done.stderr[:500]}")

    def await_replay(self, cycle, archiver):
        """Until it kills itself, is killed, or has sent all."""
        if cycle.place == "time":
            self._sleep(archiver, cycle.seconds)
            if archiver.process.poll() is None:
                archiver.process.kill()
        self._reach(archiver)
        if archiver.process.returncode not in (0, -signal.SIGKILL):
            raise Failure(f"replay ended with {archiver.process.returncode}, see {self.log_file.name}")

    # ---- the end ----

    def finish_vault(self):
        """Capture what is left of it, and hold it to everything."""
        self._kill_all()
        for archiver in self.archivers:
            self.command(archiver, "run", "--once", killed=True)
        for archiver in self.archivers:
            self.command(archiver, "verify")
        self.judge.look()
        self.results.numbers["vaults"] += 1

    def settle(self):
        """No more events, and nothing runs."""
        self._kill_all()
        self.hub.stop()

    def finish(self):
        self.settle()
        self.finish_vault()
        transactions = self.plan.kind.producer == "transactions"
        if self.plan.kind.name == RECREATED:
            right = self.judge.final_of_many()
            self.results.numbers["hubs re-created"] += self.hubs - 1
            self.results.numbers["gone with their hub"] += self.judge.gone
        else:
            right = self.judge.final(gaps_allowed=transactions)
        self._compare_indexes()
        if self.plan.kind.groups == (campaign_plan.REPLAY,):
            self.campaign.replay(self)
        self.results.numbers["events"] += right
        self.results.numbers["segments"] += len(self.judge.cache)
        self.results.numbers["rounds"] += 1
        self.results.kinds[self.plan.kind.name] += 1

    def _compare_indexes(self):
        """Each index equals one that is rebuilt from the store."""
        archiver, rebuilt = self.archivers[0], self.place / "rebuilt"
        self.command(archiver, "index", "rebuild", "--into", str(rebuilt))
        wanted = self._dump(archiver, rebuilt)
        for archiver in self.archivers:
            if self._dump(archiver, archiver.index) != wanted:
                raise Failure(f"the index of archiver {archiver.name} differs from a rebuilt one")

    def _dump(self, archiver, index):
        done = subprocess.run([self.campaign.product, "--config", str(archiver.config), "--index", str(index), "index", "dump"],
                              stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=END)
        if done.returncode != 0 or not done.stdout:
            raise Failure(f"index dump ended with {done.returncode}: {done.stderr.decode()}")
        return done.stdout

    def run(self, up_to=None):
        """All cycles; a place that was not reached is tried again at the end."""
        if self.plan.kind.groups == (campaign_plan.REPLAY,):
            time.sleep(REPLAY_SECONDS)
        for cycle in self.plan.cycles:
            if up_to is not None and cycle.number > up_to:
                break
            if cycle.verb == "replay":  # when all is captured
                continue
            reached = self.run_cycle(cycle)
            self.campaign.progress(self)
            if not reached:
                self.again.append(cycle)
        self.patient = True
        for self.reach in AGAIN:
            tried, self.again = self.again, []
            for cycle in tried:
                if not self.results.at[cycle.place] and not self.run_cycle(cycle._replace(count=1, product=False)):
                    self.again.append(cycle)
        self.finish()

    def close(self):
        for archiver in self.archivers:
            if archiver.process is not None and archiver.process.poll() is None:
                archiver.process.kill()
                archiver.process.wait()
        self.hub.end()
        self.log_file.close()
