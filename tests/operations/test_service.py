"""The real program as a service: what it writes into its log, and what it tells the service manager."""
import os
import subprocess
import time
import unittest

import service_bed


class Case(unittest.TestCase):
    def setUp(self):
        self.bed = service_bed.Bed()
        self.addCleanup(self.bed.close)
        self.hub = self.bed.hub


class Log(Case):
    def test_each_line_of_a_run_has_the_fields_of_its_row_and_joins_its_segment(self):
        rows = {row["event"]: row for row in self.bed.query("logs")}
        self.hub.tell("topic orders 2")
        self.hub.tell("fill orders 0 50 100")
        self.bed.configure(segment_max__age="1s")
        service = self.bed.start()
        sealed = service.wait("cut-sealed", hub="orders", partition=0)
        service.stop()
        order = [line["event"] for line in service.lines]
        self.assertEqual([event for event in order if event in ("starting", "started", "ready", "stopping", "ended")],
                         ["starting", "started", "ready", "stopping", "ended"])
        for line in service.lines:
            row = rows[line["event"]]
            fields = row["fields"].split()
            self.assertEqual((line["level"], line["msg"]), (row["level"], row["msg"]))
            self.assertLessEqual({field for field in fields if not field.endswith("?")}, line.keys())
            self.assertLessEqual(line.keys() - {"time", "level", "event", "msg", "suppressed"}, {field.rstrip("?") for field in fields})
        segment = next(row for row in self.bed.query("segments", "orders") if row["name"] == sealed["segment"])
        self.assertEqual((segment["first_offset"], segment["end_offset"], segment["events"], segment["stored_bytes"], segment["sha256"]),
                         (sealed["first"], sealed["end"], sealed["events"], sealed["bytes"], sealed["sha256"]))
        shown = {(row["segment"], row["sha256"]) for row in self.bed.query("show", "orders", "0", str(sealed["first"]))}
        self.assertEqual(shown, {(sealed["segment"], sealed["sha256"])})
        ended = service.all("ended")[0]
        self.assertEqual((ended["events"], ended["hubs"], ended["partitions"], ended["stopped"]), (50, 1, 2, 0))

    def test_in_the_journal_lines_begin_with_a_priority_and_have_no_time(self):
        self.bed.configure()
        service = self.bed.start(journal=True)
        service.wait("started")
        service.stop()
        for raw, line in zip(service.raw, service.lines):
            self.assertEqual(raw[:3], {"error": "<3>", "warning": "<4>", "info": "<6>", "debug": "<7>"}[line["level"]])
            self.assertNotIn("time", line)

    def test_another_stream_than_the_journal_gets_the_time(self):
        self.bed.configure()
        service = self.bed.start({"JOURNAL_STREAM": "1:1"})
        service.wait("started")
        service.stop()
        self.assertTrue(all(raw.startswith("{") and "time" in line for raw, line in zip(service.raw, service.lines)))

    def test_a_secret_is_in_no_line(self):
        (self.bed.folder / "credentials").mkdir()
        (self.bed.folder / "credentials" / "hub").write_text("Endpoint=sb://127.0.0.1/;SharedAccessKeyName=k;SharedAccessKey=c2VjcmV0LXdvcmQ=\n")
        self.bed.configure(log_level="debug", source_timeout="1s", source_auth="connection-string", source_tls="no", source_connection__string__file="credential:hub")
        service = self.bed.start({"CREDENTIALS_DIRECTORY": str(self.bed.folder / "credentials")})
        service.wait("trouble")
        service.kill()
        self.assertNotIn("c2VjcmV0", "".join(service.raw))

    def test_a_credential_outside_of_the_service_is_named(self):
        self.bed.configure(source_auth="connection-string", source_tls="no", source_connection__string__file="credential:hub")
        service = self.bed.start()
        service.end(3)
        self.assertEqual(service.raw[-1], "hubvault: the connection string is 'credential:hub', and $CREDENTIALS_DIRECTORY is not set: the service "
                         "manager sets it for the service\n")


