#!/usr/bin/env python3
"""The broker is killed, stopped and hung under a running capture and a running producer; nothing is lost or doubled."""

import time

import bed


class BrokerFaults(bed.LiveBed):
    def test_a_broker_that_dies_restarts_and_hangs_costs_no_event(self):
        producer, log = self.produce(500)
        self.config({"segment.max-bytes": "64K", "segment.max-age": "1s", "source.discovery-interval": "1s"})
        running = self.hubvault_start("run")
        time.sleep(4)
        self.broker.kill()
        time.sleep(2)
        self.broker.start()
        time.sleep(4)
        self.broker.pause()
        time.sleep(12)
        self.broker.resume()
        time.sleep(3)
        self.broker.stop()
        self.broker.start()
        # Capture goes on by itself: it has to catch up with what is produced after the last fault.
        self.assertTrue(self.wait_for_segment(running, 60), running.text()[-2000:])
        time.sleep(4)
        self.stop(producer)
        self.assertIsNone(running.process.poll(), running.text()[-2000:])
        self.assertEqual(running.end("TERM"), 0, running.text()[-2000:])
        self.hubvault("run", "--once")
        self.assertGreater(self.verify(log), 1000)

    def test_without_a_broker_run_once_says_so_in_one_line(self):
        port = bed.parts.free_ports(1)[0]
        self.config({"source.bootstrap": f"127.0.0.1:{port}", "source.timeout": "2s"})
        done = self.hubvault("run", "--once", expect=8, timeout=60)
        failure = [line for line in done.stderr.splitlines() if line.startswith("hubvault:")]
        self.assertEqual(len(failure), 1, done.stderr)
        self.assertIn(f"127.0.0.1:{port}", failure[0])


if __name__ == "__main__":
    bed.main()
