"""What the agent's tests share: environments made by tests/agent.rs, apps started as an image starts them, a receiver."""

import gzip
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request

SOURCE = pathlib.Path(__file__).parents[2] / "python"
VENVS = pathlib.Path(os.environ["PACKLIGHT_TEST_VENVS"])
# What an app may have: nothing of OpenTelemetry, or one of these pinned by itself.
BARE, PINNED = "bare", ("sdk120", "sdk127", "newest")
PATIENCE = 60


def wait_for(condition, what):
    """Waits as long as a slow machine may need."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.02)
    return found


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Sink(http.server.ThreadingHTTPServer):
    """An OTLP receiver: keeps what it gets; `answers` are given first, then 200."""

    def __init__(self, answers=()):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.requests = list(answers), []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def messages(self, path, kind):
        return [kind.FromString(body) for at, _, body in list(self.requests) if at == path]

    def spans(self):
        """(span, resource attributes) of everything that was accepted."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        return [
            (span, attributes(group.resource.attributes))
            for message in self.messages("/v1/traces", ExportTraceServiceRequest)
            for group in message.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def logs(self):
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

        return [
            record
            for message in self.messages("/v1/logs", ExportLogsServiceRequest)
            for group in message.resource_logs
            for scope in group.scope_logs
            for record in scope.log_records
        ]

    def metrics(self):
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        return {
            metric.name: metric
            for message in self.messages("/v1/metrics", ExportMetricsServiceRequest)
            for group in message.resource_metrics
            for scope in group.scope_metrics
            for metric in scope.metrics
        }


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        status, headers = self.server.answers.pop(0) if self.server.answers else (200, {})
        if status == 200:
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            self.server.requests.append((self.path, dict(self.headers.items()), body))
        self.send_response(status)
        for name, value in {**headers, "content-length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


def attributes(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}


class AgentTest(unittest.TestCase):
    """Each test has a folder for its app and a layer for its agent."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.layer = self.folder / "layer"
        self.layer.mkdir()
        (self.layer / "python").symlink_to(SOURCE)
        (self.layer / "site-packages").symlink_to(VENVS / "layer")
        rows = [("flask", "flask", "flask:FlaskInstrumentor"), ("requests", "requests", "requests:RequestsInstrumentor")]
        self.manifest([
            {"name": name, "import": module, "class": f"opentelemetry.instrumentation.{kind}"} for name, module, kind in rows
        ])

    def manifest(self, rows, defaults={"OTEL_SEMCONV_STABILITY_OPT_IN": "http"}):
        (self.layer / "manifest.json").write_text(json.dumps({
            "schema": 1, "agent": "opentelemetry", "version": "0",
            "defaults": defaults, "instrumentations": rows,
        }))

    def sink(self, answers=()):
        sink = Sink(answers)
        self.addCleanup(sink.server_close)
        self.addCleanup(sink.shutdown)
        return sink

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return name

    def start(self, venv, *command, shell="exec", **variables):
        """Starts a command of the environment as the launcher does: the process it becomes has the id that was told."""
        line = 'export PACKLIGHT_AGENT_PID=$$; exec "$@"' if shell == "exec" else 'export PACKLIGHT_AGENT_PID=$$; "$@"; exit $?'
        env = {
            "PATH": f"{VENVS / venv / 'bin'}:/usr/bin:/bin", "HOME": str(self.folder), "PYTHONUNBUFFERED": "1",
            "PACKLIGHT_PYTHON_AGENT": str(self.layer / "python"), "OTEL_SERVICE_NAME": "my-app",
            "PYTHONDONTWRITEBYTECODE": "1", **variables,
        }
        env = {name: str(value) for name, value in env.items() if value is not None}
        process = subprocess.Popen(
            ["bash", "-c", line, "bash", *command], cwd=self.folder, env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )

        def end():
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.communicate()

        self.addCleanup(end)
        return process

    def run_app(self, venv, *command, status=0, **variables):
        """Runs it to its end: (stdout, stderr)."""
        process = self.start(venv, *command, **variables)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, status, err)
        return out, err

    def redis(self):
        """A broker as celery's users have it: with one that it cannot wait for without threads (`filesystem://`), celery 5.7
        itself hangs now and then when it is told to end while it replaces a child, with or without an agent."""
        port = free_port()
        server = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", self.folder],
            stdout=subprocess.DEVNULL,
        )
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        wait_for(lambda: answers(port), "the broker")
        return f"redis://127.0.0.1:{port}"

    def python(self, venv, text, **variables):
        return self.run_app(venv, "python", self.write("script.py", text), **variables)

    def ask(self, port, path="/"):
        def answer():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as response:
                    return response.read().decode()
            except (ConnectionError, urllib.error.URLError):
                return None

        return wait_for(answer, f"an answer on port {port}")


def printed(out):
    """The spans of ConsoleSpanExporter's output."""
    decoder, spans, position = json.JSONDecoder(), [], out.find("{")
    while position >= 0:
        span, position = decoder.raw_decode(out, position)
        spans.append(span)
        position = out.find("{", position)
    return spans