class ServiceManager(Case):
    def supervise(self, address=None, watchdog_ms=None, **more):
        manager = self.bed.manager(address)
        environment = {"NOTIFY_SOCKET": manager.address, **more}
        if watchdog_ms is not None:
            environment["WATCHDOG_USEC"] = str(watchdog_ms * 1000)
        return manager, self.bed.start(environment)

    def test_ready_is_said_when_capture_runs_and_stopping_at_the_end(self):
        self.hub.tell("topic orders 2")
        self.bed.configure()
        manager, service = self.supervise()
        service_bed.wait_until(lambda: manager.count("READY=1"), "READY=1", service.raw)
        ready_at = next(at for at, message in manager.messages if message == "READY=1")
        self.assertTrue(service.all("hub-captured", hub="orders"))
        service.wait("ready")
        service_bed.wait_until(lambda: manager.count("STATUS=capturing 1 hubs, 2 partitions"), "a status", service.raw)
        service.stop()
        stopping_at = next(at for at, message in manager.messages if message == "STOPPING=1")
        self.assertLess(ready_at, stopping_at)
        self.assertEqual(manager.count("READY=1"), 1)

    def test_without_a_broker_it_is_not_ready_and_asks_for_time(self):
        self.bed.configure(source_bootstrap="127.0.0.1:1", source_timeout="1s")
        manager, service = self.supervise()
        service_bed.wait_until(lambda: manager.count("EXTEND_TIMEOUT_USEC=") >= 2, "a wish for time", service.raw)
        self.assertEqual(manager.count("STATUS=waiting for the source"), 1)
        self.assertEqual(manager.count("READY=1"), 0)
        service.kill()

    def test_an_abstract_socket_works_as_well(self):
        self.bed.configure()
        manager, service = self.supervise(f"@hubvault-service-{os.getpid()}")
        service_bed.wait_until(lambda: manager.count("READY=1"), "READY=1", service.raw)
        service.stop()

    def test_a_thread_that_hangs_ends_the_signs_of_life_and_going_on_brings_them_back(self):
        shaking = self.bed.folder / "shaking"
        shaking.write_text("0 0")
        self.hub.tell("topic orders 1")
        self.bed.configure(segment_max__age="1s")
        manager, service = self.supervise(watchdog_ms=1000, LD_PRELOAD=str(service_bed.SHAKEN), SHAKEN=str(shaking))
        service_bed.wait_until(lambda: manager.count("WATCHDOG=1") >= 3, "signs of life", service.raw)
        shaking.write_text("600000 0")
        self.hub.tell("fill orders 0 10 100")
        stalled = service.wait("thread-stalled", watchdog="withheld")
        self.assertRegex(stalled["thread"], "^uploader-")
        since = time.monotonic()
        time.sleep(1.2)
        self.assertEqual(manager.count("WATCHDOG=1", since), 0)
        self.assertEqual(manager.count("STATUS=thread uploader-"), manager.count("STATUS=thread "))
        self.assertGreaterEqual(manager.count("STATUS=thread "), 1)
        shaking.write_text("0 0")
        service_bed.wait_until(lambda: manager.count("WATCHDOG=1", since), "a sign of life", service.raw)
        service.wait("cut-sealed", hub="orders")
        service.stop()

    def test_a_stopped_process_gives_no_sign_of_life(self):
        self.bed.configure()
        manager, service = self.supervise(watchdog_ms=400)
        service_bed.wait_until(lambda: manager.count("WATCHDOG=1") >= 2, "signs of life", service.raw)
        service.process.send_signal(19)
        time.sleep(0.2)
        since = time.monotonic()
        time.sleep(0.6)
        self.assertEqual(manager.count("WATCHDOG=1", since), 0)
        service.process.send_signal(18)
        service_bed.wait_until(lambda: manager.count("WATCHDOG=1", since), "a sign of life", service.raw)
        service.stop()

    def test_a_watchdog_of_another_process_gets_no_sign_of_life(self):
        self.bed.configure()
        manager, service = self.supervise(watchdog_ms=100, WATCHDOG_PID="1")
        service_bed.wait_until(lambda: manager.count("READY=1"), "READY=1", service.raw)
        time.sleep(0.3)
        self.assertEqual(manager.count("WATCHDOG=1"), 0)
        service.stop()


