"""The real program as a service: what it answers to those who watch it."""
import json
import pathlib
import re
import socket
import subprocess
import unittest
import urllib.error
import urllib.request

import service_bed

SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? (-?[0-9.]+(?:e[+-]?[0-9]+)?)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def parse(text):
    """The text format 0.0.4, strictly: {name: {labels: value}}, {name: type}. Families are in one piece, with HELP and TYPE before them."""
    samples, types, family = {}, {}, None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            assert family not in types, f"{family} comes twice"
            types[family] = None
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and types[name] is None
            types[name] = kind
            continue
        name, labels, value = SAMPLE.match(line).groups()
        base = re.sub(r"_(bucket|sum|count)$", "", name) if types[family] == "histogram" else name
        assert base == family, line
        pairs = LABEL.findall(labels or "")
        assert "".join(f'{key}="{text}",' for key, text in pairs).rstrip(",") == (labels or ""), line
        key = tuple(sorted(pairs))
        assert key not in samples.setdefault(name, {}), f"{line} comes twice"
        samples[name][key] = float(value)
    return samples, types


class Case(unittest.TestCase):
    def setUp(self):
        self.bed = service_bed.Bed()
        self.addCleanup(self.bed.close)
        self.hub = self.bed.hub

    def start(self, environment=(), **options):
        self.bed.configure(**{"http_listen": "127.0.0.1:0", "archiver_snapshot__interval": "0s", **options})
        service = self.bed.start(environment)
        self.address = service.wait("http-listening")["address"]
        return service

    def get(self, path, status=200, method="GET", **headers):
        """Body and headers of an answer with that status."""
        request = urllib.request.Request(f"http://{self.address}{path}", headers=headers, method=method)
        try:
            answer = urllib.request.urlopen(request, timeout=service_bed.PATIENCE)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            self.assertEqual(answer.status, status)
            return answer.read().decode(), answer.headers

    def metrics(self):
        return parse(self.get("/metrics")[0])

    def until(self, holds, what, service):
        service_bed.wait_until(holds, what, service.raw)


