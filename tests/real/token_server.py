#!/usr/bin/env python3
"""A token endpoint for the OIDC listener of the test broker: RS256, signed by openssl, loopback only.

    token_server.py --dir DIR --port N [--lifetime SECONDS] [--fail-first N]

DIR gets token.key and jwks.json unless they are there (broker.py makes them too, so either may come first). Served are
    POST .../oauth2/v2.0/token              client credentials: a secret, or a federated assertion (the content of DIR/assertion)
    GET  /metadata/identity/oauth2/token    the instance metadata service of a virtual machine, with its header "Metadata: true"
    GET  /jwks.json, /issued                the key; how often a token was given, and for what
"""

import argparse
import base64
import http.server
import json
import os
import pathlib
import secrets
import subprocess
import time
import urllib.parse

AUDIENCE = "hub"
CLIENT_ID = "hubvault-test"
CLIENT_SECRET = "s3cret/+="
ASSERTION = "federated.assertion.text"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY_ID = "test-key"


def issuer(port):
    return f"http://127.0.0.1:{port}/"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_key(folder):
    """The signing key, its public half for the broker, and the files that a client would be given. Kept if they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / "token.key"
    if (folder / "jwks.json").exists():
        return
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    said = subprocess.run(["openssl", "rsa", "-in", key, "-noout", "-modulus"], check=True, capture_output=True, text=True)
    modulus = bytes.fromhex(said.stdout.strip().partition("=")[2])
    jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": base64url(modulus), "e": base64url(b"\1\0\1")}
    for name, text in (("client-secret", CLIENT_SECRET), ("assertion", ASSERTION)):
        with open(folder / name, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(text)
    (folder / "jwks.json").write_text(json.dumps({"keys": [jwk]}))


def sign(folder, claims):
    head = {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
    text = ".".join(base64url(json.dumps(part).encode()) for part in (head, claims))
    done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", folder / "token.key"], input=text.encode(), check=True,
                          capture_output=True)
    return f"{text}.{base64url(done.stdout)}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *arguments):
        pass

    def reply(self, status, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def token(self, way):
        now = int(time.time())
        claims = {"iss": issuer(self.server.server_port), "sub": CLIENT_ID, "aud": AUDIENCE, "iat": now, "nbf": now - 5,
                  "exp": now + self.server.lifetime, "jti": secrets.token_hex(8), "scope": "read"}
        self.server.issued.append({"way": way, "at": now})
        return sign(self.server.folder, claims), now

    def fails_now(self):
        if self.server.failures == 0:
            return False
        self.server.failures -= 1
        self.reply(503, {"error": "temporarily_unavailable"})
        return True

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        if url.path == "/jwks.json":
            self.reply(200, (self.server.folder / "jwks.json").read_bytes())
        elif url.path == "/issued":
            self.reply(200, self.server.issued)
        elif url.path == "/metadata/identity/oauth2/token":
            self.instance_metadata(urllib.parse.parse_qs(url.query))
        else:
            self.reply(404, {"error": "not_found"})

    def instance_metadata(self, query):
        if self.headers.get("Metadata", "").lower() != "true":
            self.reply(400, {"error": "bad_request_102", "error_description": "Required metadata header not specified"})
        elif "api-version" not in query or "resource" not in query:
            self.reply(400, {"error": "invalid_request"})
        elif not self.fails_now():
            token, now = self.token("imds")
            # Numbers as strings, as the service sends them.
            self.reply(200, {"access_token": token, "expires_in": str(self.server.lifetime), "token_type": "Bearer",
                             "expires_on": str(now + self.server.lifetime), "resource": query["resource"][0]})

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        form = dict(urllib.parse.parse_qsl(self.rfile.read(min(length, 1 << 16)).decode()))
        if not urllib.parse.urlparse(self.path).path.endswith("/oauth2/v2.0/token"):
            self.reply(404, {"error": "not_found"})
        elif form.get("grant_type") != "client_credentials" or "scope" not in form:
            self.reply(400, {"error": "unsupported_grant_type"})
        elif not (way := self.proof(self.basic() | form)):
            self.reply(401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."})
        elif not self.fails_now():
            token, _ = self.token(way)
            self.reply(200, {"access_token": token, "expires_in": self.server.lifetime, "token_type": "Bearer"})

    def basic(self):
        """Id and secret from HTTP basic authentication, which is how Kafka's Java client sends them."""
        scheme, _, text = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return {}
        user, _, password = base64.b64decode(text).decode().partition(":")
        return {"client_id": user, "client_secret": password}

    @staticmethod
    def proof(form):
        if form.get("client_id") != CLIENT_ID:
            return None
        if form.get("client_secret") == CLIENT_SECRET:
            return "secret"
        if form.get("client_assertion_type") == ASSERTION_TYPE and form.get("client_assertion") == ASSERTION:
            return "assertion"
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", required=True, type=pathlib.Path)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--lifetime", type=int, default=15)
    parser.add_argument("--fail-first", type=int, default=0)
    arguments = parser.parse_args()
    make_key(arguments.dir)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    server.folder, server.lifetime, server.failures, server.issued = arguments.dir, arguments.lifetime, arguments.fail_first, []
    server.serve_forever()


if __name__ == "__main__":
    main()