class Reload(Case):
    def test_another_level_and_age_are_in_force_and_the_manager_is_told(self):
        self.hub.tell("topic orders 1")
        self.bed.configure(segment_max__age="1h")
        manager = self.bed.manager()
        service = self.bed.start({"NOTIFY_SOCKET": manager.address})
        service.wait("ready")
        self.hub.tell("fill orders 0 10 100")
        service_bed.wait_until(lambda: manager.count("STATUS=capturing"), "a status", service.raw)
        self.assertEqual(service.all("cut-sealed"), [])
        self.bed.configure(segment_max__age="1s", log_level="debug", log_format="logfmt")
        service.hang_up()
        service_bed.wait_until(lambda: any("event=cut-sealed" in line for line in service.raw), "a sealed cut", service.raw)
        self.assertEqual([(line["option"], line["old"], line["new"]) for line in service.all("option-changed")],
                         [("segment.max-age", "1h", "1s"), ("log.level", "info", "debug"), ("log.format", "json", "logfmt")])
        self.assertTrue(any("event=reloaded" in line and "changed=3 needs_restart=0" in line for line in service.raw))
        kinds = [message.split("=")[0] for _, message in manager.messages if message.startswith(("READY", "RELOADING"))]
        self.assertEqual(kinds, ["READY", "RELOADING", "READY"])
        service.stop()

    def test_a_configuration_with_a_fault_changes_nothing_and_the_place_is_named(self):
        self.hub.tell("topic orders 1")
        self.bed.configure(segment_max__age="1h")
        service = self.bed.start()
        service.wait("ready")
        self.hub.tell("fill orders 0 10 100")
        self.bed.configure(segment_max__age="1s", log_level="debug", archiver_memory="much")
        where = next(number for number, line in enumerate(self.bed.config.read_text().splitlines(), 1) if "much" in line)
        service.hang_up()
        refused = service.wait("reload-refused")
        self.assertEqual(refused["error"], f"{self.bed.config}:{where}:19: 'archiver.memory' takes a size like 64K, 8M or 1G, not 'much'")
        self.bed.config.unlink()
        service.hang_up()
        service.wait("reload-refused", 2)
        time.sleep(1.3)
        self.assertEqual(service.all("cut-sealed") + service.all("option-changed") + service.all("reloaded"), [])
        self.assertFalse(any(line["level"] == "debug" for line in service.lines))
        service.stop()
        self.assertEqual(service.all("ended")[0]["events"], 10)

    def test_a_hub_that_is_included_now_is_captured_at_once_and_one_that_is_not_any_more_is_named(self):
        self.hub.tell("topic orders 1")
        self.hub.tell("topic sales 1")
        self.bed.configure(source_include="orders", source_discovery__interval="1d")
        service = self.bed.start()
        service.wait("ready")
        self.assertEqual(service.all("hub-captured", hub="sales"), [])
        self.bed.configure(source_include="sales", source_discovery__interval="1d")
        service.hang_up()
        service.wait("hub-captured", hub="sales")
        self.assertEqual([line["hub"] for line in service.all("hub-left-out")], ["orders"])
        self.assertEqual(service.all("reloaded")[0]["changed"], 1)
        service.hang_up()
        self.assertEqual(service.wait("reloaded", 2)["changed"], 0)
        self.hub.tell("fill sales 0 10 100")
        self.hub.tell("fill orders 0 10 100")
        service.stop()
        self.assertEqual(service.all("ended")[0]["hubs"], 2)

    def test_what_needs_a_restart_is_named_with_both_values_until_it_is_as_before(self):
        self.bed.configure(archiver_uploaders="2")
        service = self.bed.start(arguments=("--set", "segment.max-age=7s"))
        service.wait("ready")
        self.bed.configure(archiver_uploaders="3", source_group="others", segment_max__age="9s")
        for times in (1, 2):
            service.hang_up()
            self.assertEqual(service.wait("reloaded", times, needs_restart=2)["changed"], 0)
        self.assertEqual([(line["option"], line["old"], line["new"]) for line in service.all("option-needs-restart")],
                         [("source.group", "hubvault", "others"), ("archiver.uploaders", "2", "3")] * 2)
        self.bed.configure(archiver_uploaders="2")
        service.hang_up()
        service.wait("reloaded", needs_restart=0)
        service.stop()

    def test_less_memory_stops_reading_sooner_and_far_too_little_needs_a_restart(self):
        shaking = self.bed.folder / "shaking"
        shaking.write_text("0 0")
        self.hub.tell("topic orders 4")
        self.bed.configure(archiver_memory="64M", segment_codec="null")
        service = self.bed.start({"LD_PRELOAD": str(service_bed.SHAKEN), "SHAKEN": str(shaking)})
        service.wait("ready")
        self.bed.configure(archiver_memory="16M", segment_codec="null")
        service.hang_up()
        self.assertEqual(service.wait("option-needs-restart")["old"], "64M")
        self.bed.configure(archiver_memory="22M", segment_codec="null")
        service.hang_up()
        changed = service.wait("option-changed")
        self.assertEqual((changed["option"], changed["old"], changed["new"]), ("archiver.memory", "64M", "22M"))
        shaking.write_text("600000 0")
        for partition in range(4):      # 16 of 22 MiB are with the client library, so 6 are left
            self.hub.tell(f"fill orders {partition} 4 900000")
        paused = service.wait("polling-paused")
        self.assertLess(paused["memory_bytes"], 10 << 20)
        shaking.write_text("0 0")
        service.wait("polling-resumed")
        service.stop()

    def test_a_secret_that_cannot_be_read_again_is_told_and_the_rest_is_taken_over(self):
        secret = self.bed.folder / "secret"
        secret.write_text("one\n")
        login = {"source_auth": "plain", "source_tls": "no", "source_user": "u", "source_password__file": secret, "source_timeout": "1s"}
        self.bed.configure(source_assignment="group", **login)
        service = self.bed.start()
        service.wait("started")
        secret.write_text("tiger-7\n")
        service.hang_up()
        service.wait("reloaded")
        self.assertEqual(service.all("secret-kept"), [])
        secret.write_text("")
        self.bed.configure(source_assignment="group", log_level="debug", **login)
        service.hang_up()
        service.wait("reloaded", changed=1)
        self.assertEqual(service.all("secret-kept")[0]["error"], f"the password file '{secret}' is empty")
        service.kill()
        self.assertNotIn("tiger-7", "".join(service.raw))

    def test_it_is_safe_at_any_time(self):
        self.bed.configure(source_bootstrap="127.0.0.1:1")
        service = self.bed.start()
        service.wait("starting")
        for _ in range(20):             # while it opens what it needs, and while it waits for the broker
            service.hang_up()
            time.sleep(0.02)
        service.wait("reloaded")
        self.assertIsNone(service.process.poll())
        service.kill()
        self.hub.tell("topic orders 1")
        self.hub.tell("fill orders 0 1000 1000")
        self.bed.configure()
        service = self.bed.start()
        service.wait("ready")
        service.process.terminate()
        for _ in range(20):             # while it ends
            if service.process.poll() is None:
                service.hang_up()
        service.end()
        self.assertEqual(service.all("ended")[0]["stopped"], 0)

    def test_an_index_that_is_being_rebuilt_is_not_disturbed(self):
        self.hub.tell("topic orders 1")
        self.hub.tell("fill orders 0 100 100")
        self.bed.configure()
        first = self.bed.start()
        first.wait("ready")
        first.stop()
        self.bed.configure(index_dir="other")
        service = self.bed.start()
        service.wait("starting")
        while not service.all("ready"):
            service.hang_up()
            time.sleep(0.01)
        service.stop()
        self.assertEqual(service.all("index-rebuilt")[0]["problems"], 0)
        self.assertTrue(service.all("reloaded"))


if __name__ == "__main__":
    unittest.main()