class Watched(Case):
    def test_metrics_tell_exactly_what_was_captured(self):
        rows = {row["name"]: row for row in self.bed.query("metrics")}
        self.hub.tell("topic orders 2")
        self.hub.tell("fill orders 0 50 100")
        service = self.start(segment_max__age="1s", metrics_teams="sales=ord*", metrics_partitions="yes")
        service.wait("cut-sealed", hub="orders", partition=0)
        of = (("hub", "orders"), ("team", "sales"))
        self.until(lambda: self.metrics()[0]["hubvault_sealed_events_total"].get(of) == 50, "sealed events", service)
        samples, types = self.metrics()
        self.assertEqual({name: kind for name, kind in types.items()}, {name: rows[name]["type"] for name in types})
        absent = {"hubvault_headroom_seconds", "hubvault_last_error_timestamp_seconds"}
        self.assertLessEqual(rows.keys() - types.keys(), absent)
        for name, by_labels in samples.items():
            base = name if name in rows else re.sub(r"_(bucket|sum|count)$", "", name)
            for labels in by_labels:
                self.assertEqual({key for key, _ in labels} - {"le"}, set(rows[base]["labels"].split()), name)
        self.assertEqual(samples["hubvault_read_events_total"][of], 50)
        self.assertEqual(samples["hubvault_lag_events"][of], 0)
        self.assertEqual(samples["hubvault_cuts_total"][of], 1)
        self.assertEqual(samples["hubvault_hub_partitions"][of], 2)
        self.assertEqual(samples["hubvault_partition_position"][(("hub", "orders"), ("partition", "0"), ("team", "sales"))], 50)
        self.assertEqual(sum(samples["hubvault_gap_offsets_total"].values()), 0)
        self.assertEqual(samples["hubvault_ready"][()], 1)
        stored = sum(row["stored_bytes"] for row in self.bed.query("segments", "orders"))
        self.assertEqual(samples["hubvault_stored_bytes_total"][of], stored)
        puts = samples["hubvault_store_operations_total"][(("operation", "put"), ("result", "ok"))]
        self.assertGreaterEqual(puts, 2)                        # the marker was put before the meter was there; a claim and a segment
        self.assertEqual(samples["hubvault_store_put_duration_seconds_count"][()], samples["hubvault_store_put_duration_seconds_bucket"][(("le", "+Inf"),)])
        self.assertGreater(samples["hubvault_index_commit_duration_seconds_count"][()], 0)
        self.assertGreater(samples["process_resident_memory_bytes"][()], 1 << 20)
        self.assertLess(abs(samples["process_start_time_seconds"][()] - pathlib.Path(f"/proc/{service.process.pid}").stat().st_ctime), 60)
        service.stop()

    def test_status_is_json_with_every_partition(self):
        self.hub.tell("topic orders 2")
        self.hub.tell("fill orders 1 7 100")
        service = self.start(segment_max__age="1s")
        service.wait("cut-sealed", hub="orders", partition=1)
        self.until(lambda: json.loads(self.get("/status")[0]).get("hubs", [{}])[0].get("sealed_events") == 7, "status", service)
        status = json.loads(self.get("/status")[0])
        self.assertEqual([(p["partition"], p["sealed_below"], p["lag"]) for p in status["hubs"][0]["partitions"]], [(0, 0, 0), (1, 7, 0)])
        self.assertEqual((status["ready"], status["phase"], status["last_error"], status["not_ready_because"]), (True, "capturing", None, []))
        self.assertEqual(status["vault"], service.all("started")[0]["vault"])
        service.stop()

    def test_it_is_ready_when_the_source_has_told_its_hubs_and_says_why_not_before(self):
        service = self.start(source_bootstrap="127.0.0.1:1", source_timeout="1s")
        service.wait("started")
        body, headers = self.get("/readyz", 503)
        self.assertEqual(json.loads(body)["reasons"], ["waiting for the source to tell its hubs"])
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(self.get("/healthz")[0], "ok\n")
        service.wait("trouble")
        error = json.loads(self.get("/status")[0])["last_error"]
        self.until(lambda: error["text"] in [line["error"] for line in service.all("trouble")], "the same in the log", service)
        self.assertGreaterEqual(self.metrics()[0]["hubvault_retries_total"][(("operation", "ask"),)], 1)
        service.kill()
        service = self.start()
        service.wait("ready")
        self.assertEqual(json.loads(self.get("/readyz")[0]), {"ready": True, "phase": "capturing", "reasons": []})
        service.stop()

    def test_a_thread_that_hangs_makes_it_unhealthy_and_is_named(self):
        shaking = self.bed.folder / "shaking"
        shaking.write_text("0 0")
        self.hub.tell("topic orders 1")
        service = self.start({"LD_PRELOAD": str(service_bed.SHAKEN), "SHAKEN": str(shaking)}, segment_max__age="1s", archiver_stall__limit="1s")
        service.wait("ready")
        self.assertEqual(self.get("/healthz")[0], "ok\n")
        shaking.write_text("600000 0")
        self.hub.tell("fill orders 0 10 100")
        self.until(lambda: self.metrics()[0]["hubvault_threads_stalled"][()] > 0, "a stalled thread", service)
        self.assertRegex(self.get("/healthz", 503)[0], r"^thread uploader-\d+ has shown no progress for \d+ s\n$")
        shaking.write_text("0 0")
        service.wait("cut-sealed", hub="orders")
        self.until(lambda: self.metrics()[0]["hubvault_threads_stalled"][()] == 0, "that it goes on", service)
        self.assertEqual(self.get("/healthz")[0], "ok\n")
        service.stop()


