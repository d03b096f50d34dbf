#!/usr/bin/env python3
"""Logging in to a real broker: an Event Hubs connection string over SASL_SSL, and tokens of a token endpoint that run out."""

import json
import subprocess
import sys
import time
import urllib.request

import bed
import broker
import token_server


class Auth(bed.LiveBed):
    secure = True
    stages = ("create", "shapes", "bulk")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.facts = cls.broker.facts()
        cls.dumps = cls.dump(["odd.shapes", "odd.bulk"], "original")

    def secret(self, name, text):
        path = self.work / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return path

    def captures(self, settings):
        self.config({"source.ca-file": self.broker.ca_file, "source.include": "odd.shapes,odd.bulk"} | settings)
        self.hubvault("run", "--once")
        self.archive()
        self.assert_archive_equals(self.dumps)

    def is_refused(self, settings, *secrets):
        self.config({"source.ca-file": self.broker.ca_file, "source.timeout": "5s"} | settings)
        done = self.hubvault("run", "--once", expect=7, timeout=60)
        failure = [line for line in done.stderr.splitlines() if line.startswith("hubvault:")]
        self.assertEqual(len(failure), 1, done.stderr)
        for secret in secrets:
            self.assertNotIn(secret, done.stdout + done.stderr)

    # ---- connection string ----

    def test_a_connection_string_over_sasl_ssl(self):
        self.captures({"source.bootstrap": self.broker.sasl_bootstrap, "source.auth": "connection-string",
                       "source.connection-string-file": self.secret("right", broker.CONNECTION_STRING)})

    def test_a_connection_string_with_a_hub_captures_that_hub_alone(self):
        self.config({"source.ca-file": self.broker.ca_file, "source.bootstrap": self.broker.oidc_bootstrap,
                     "source.auth": "connection-string",
                     "source.connection-string-file": self.secret("of-one-hub", broker.HUB_CONNECTION_STRING)})
        self.hubvault("run", "--once")
        self.assertEqual({hub for hub, _, _ in self.archive()}, {broker.ENTITY})
        self.assert_archive_equals({broker.ENTITY: self.dumps[broker.ENTITY]})

    def test_a_wrong_connection_string_is_refused_in_one_line_without_the_key(self):
        self.is_refused({"source.bootstrap": self.broker.sasl_bootstrap, "source.auth": "connection-string",
                         "source.connection-string-file": self.secret("wrong", broker.WRONG_CONNECTION_STRING)}, "bad+/w1th0dd")

    def test_user_and_password(self):
        self.captures({"source.bootstrap": self.broker.sasl_bootstrap, "source.auth": "plain", "source.user": "bob",
                       "source.password-file": self.secret("password", "pw")})

    def test_a_certificate_that_nobody_vouches_for_is_refused(self):
        self.config({"source.bootstrap": self.broker.sasl_bootstrap, "source.auth": "connection-string", "source.timeout": "5s",
                     "source.connection-string-file": self.secret("right", broker.CONNECTION_STRING)})
        done = self.hubvault("run", "--once", expect=None, timeout=60)
        self.assertIn(done.returncode, (7, 8), done.stderr)
        self.assertIn("certificate", done.stderr)
        self.assertEqual(self.segment_files(), [])

    # ---- tokens ----

    def token_endpoint(self, *options):
        """Runs until the end of the test."""
        port = self.facts["token_port"]
        server = subprocess.Popen([sys.executable, bed.parts.HERE / "token_server.py", "--dir", self.broker.work / "token", "--port",
                                   str(port), *options], stdin=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.issued()
                break
            except OSError:
                self.assertLess(time.monotonic(), deadline, "no token endpoint")
                time.sleep(0.05)
        return f"http://127.0.0.1:{port}"

    def machine(self, *options):
        return {"source.bootstrap": self.broker.oidc_bootstrap, "source.auth": "oauth", "oauth.method": "managed-identity",
                "oauth.scope": "hub/.default", "oauth.imds-endpoint": self.token_endpoint(*options)}

    def application(self, method, option, file):
        return {"source.bootstrap": self.broker.oidc_bootstrap, "source.auth": "oauth", "oauth.method": method,
                "oauth.authority": self.token_endpoint(), "oauth.tenant": "tenant", "oauth.client-id": token_server.CLIENT_ID,
                "oauth.scope": "hub/.default", option: file}

    def issued(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.facts['token_port']}/issued", timeout=5) as answer:
            return [one["way"] for one in json.load(answer)]

    def test_a_token_for_a_client_secret(self):
        self.captures(self.application("client-secret", "oauth.client-secret-file", self.broker.work / "token" / "client-secret"))
        self.assertIn("secret", self.issued())

    def test_a_token_for_a_federated_assertion(self):
        self.captures(self.application("workload-identity", "oauth.token-file", self.broker.work / "token" / "assertion"))
        self.assertIn("assertion", self.issued())

    def test_a_token_of_the_machine(self):
        self.captures(self.machine())
        self.assertIn("imds", self.issued())

    def test_a_token_endpoint_that_is_down_at_first_is_asked_again(self):
        self.captures(self.machine("--fail-first", "2"))

    def test_a_wrong_client_secret_is_refused_in_one_line_without_the_secret(self):
        self.is_refused(self.application("client-secret", "oauth.client-secret-file", self.secret("wrong-secret", "n0t-the-secret")),
                        "n0t-the-secret")

    def test_tokens_that_run_out_while_running_cost_no_event(self):
        settings = self.machine("--lifetime", "8")
        producer, log = self.produce(500)
        self.config({"source.ca-file": self.broker.ca_file, "source.include": "live", "segment.max-age": "1s"} | settings)
        running = self.hubvault_start("run")
        time.sleep(25)
        self.assertTrue(self.wait_for_segment(running, 30), running.text()[-2000:])
        self.stop(producer)
        self.assertEqual(running.end("TERM"), 0, running.text()[-2000:])
        self.assertGreaterEqual(len(self.issued()), 3)
        self.hubvault("run", "--once")
        self.assertGreater(self.verify(log), 5000)


if __name__ == "__main__":
    bed.main()
