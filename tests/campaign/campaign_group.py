"""A round in which archivers share the partitions of a hub by a consumer group.

All of them run all the time. A cycle writes into the board of one, or of two, at which place to die, and has another one go away and come
back: it leaves, is killed, or is stopped for longer than its session. So partitions go to those that are left, and then some of them are
wanted back.
"""

import json
import signal
import subprocess
import time

import campaign_round
import kill_board
from campaign_judge import Failure

SESSION = 2         # seconds
REACH = 90          # seconds until a place counts as not reached
MOVE = 3 * SESSION  # after that, one that went away comes back although the others were given nothing: they may have had everything
LOOK = 0.02
SETTLE = 120


class GroupRun(campaign_round.RoundRun):
    def _settings(self, archiver):
        named = f"source.assignment-instance = archiver-{archiver.name}\n" if self.plan.kind.member == "named" else ""
        return (f"{super()._settings(archiver)}source.assignment = group\nsource.session-timeout = {SESSION}s\n"
                f"source.release-timeout = 2s\nsource.discovery-interval = 1s\narchiver.follow-interval = 200ms\n{named}")

    # ---- what they are told, and what is seen of them ----

    def _arm(self, archiver, place, count):
        kill_board.arm(archiver.board, self.places, place, count)

    def _passed(self, archiver, place):
        return kill_board.Board(archiver.board, self.places).passed.get(place, 0)

    def _assignments(self, archiver):
        return self._passed(archiver, "group.assigned.after")

    @staticmethod
    def _dead(archiver):
        return archiver.process.poll() is not None

    @staticmethod
    def _wait_for(seconds, condition):
        """Whether it came to be."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK)
        return True

    def _start_all(self, archivers):
        for archiver in archivers:
            if not self._runs(archiver):
                self.start(archiver, ("run",))
        for archiver in archivers:                  # armed is what has a board
            self._wait_for(campaign_round.END, lambda of=archiver: self._passed(of, "start.after") > 0 or self._dead(of))

    # ---- how one goes away and comes back ----

    def _away(self, archiver, how):
        if how == "kill":
            self._kill(archiver)
        elif how == "leave":
            self._leave(archiver)
        else:
            archiver.process.send_signal(signal.SIGSTOP)
            self.results.numbers["paused"] += 1

    def _back(self, archiver, how):
        if how == "pause":
            archiver.process.send_signal(signal.SIGCONT)
        else:
            self.start(archiver, ("run",))

    def _leave(self, archiver):
        if not self._runs(archiver):
            return
        archiver.process.send_signal(signal.SIGTERM)
        self._wait(archiver, campaign_round.END)
        if archiver.process.returncode != 0:
            raise Failure(f"SIGTERM ended archiver {archiver.name} with {archiver.process.returncode}, see {self.log_file.name}")
        self.results.numbers["left"] += 1
        self._collect(archiver)

    def _move(self, cycle, mover, watched):
        """One goes away, the others get what it had; it comes back, and they have to give."""
        before = sum(map(self._assignments, watched))
        self._away(mover, cycle.move)
        # One with a name has its partitions again if it is back within its session.
        if self.plan.kind.member != "named" or cycle.number % 2 == 0:
            self._wait_for(MOVE, lambda: any(map(self._dead, watched)) or sum(map(self._assignments, watched)) > before)
        self._back(mover, cycle.move)

    def _stop_for_longer_than_the_session(self, stopped, others):
        """So that somebody else has their partitions when they go on."""
        self._await_assigned(stopped)
        before = sum(map(self._assignments, others))
        for archiver in stopped:
            self._away(archiver, "pause")
        time.sleep(SESSION)
        self._wait_for(REACH, lambda: not others or any(map(self._dead, others)) or sum(map(self._assignments, others)) > before)
        for archiver in stopped:
            archiver.process.send_signal(signal.SIGCONT)

    def _await_assigned(self, archivers):
        """Or one of them is dead."""
        self._wait_for(REACH, lambda: any(map(self._dead, archivers)) or all(self._assignments(archiver) > 0 for archiver in archivers))

    # ---- one cycle ----

    def _provoke_once(self, cycle, doomed, mover):
        """What brings those that are to die to their places."""
        alive = {archiver: place for archiver, place in doomed.items() if not self._dead(archiver)}
        stopped = [archiver for archiver, place in alive.items() if place.startswith("group.lost.")]
        leaving = [archiver for archiver, place in alive.items() if place.startswith("group.leave.")]
        if stopped:
            self._stop_for_longer_than_the_session(stopped, [other for other in self.archivers if other not in stopped and not self._dead(other)])
        if leaving:
            self._await_assigned(leaving)
            for archiver in leaving:
                archiver.process.send_signal(signal.SIGTERM)
        if not stopped and not leaving:
            self._await_assigned(list(alive))
            if not any(map(self._dead, alive)):
                self._move(cycle, mover, [archiver for archiver in self.archivers if archiver is not mover and not self._dead(archiver)])

    def run_cycle(self, cycle):
        """False if the place was not reached; it was killed from outside then."""
        self.cycle = cycle
        victim = self.archivers[cycle.victim]
        others = [archiver for archiver in self.archivers if archiver is not victim]
        mover, second = others[cycle.number % len(others)], others[(cycle.number + 1) % len(others)]
        doomed = {victim: cycle.place} if cycle.place != "time" else {}
        if cycle.also and second is not mover:
            doomed[second] = cycle.also
        time.sleep(cycle.away)
        self._start_all(self.archivers)
        for archiver, place in doomed.items():
            self._arm(archiver, place, cycle.count if archiver is victim else 1)
        if cycle.place == "time":
            self._move(cycle, mover, [victim])
            self._sleep(victim, cycle.seconds)
        deadline = time.monotonic() + REACH
        while cycle.place != "time" and not self._dead(victim) and time.monotonic() < deadline:
            self._provoke_once(cycle, doomed, mover)
            self._wait_for(3 * SESSION, lambda: self._dead(victim))
        reached = self._death_of(victim)
        self.results.verbs["run"] += 1
        if second in doomed:
            self._settle_second(second)
        self.after(cycle, victim)
        return reached or cycle.place in ("time", "tick")

    def _settle_second(self, second):
        """If it does not get there soon, it goes on unarmed, and the place is for another cycle."""
        if not self._wait_for(SESSION, lambda: self._dead(second)):
            self._arm(second, None, 0)
        if not (self._dead(second) and self._death_of(second)):
            self.again.append(self.cycle._replace(place=self.cycle.also, also=""))

    def _death_of(self, archiver):
        """Whether it died at its place; if it lives, it is killed."""
        if archiver.ended:
            return False
        status = archiver.process.poll()
        if status not in (None, 0, -signal.SIGKILL) or (status == 0 and "group.leave." not in self.cycle.place + self.cycle.also):
            raise Failure(f"'run' ended by itself with {status}, see {self.log_file.name}")
        if status is None:
            self._kill(archiver)
            return False
        return self._count_kill(archiver, self._collect(archiver))

    def after(self, cycle, victim):
        """Now and then all of them die at once; only then can be looked at what is there."""
        if cycle.all_die:
            self._kill_all()
        super().after(cycle, victim)

    # ---- the end ----

    def _ends(self, archiver):
        """As its index knows them while it runs."""
        done = subprocess.run([self.campaign.product, "--config", str(archiver.config), "segments", self.topic, "--output", "json"],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=campaign_round.END, check=False, text=True)
        ends = {}
        for row in map(json.loads, done.stdout.splitlines()):
            ends[row["partition"]] = max(ends.get(row["partition"], 0), row["end_offset"])
        return ends

    def settle(self):
        """With nothing but what runs: one gives the others of what it has, gets it back when they leave, and comes to know everything; then
        the others do, and all leave in good order."""
        last = next((archiver for archiver in self.archivers if self._runs(archiver)), self.archivers[0])
        others = [archiver for archiver in self.archivers if archiver is not last]
        for archiver in others:
            self._leave(archiver)
        for some in ([last], others):
            self._start_all(some)
            self._await_assigned(some)
        for archiver in others:
            self._leave(archiver)
        self.hub.stop()
        self.log.read()
        self._await_ends([last])
        self._start_all(others)
        self._await_ends(self.archivers)
        for archiver in self.archivers:
            self._leave(archiver)

    def _await_ends(self, archivers):
        wanted = {partition: end + 1 for partition, end in self.log.last.items()}
        if not self._wait_for(SETTLE, lambda: all(self._runs(archiver) and self._ends(archiver) == wanted for archiver in archivers)):
            late = {archiver.name: self._ends(archiver) for archiver in archivers}
            raise Failure(f"within {SETTLE} s not all of them knew that the ends are {wanted}: {late}")
