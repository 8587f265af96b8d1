"""Where vendors' agents send to: Datadog's own test agent, and stand-ins that speak what New Relic's, Elastic's and Sentry's
agents say. A stand-in refuses what it does not know, so that a path or an encoding nobody reads is not taken for delivered.
"""

import gzip
import http.server
import json
import ssl
import subprocess
import threading
import urllib.parse
import urllib.request
import zlib

from support import VENVS, free_port, wait_for


class Intake(http.server.ThreadingHTTPServer):
    """`take(path, headers, body)` returns (status, JSON) or None for what it does not know."""

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = self.server_address[1]
        self.refused = []
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that hangs up


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _body(self):
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _answer(self):
        body = _decoded(self._body(), self.headers.get("content-encoding", "identity").lower())
        found = self.server.take(self.command, self.path, self.headers, body)
        if found is None:
            self.server.refused.append(f"{self.command} {self.path.partition('?')[0]}")
            found = (404, {})
        status, answer = found
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, *_):
        pass


def _decoded(body, encoding):
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    if encoding != "identity":
        raise ValueError(encoding)
    return body


class Elastic(Intake):
    """https://www.elastic.co/docs/solutions/observability/apm/elastic-apm-events-intake-api"""

    def __init__(self):
        super().__init__()
        self.events = []
        self.url = f"http://127.0.0.1:{self.port}"

    def take(self, method, path, headers, body):
        if (method, path) == ("GET", "/"):
            return 200, {"build_date": "2026-01-01T00:00:00Z", "version": "8.19.0"}
        if method in ("GET", "POST") and path.startswith("/config/v1/agents"):
            return 200, {}
        if (method, path) != ("POST", "/intake/v2/events") or headers["content-type"] != "application/x-ndjson":
            return None
        lines = [json.loads(line) for line in body.splitlines() if line]
        if list(lines[0]) != ["metadata"]:
            return 400, {"accepted": 0, "errors": [{"message": "metadata comes first"}]}
        self.events += [(lines[0]["metadata"], event) for event in lines[1:]]
        return 202, {}

    def of(self, kind):
        return [(metadata, event[kind]) for metadata, event in list(self.events) if kind in event]


class Sentry(Intake):
    """https://develop.sentry.dev/sdk/foundations/transport/envelopes/"""

    def __init__(self):
        super().__init__()
        self.items = []
        self.dsn = f"http://key@127.0.0.1:{self.port}/7"

    def take(self, method, path, headers, body):
        if (method, path) != ("POST", "/api/7/envelope/") or "sentry_key=key" not in headers.get("x-sentry-auth", ""):
            return None
        header, _, rest = body.partition(b"\n")
        json.loads(header)
        while rest.strip():
            head, _, rest = rest.partition(b"\n")
            item = json.loads(head)
            payload, rest = (rest[: item["length"]], rest[item["length"] + 1 :]) if "length" in item else rest.split(b"\n", 1)
            self.items.append((item["type"], payload))
        return 200, {}

    def of(self, kind):
        return [json.loads(payload) for name, payload in list(self.items) if name == kind]


class NewRelic(Intake):
    """The collector, as far as an agent needs it to be content: TLS, one path, one method a request.

    https://github.com/newrelic/newrelic-python-agent/blob/main/newrelic/core/agent_protocol.py
    """

    NOTHING = (
        "agent_settings", "agent_command_results", "get_agent_commands", "shutdown", "metric_data", "analytic_event_data",
        "span_event_data", "error_data", "error_event_data", "transaction_sample_data", "sql_trace_data", "log_event_data",
        "custom_event_data", "profile_data", "update_loaded_modules", "ml_event_data",
    )

    def __init__(self, folder):
        self.certificate = folder / "cert.pem"
        key = folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", self.certificate],
            check=True, capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.calls = []
        super().__init__(context)

    def take(self, method, path, headers, body):
        address = urllib.parse.urlsplit(path)
        query = urllib.parse.parse_qs(address.query)
        if (method, address.path) != ("POST", "/agent_listener/invoke_raw_method") or query.get("license_key") != ["key"]:
            return None
        (name,) = query["method"]
        self.calls.append((name, json.loads(body or b"[]")))
        if name == "preconnect":
            return 200, {"return_value": {"redirect_host": "localhost"}}
        if name == "connect":
            return 200, {"return_value": {"agent_run_id": "run", "application_id": "1", "account_id": "1"}}
        return (200, {"return_value": [] if name == "get_agent_commands" else None}) if name in self.NOTHING else None

    def of(self, name):
        return [body for method, body in list(self.calls) if method == name]


class Datadog:
    """Datadog's own test agent, which keeps what ddtrace sends. https://github.com/DataDog/dd-apm-test-agent"""

    def __init__(self, folder):
        self.port = free_port()
        command = [VENVS / "testagent/bin/ddapm-test-agent", "--host", "127.0.0.1", "--port", str(self.port), "--otlp-http-port", str(free_port()),
                   "--otlp-grpc-port", str(free_port())]
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        )
        wait_for(self._is_up, "Datadog's test agent")

    def _is_up(self):
        if self.process.poll() is not None:
            raise AssertionError("Datadog's test agent has ended")
        try:
            return self.spans() is not None
        except OSError:
            return False

    def spans(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/test/traces", timeout=10) as response:
            return [span for trace in json.load(response) for span in trace]

    def end(self):
        self.process.kill()
        self.process.wait()
