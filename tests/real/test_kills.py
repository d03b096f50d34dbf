#!/usr/bin/env python3
"""hubvault is killed a hundred times while a producer goes on; then every acknowledged event is in the vault once, and equal.

Half of the kills come at a random moment, half right after a new segment has appeared, where the store knows more than the index. Now
and then the index is thrown away with the process, as when a machine burns down. HUBVAULT_KILLS and HUBVAULT_SEED choose others.
"""

import os
import random
import time

import bed

KILLS = int(os.environ.get("HUBVAULT_KILLS", "100"))
SEED = int(os.environ.get("HUBVAULT_SEED", "0")) or random.randrange(1 << 30)
RATE = 2000


class Kills(bed.LiveBed):
    def test_killed_a_hundred_times_it_loses_and_doubles_nothing(self):
        print(f"seed {SEED}", flush=True)
        dice = random.Random(SEED)
        producer, log = self.produce(RATE)
        self.config({"segment.max-bytes": "64K", "segment.block-bytes": "16K", "segment.max-age": "1s"})
        behind_a_put = while_starting = 0
        for number in range(KILLS):
            running = self.hubvault_start("run")
            if number % 2:
                behind_a_put += self.wait_for_segment(running, 3)
                time.sleep(dice.choice((0, 0, 0.001, 0.005)))
            else:
                delay = dice.uniform(0.01, 0.8)
                while_starting += delay < 0.1
                time.sleep(delay)
            self.assertIsNone(running.process.poll(), f"it ended by itself: {running.text()[-2000:]}")
            running.end("KILL")
            if number % 10 == 9:
                bed.shutil.rmtree(f"{self.vault}.index")
        self.stop(producer)
        self.hubvault("run", "--once")
        total = self.verify(log)
        self.hubvault("verify")
        print(f"{KILLS} kills: {behind_a_put} right behind a put, {while_starting} while starting", flush=True)
        # A run in which nothing was stored between the kills would prove nothing.
        self.assertGreater(behind_a_put, KILLS // 4)
        self.assertGreater(total, KILLS * 10)


if __name__ == "__main__":
    bed.main()
