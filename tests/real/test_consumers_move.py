#!/usr/bin/env python3
"""Consumers move with their data: one is stopped in the middle, its topic is replayed elsewhere under another name, and it goes on there at
the very next event; with transactions, gaps and holes in the source, and replays that are killed."""

import collections
import json
import pathlib
import random
import subprocess
import time

import bed

# Aborted and open transactions, compaction holes, deleted records at the front, and one that is large.
TOPICS = ("odd.transactions", "odd.compacted", "odd.trimmed", "odd.bulk")
STAGES = ("create", "transactions", "compact", "trim", "delete-records", "bulk")


class ConsumersMove(bed.Bed):
    stages = STAGES

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dumps = cls.dump(TOPICS, "original")

    def setUp(self):
        super().setUp()
        self.vault = self.work / "vault"
        self.config({"source.include": ",".join(TOPICS), "archiver.snapshot-interval": "1s"})

    def consume(self, *jobs):
        """What ordinary consumers read, (group, topic, count, reset) each: per partition, in the order of reading. They leave their positions
        committed."""
        paths = [self.work / f"read.{i}" for i in range(len(jobs))]
        bed.parts.run_java("GroupConsumer", self.broker.bootstrap, *[
            word for path, (group, topic, count, reset) in zip(paths, jobs) for word in (group, topic, reset, count, path)], timeout=120)
        return [self.events_of(path) for path in paths]

    def events_of(self, path):
        read = collections.defaultdict(list)
        with open(path, encoding="utf-8") as file:
            for text in file:
                event = bed.canonical.parse(text)
                read[event.partition].append(event)
        return read

    def original(self, topic):
        events = collections.defaultdict(list)
        for event in bed.canonical.read(self.dumps[topic]):
            events[event.partition].append(event)
        return events

    def assert_goes_on(self, topic, before, after):
        """Before and after together are every event once, in order: nothing was skipped and nothing came again."""
        total = 0
        for partition, events in self.original(topic).items():
            whole = [event.content() for event in before[partition] + after[partition]]
            self.assertEqual(whole, [event.content() for event in events], f"{topic}/{partition}")
            total += len(events)
        self.assertEqual(total, sum(map(len, before.values())) + sum(map(len, after.values())))
        self.assertGreater(sum(map(len, after.values())), 0, topic)

    def capture(self):
        """And what groups and topics are like now."""
        time.sleep(1.1)
        self.hubvault("run", "--once")

    def rows(self, done):
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_a_consumer_goes_on_at_the_very_next_event(self):
        """All topics in one replay, made as they were, and the groups moved at its end."""
        half = {topic: sum(map(len, self.original(topic).values())) // 2 for topic in TOPICS}
        before = self.consume(*[(f"mover.{topic}", topic, half[topic], "earliest") for topic in TOPICS])
        self.capture()
        command = ["replay", *TOPICS, "--sink", "kafka", "--id", "move", "--topic", "moved.{hub}", "--create-topics",
                   "--offset-map", self.work / "move.map"]
        shown = self.table(*command, "--dry-run")
        self.assertEqual({row["topic"]: row["action"] for row in shown if "topic" in row}, {f"moved.{hub}": "create" for hub in TOPICS})
        made = self.rows(self.hubvault(*command, "--translate-groups", "mover.*", "--output", "json"))
        self.assertEqual({row["action"] for row in made if "action" in row}, {"created"})       # so the dry run had made nothing
        copies = self.dump([f"moved.{topic}" for topic in TOPICS], "copies")
        after = self.consume(*[(f"mover.{topic}", f"moved.{topic}", "all", "none") for topic in TOPICS])
        for i, topic in enumerate(TOPICS):
            with self.subTest(topic=topic):
                self.assert_replayed(self.dumps[topic], copies[f"moved.{topic}"])
                self.assert_goes_on(topic, before[i], after[i])

    def test_topics_are_made_as_they_were(self):
        self.capture()
        self.hubvault("replay", "odd.compacted", "odd.trimmed", "--sink", "kafka", "--id", "made", "--topic", "made.{hub}", "--create-topics",
                      "--topic-config", "retention.ms=-1", "--topic-config", "max.message.bytes=2000000")
        described = self.describe_all()
        for name in ("odd.compacted", "odd.trimmed"):
            was, made = described[name], described[f"made.{name}"]
            self.assertEqual(made["partitions"], was["partitions"])
            self.assertEqual(made["settings"], was["settings"] | {"retention.ms": "-1", "max.message.bytes": "2000000"})
        again = self.table("replay", "odd.trimmed", "--sink", "kafka", "--id", "made2", "--topic", "made.{hub}", "--create-topics", "--dry-run")
        self.assertEqual([row["action"] for row in again if "topic" in row], ["exists"])
        self.hubvault("replay", "odd.trimmed", "--sink", "kafka", "--id", "made3", "--topic", "wrong.{hub}", "--create-topics",
                      "--topic-config", "nonsense=1", expect=2)

    def describe_all(self):
        """Partitions and settings of every topic, by the tools of Kafka."""
        text = bed.parts.run_java("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.broker.bootstrap, "--describe")
        found = {}
        for line in text.splitlines():
            fields = dict(part.partition(": ")[::2] for part in line.split("\t"))
            if "PartitionCount" in fields:
                settings = dict(pair.split("=", 1) for pair in fields.get("Configs", "").split(",") if "=" in pair)
                found[fields["Topic"]] = {"partitions": fields["PartitionCount"], "settings": settings}
        return found

    def test_after_a_replay_that_was_killed_again_and_again(self):
        topic, group = "odd.bulk", "mover.killed"
        before = self.consume((group, topic, 9000, "earliest"))[0]
        self.capture()
        command = ("replay", topic, "--sink", "kafka", "--id", "killed", "--topic", "killed.bulk", "--create-topics", "--rate", "4000",
                   "--offset-map", self.work / "killed.map")
        path = self.work / "killed.map"
        dice, kills, written = random.Random(11), 0, 0
        while kills < 4 or (written == 0 and kills < 30):       # until one has hit a run that had written something
            running = self.hubvault_start(*command)
            time.sleep(dice.uniform(0.3, 3.8 * (1 + kills // 4)))      # a transaction lasts up to two seconds, on a slow machine longer
            kills += running.process.poll() is None
            running.end("KILL")
            written += path.exists() and '"runs"' in path.read_text(encoding="utf-8")
        early = self.hubvault("groups", "translate", group, "--offset-map", path, "--dry-run", expect=None)
        self.hubvault(*command)
        self.assertGreater(written, 0)
        self.assertIn(early.returncode, (0, 15), early.stderr)
        copy = self.dump(["killed.bulk"], "copies")["killed.bulk"]
        self.assert_replayed(self.dumps[topic], copy)
        self.check_map(path, topic, copy)
        self.hubvault("groups", "translate", group, "--offset-map", path)
        self.assert_goes_on(topic, before, self.consume((group, "killed.bulk", "all", "none"))[0])

    def check_map(self, path, topic, copy):
        """The map against both topics as the Java client sees them: every event of the one at the offset of the other, and no other."""
        old = {partition: {event.offset: event.content() for event in events} for partition, events in self.original(topic).items()}
        new = collections.defaultdict(dict)
        for event in bed.canonical.read(copy):
            new[event.partition][event.offset] = event.content()
        sources = []
        for text in pathlib.Path(path).read_text(encoding="utf-8").splitlines()[1:]:
            row = json.loads(text)
            if "source" in row:
                sources.append(row)
            for old_offset, new_offset, *runs in row.get("at", ()):
                for i, length in enumerate(runs):
                    for step in range(length if i % 2 == 0 else 0):
                        source = sources[row["runs"]]
                        self.assertEqual(source["from"][0], topic)
                        event = old[source["from"][2]].pop(old_offset + step)
                        self.assertEqual(new[source["to"][1]].pop(new_offset + step), event, f"{old_offset + step}")
                    old_offset += length
                    new_offset += length if i % 2 == 0 else 0
        self.assertEqual(sum(map(len, old.values())) + sum(map(len, new.values())), 0)

    def test_groups_that_must_not_be_moved_are_left_alone(self):
        topic, group = "odd.bulk", "mover.careful"
        self.consume((group, topic, 5000, "earliest"))
        self.capture()
        path = self.work / "careful.map"
        self.hubvault("replay", topic, "--sink", "kafka", "--id", "careful", "--topic", "careful", "--create-topics", "--offset-map", path)
        translate = ("groups", "translate", group, "--offset-map", path, "--output", "json")
        planned = self.rows(self.hubvault(*translate, "--dry-run"))
        self.assertEqual({(row["verdict"], row["at"], row["done"]) for row in planned}, {("moves", "event", False)})
        holder = self.start_java("GroupConsumer", self.broker.bootstrap, group, "careful", "earliest", "hold", stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        self.assertEqual(holder.stdout.readline(), "joined\n")
        busy = self.rows(self.hubvault(*translate, expect=15))
        self.assertEqual({row["verdict"] for row in busy}, {"active"})
        holder.communicate("\n", timeout=60)
        self.assertEqual(self.committed(group, "careful"), {})
        moved = self.rows(self.hubvault(*translate))
        self.assertEqual({(row["verdict"], row["done"]) for row in moved}, {("moves", True)})
        self.assertEqual(self.committed(group, "careful"), {row["to_partition"]: row["offset"] for row in planned})
        self.assertEqual({row["verdict"] for row in self.rows(self.hubvault(*translate))}, {"there"})
        self.consume((group, "careful", 100, "none"))
        ahead = self.rows(self.hubvault(*translate, expect=15))
        self.assertEqual({row["verdict"] for row in ahead}, {"has-other"})
        self.assertNotEqual({row["to_partition"]: row["before"] for row in ahead}, {row["to_partition"]: row["offset"] for row in planned})
        self.hubvault(*translate, "--overwrite")
        self.assertEqual(self.committed(group, "careful"), {row["to_partition"]: row["offset"] for row in planned})
        self.hubvault("groups", "translate", "nobody", "--offset-map", path, expect=3)

    def test_a_topic_that_was_made_anew_is_not_taken_for_the_one_of_the_map(self):
        topic, group = "odd.trimmed", "mover.anew"
        self.consume((group, topic, 30, "earliest"))
        self.capture()
        path = self.work / "anew.map"
        self.hubvault("replay", topic, "--sink", "kafka", "--id", "anew", "--topic", "anew", "--create-topics", "--offset-map", path)
        bed.parts.run_java("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.broker.bootstrap, "--delete", "--topic", "anew")
        time.sleep(1)
        self.hubvault("replay", "odd.bulk", "--sink", "kafka", "--id", "anew2", "--topic", "anew", "--create-topics", "--limit", "8000")
        done = self.hubvault("groups", "translate", group, "--offset-map", path, "--output", "json", expect=15)
        self.assertIn("holds another event", done.stderr)
        self.assertEqual({row["done"] for row in self.rows(done)}, {False})
        self.assertEqual({row["verdict"] for row in self.rows(self.hubvault(
            "groups", "translate", group, "--offset-map", path, "--output", "json", "--dry-run", expect=15))}, {"moves"})    # none was committed

    def committed(self, group, topic):
        """partition -> offset, by the tools of Kafka."""
        text = bed.parts.run_java("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", self.broker.bootstrap,
                                  "--describe", "--group", group)
        found = {}
        for line in text.splitlines():
            words = line.split()
            if len(words) > 4 and words[0] == group and words[1] == topic and words[3].isdigit():
                found[int(words[2])] = int(words[3])
        return found

    def test_snapshots_follow_a_running_consumer_and_tell_the_past(self):
        topic, group = "odd.trimmed", "mover.past"
        capture = self.hubvault_start("run", log="past.log")
        seen, want = [], {}
        for count in (10, 20):
            read = self.consume((group, topic, count, "earliest"))[0]
            want |= {partition: events[-1].offset + 1 for partition, events in read.items()}
            deadline = time.monotonic() + 20
            while not want.items() <= (now := self.listed(group)).items():
                self.assertLess(time.monotonic(), deadline, f"{now}, not {want}: {capture.text()[-1000:]}")
                time.sleep(0.2)
            seen.append((time.time(), dict(want)))
            time.sleep(1.2)
        for at, then in seen:
            self.assertLessEqual(then.items(), self.listed(group, "--at", f"@{int(at * 1000)}").items())
        self.assertNotEqual(seen[0][1], seen[1][1])
        snapshots = len(list((self.vault / "snapshots").rglob("*.json")))
        time.sleep(2.5)
        self.assertEqual(len(list((self.vault / "snapshots").rglob("*.json"))), snapshots)     # nothing changed, nothing is put
        self.assertEqual(capture.end("TERM"), 0, capture.text()[-2000:])
        self.hubvault("verify")

    def listed(self, group, *more):
        return {row["partition"]: row["offset"] for row in self.table("groups", "ls", group, "--partitions", *more)}


if __name__ == "__main__":
    bed.main()
