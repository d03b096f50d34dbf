#!/usr/bin/env python3
"""Hubs that change between and during captures: later events, new partitions, open transactions, deletion, re-creation."""

import bed


class CaptureStages(bed.Bed):
    stages = ("create", "shapes", "times", "bulk", "transactions", "trim", "again", "grow")

    def test_1_an_open_transaction_holds_nothing_up_and_its_end_is_captured(self):
        self.hubvault("run", "--once")
        self.odd("open-transaction")
        self.hubvault("run", "--once")          # ends although events behind the open transaction cannot be read yet
        self.odd("end-transaction")
        self.hubvault("run", "--once")
        self.archive()
        self.assert_archive_equals(self.dump(["odd.transactions"], "transactions"))

    def test_2_later_events_and_new_partitions_join_without_hole_or_duplicate(self):
        self.hubvault("run", "--once")
        self.odd("more", "add-partitions")
        self.hubvault("run", "--once")
        self.archive()
        self.assert_archive_equals(self.dump(["odd.bulk", "odd.shapes", "odd.growing", "odd.trimmed", "odd.empty", "odd.times"], "later"))

    def test_3_a_running_capture_takes_up_new_events_and_hubs_and_seals_when_stopped(self):
        self.config({"source.discovery-interval": "1s", "segment.max-age": "2s"})
        running = self.hubvault_start("run")
        self.odd("topic:new-hub:3", "more")
        bed.parts.run_java("OddEvents", self.broker.bootstrap, "more")
        dumps = self.dump(["odd.bulk", "odd.shapes", "odd.growing", "odd.trimmed", "odd.empty", "odd.times"], "running")
        self.wait_until_archived(dumps)
        self.assertEqual(running.end("TERM"), 0, running.text())
        self.archive()
        self.assert_archive_equals(dumps)

    def test_4_a_held_transaction_that_commits_while_running_is_captured(self):
        self.config({"segment.max-age": "1s", "source.include": "odd.transactions"})
        running = self.hubvault_start("run")
        held = self.start_java("OddEvents", self.broker.bootstrap, "hold-transaction", stdin=bed.subprocess.PIPE, stdout=bed.subprocess.PIPE)
        self.assertEqual(held.stdout.readline(), "open\n")
        bed.time.sleep(3)
        held.communicate("commit\n", timeout=30)
        dumps = self.dump(["odd.transactions"], "held")
        self.wait_until_archived(dumps)
        self.assertEqual(running.end("TERM"), 0, running.text())
        self.archive()
        self.assert_archive_equals(dumps)

    def test_5_records_deleted_before_they_were_read_are_a_gap(self):
        self.config({"source.include": "odd.trimmed"})
        before = {key: fact["position"] for key, fact in (self.hubvault("run", "--once"), self.archive())[1].items()}
        self.odd("more", "delete-records", "more")
        self.hubvault("run", "--once")
        facts = self.archive()
        start = before["odd.trimmed", 1, 1]
        self.assertEqual(facts["odd.trimmed", 1, 1]["gaps"], [[start, start + 10, "retention"]])
        self.assertEqual(facts["odd.trimmed", 1, 0]["gaps"], [])

    def test_6_a_hub_deleted_and_created_again_is_another_incarnation(self):
        self.config({"source.include": "odd.again"})
        first = self.dump(["odd.again"], "first-life")
        self.hubvault("run", "--once")
        self.odd("recreate")
        self.hubvault("run", "--once")
        self.archive()
        self.assert_archive_equals(first, 1)
        self.assert_archive_equals(self.dump(["odd.again"], "second-life"), 2)

    def test_7_a_hub_created_again_while_running_is_another_incarnation(self):
        self.config({"source.include": "odd.again", "source.discovery-interval": "1s", "segment.max-age": "1s"})
        first = self.dump(["odd.again"], "third-life")
        running = self.hubvault_start("run")
        self.wait_until_archived(first)
        self.odd("recreate")
        second = self.dump(["odd.again"], "fourth-life")
        self.wait_until_archived(second, 2)
        self.assertEqual(running.end("TERM"), 0, running.text())
        self.archive()
        self.assert_archive_equals(first, 1)
        self.assert_archive_equals(second, 2)


if __name__ == "__main__":
    bed.main()