class Polite(Case):
    def test_only_reading_is_possible_and_unknown_paths_are_told(self):
        service = self.start()
        self.assertIn("/metrics", self.get("/")[0])
        self.assertIn("/ lists", self.get("/nothing", 404)[0])
        self.assertEqual(self.get("/metrics", 405, "POST")[1]["Allow"], "GET, HEAD")
        body, headers = self.get("/metrics", method="HEAD")
        self.assertEqual((body, headers["Cache-Control"], headers["X-Content-Type-Options"]), ("", "no-store", "nosniff"))
        self.assertEqual(headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        answers = self.metrics()[0]["hubvault_http_requests_total"]
        self.assertEqual([answers[(("status", status),)] for status in ("200", "404", "405")], [2, 1, 1])
        service.stop()

    def test_a_page_that_calls_us_by_another_name_learns_nothing(self):
        service = self.start()
        port = self.address.rpartition(":")[2]
        for host in ("localhost", f"localhost:{port}", f"127.0.0.1:{port}", "127.1.2.3", f"[::1]:{port}"):
            self.get("/healthz", Host=host)
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "128.0.0.1", "[::2]", "x" * 300):
            self.assertNotIn("ok", self.get("/healthz", 421, Host=host)[0])
        service.stop()

    def test_many_slow_and_endless_askers_keep_nobody_from_capturing_or_asking_later(self):
        self.hub.tell("topic orders 1")
        service = self.start(segment_max__age="1s")
        service.wait("ready")
        host, _, port = self.address.rpartition(":")
        idle = [socket.create_connection((host, int(port))) for _ in range(200)]
        idle[0].sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + b"X-Long: " + b"x" * 100000)
        self.hub.tell("fill orders 0 10 100")
        service.wait("cut-sealed", hub="orders")
        for connection in idle:
            connection.close()
        self.until(lambda: self.answers(), "an answer", service)
        service.stop()

    def answers(self):
        try:
            return self.get("/healthz")[0] == "ok\n"
        except (OSError, urllib.error.URLError):
            return False


class Addresses(Case):
    def test_a_chosen_address_that_is_taken_ends_the_run_before_anything_is_captured(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.bed.configure(http_listen=f"127.0.0.1:{port}")
            service = self.bed.start()
            service.end(13)
        self.assertIn(f"hubvault: somebody else listens on http.listen = '127.0.0.1:{port}' already: choose another port", service.raw[-1])
        self.assertFalse((self.bed.folder / "vault").exists())

    def test_the_default_address_that_is_taken_is_told_and_done_without(self):
        with socket.socket() as taken:
            try:
                taken.bind(("127.0.0.1", 9464))
                taken.listen()
            except OSError:
                pass                                            # taken already, by somebody else of this machine
            self.bed.configure()
            service = self.bed.start()
            service.wait("http-off")
            service.wait("ready")
            service.stop()

    def test_off_is_off_and_ipv6_works_where_the_machine_has_it(self):
        self.bed.configure(http_listen="off")
        service = self.bed.start()
        service.wait("ready")
        self.assertEqual(service.all("http-listening") + service.all("http-off"), [])
        service.stop()
        if not pathlib.Path("/proc/net/if_inet6").exists() or "00000000000000000000000000000001" not in pathlib.Path("/proc/net/if_inet6").read_text():
            return
        service = self.start(http_listen="[::1]:0")
        self.assertEqual(self.get("/healthz")[0], "ok\n")
        service.stop()

    def test_what_is_no_address_is_refused_with_an_example(self):
        for wrong in ("localhost:9464", "127.0.0.1", "9464", "127.0.0.1:99999", "127.0.0.1:x", "[127.0.0.1]:1", "::1:80"):
            self.bed.configure(http_listen=wrong)
            done = subprocess.run([service_bed.HUBVAULT, "--config", self.bed.config, "run", "--once"], capture_output=True, text=True,
                                  timeout=service_bed.PATIENCE)
            self.assertEqual(done.returncode, 2)
            self.assertIn("like 127.0.0.1:9464", done.stderr)


if __name__ == "__main__":
    unittest.main()
