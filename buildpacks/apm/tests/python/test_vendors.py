"""Each vendor's agent, woken by the launch program and our start code, and what its backend gets of one request."""

import os
import pathlib
import shutil
import signal
import subprocess
import tomllib
import unittest

import intakes
from support import BARE, PATIENCE, SOURCE, VENVS, AgentTest, free_port, wait_for

TABLES = pathlib.Path(__file__).parents[2] / "src" / "vendors"
APP = """
import os, sys
from flask import Flask
app = Flask("app")
@app.route("/hello/<name>")
def hello(name):
    return "hello " + name
@app.route("/modules")
def modules():
    return " ".join(sys.modules)
"""


class VendorTest(AgentTest):
    """An image's layers as the build leaves them, with one agent."""

    VENDOR = PACKAGE = None
    LAYER = "layer"
    # Variables that name a backend where nobody listens.
    NOWHERE = {}

    def setUp(self):
        super().setUp()
        table = tomllib.loads((TABLES / self.VENDOR / "python.toml").read_text())
        self.layers = self.folder / "layers"
        self.layer = self.layers / self.VENDOR
        (self.layers / "config/exec.d").mkdir(parents=True)
        self.layer.mkdir()
        self.program = self.layers / "config/exec.d/packlight-agent"
        shutil.copy(os.environ["PACKLIGHT_TEST_PROGRAM"], self.program)
        (self.layers / "config/config.toml").write_text(
            '[identity]\n"service.name" = "my-app"\n"service.version" = "1.2"\n"deployment.environment.name" = "production"\n'
        )
        (self.layer / "agent.toml").write_text(
            f'vendor = "{self.VENDOR}"\nversion = "1"\ninstrumented = [{{ name = "flask", version = "3.1.3" }}]\n'
        )
        (self.layer / "python").symlink_to(SOURCE)
        (self.layer / "site-packages").symlink_to(VENVS / f"{self.LAYER}-{self.VENDOR}")
        rows = [{"name": row["name"], "import": row.get("import", ""), "class": ""} for row in table["library"]]
        self.manifest(rows, table.get("defaults", {}))
        self.write("app.py", APP)

    def launched(self, variables):
        """(the variables that the launch program adds, what it says), asked as the launcher asks it."""
        out = self.folder / "descriptor-3"
        command = ["bash", "-c", f"exec -a /cnb/process/web bash -c \"'{self.program}' 3>'{out}'; :\""]
        done = subprocess.run(command, env={"PATH": "/usr/bin:/bin", **variables}, capture_output=True, text=True, check=True)
        return tomllib.loads(out.read_text()), done.stderr

    def gunicorn(self, *options, **variables):
        variables = {name: str(value) for name, value in variables.items()}
        added, self.said = self.launched(variables)
        variables = {**variables, "PACKLIGHT_PYTHON_AGENT": None, "OTEL_SERVICE_NAME": None, **added}
        variables.pop("PACKLIGHT_AGENT_PID", None)
        port = free_port()
        process = self.start(BARE, "gunicorn", "-b", f"127.0.0.1:{port}", *options, "app:app", **variables)
        return process, port

    def script(self, **variables):
        """The app in one process of its own, which knows no signals."""
        added, self.said = self.launched({name: str(value) for name, value in variables.items()})
        added.pop("PACKLIGHT_AGENT_PID")
        port = free_port()
        self.write("serve.py", f"from wsgiref.simple_server import make_server\nfrom app import app\n"
                               f"make_server('127.0.0.1', {port}, app).serve_forever()\n")
        return self.start(BARE, "python", "serve.py", **{**variables, "OTEL_SERVICE_NAME": None, **added}), port

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
        return [line for line in (out + err).splitlines() if line and "[INFO]" not in line]


class Cases:
    """What is true of every vendor."""

    def test_with_nothing_named_nothing_wakes_and_nothing_is_said(self):
        process, port = self.gunicorn()
        modules = self.ask(port, "/modules").split()
        self.assertNotIn(self.PACKAGE, modules)
        self.assertNotIn("packlight_start", modules)
        self.assertEqual(self.end(process), [])
        self.assertEqual(self.said, "")

    def test_a_backend_that_is_not_there_leaves_the_app_answering_and_is_said_in_a_line(self):
        process, port = self.gunicorn(**self.NOWHERE)
        self.assertIn(f"packlight: {self.VENDOR} 1: by ", self.said)
        for number in range(20):
            self.assertEqual(self.ask(port, f"/hello/{number}"), f"hello {number}")
        self.assertIn(self.PACKAGE, self.ask(port, "/modules").split())
        lines = self.end(process)
        self.assertEqual(process.returncode, 0)
        # New Relic's agent tries for longer than this test lasts before it says a word.
        self.assertEqual(len(lines), 0 if self.VENDOR == "newrelic" else 1, lines)

    def test_a_package_that_raises_leaves_the_app_answering_with_one_line(self):
        (self.layer / "site-packages").unlink()
        broken = self.layer / "site-packages" / self.PACKAGE
        broken.mkdir(parents=True)
        (broken / "__init__.py").write_text("raise RuntimeError('broken')\n")
        process, port = self.gunicorn(**self.NOWHERE)
        self.assertEqual(self.ask(port, "/hello/you"), "hello you")
        lines = self.end(process)
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("RuntimeError: broken", lines[0])
        self.assertIn("the app runs without it", lines[0])


class Datadog(VendorTest, Cases):
    VENDOR, PACKAGE = "datadog", "ddtrace"
    NOWHERE = {"DD_TRACE_AGENT_URL": "http://127.0.0.1:9"}

    def test_a_request_arrives_at_datadogs_own_test_agent(self):
        agent = intakes.Datadog(self.folder)
        self.addCleanup(agent.end)
        # ddtrace 4 would send to an OTLP receiver instead, were it handed this.
        otlp = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
        process, port = self.gunicorn("-w", "2", DD_TRACE_AGENT_URL=f"http://127.0.0.1:{agent.port}", **otlp)
        self.ask(port, "/hello/you")
        spans = wait_for(lambda: [it for it in agent.spans() if it["name"] == "flask.request"], "a span")
        (span,) = spans
        self.assertEqual(span["resource"], "GET /hello/<name>")
        self.assertEqual((span["service"], span["meta"]["env"], span["meta"]["version"]), ("my-app", "production", "1.2"))
        self.end(process)

    def test_the_users_sitecustomize_runs_once_in_its_own_time(self):
        # Pythons path: where `coverage` and a user's own would be found.
        own = self.folder / "own"
        own.mkdir()
        (own / "sitecustomize.py").write_text("import sys; print('own', 'site' in sys.modules)\n")
        added, _ = self.launched(self.NOWHERE)
        added.pop("PACKLIGHT_AGENT_PID")
        text = "import sys; print('ddtrace' in sys.modules, sys.modules['sitecustomize'].__file__)"
        out, _ = self.python(BARE, text, **{**self.NOWHERE, "OTEL_SERVICE_NAME": None, **added, "PYTHONPATH": own})
        self.assertEqual(out.splitlines(), ["own True", f"True {own / 'sitecustomize.py'}"])


class NewRelic(VendorTest, Cases):
    VENDOR, PACKAGE = "newrelic", "newrelic"
    NOWHERE = {"NEW_RELIC_LICENSE_KEY": "key", "NEW_RELIC_HOST": "127.0.0.1", "NEW_RELIC_PORT": "9"}

    def test_a_request_arrives(self):
        intake = intakes.NewRelic(self.folder)
        self.addCleanup(intake.server_close)
        self.addCleanup(intake.shutdown)
        process, port = self.gunicorn(
            NEW_RELIC_LICENSE_KEY="key", NEW_RELIC_HOST="localhost", NEW_RELIC_PORT=intake.port,
            NEW_RELIC_CA_BUNDLE_PATH=intake.certificate, NEW_RELIC_STARTUP_TIMEOUT=PATIENCE,
        )
        # The first request waits for the registration: what comes before it is dropped by the agent.
        self.ask(port, "/hello/you")
        self.end(process)
        (connect,) = intake.of("connect")
        self.assertEqual(connect[0]["app_name"], ["my-app"])
        names = [event[0]["name"] for body in intake.of("analytic_event_data") for event in body[2]]
        self.assertIn("WebTransaction/Function/app:hello", names, intake.refused)
        self.assertEqual(intake.refused, [])


class Elastic(VendorTest, Cases):
    VENDOR, PACKAGE = "elastic", "elasticapm"
    NOWHERE = {"ELASTIC_APM_SERVER_URL": "http://127.0.0.1:9"}

    def test_a_request_arrives(self):
        intake = intakes.Elastic()
        self.addCleanup(intake.server_close)
        self.addCleanup(intake.shutdown)
        process, port = self.gunicorn("-w", "2", ELASTIC_APM_SERVER_URL=intake.url)
        self.ask(port, "/hello/you")
        self.end(process)
        ((metadata, transaction),) = intake.of("transaction")
        self.assertEqual(transaction["name"], "GET /hello/<name>")
        service = metadata["service"]
        self.assertEqual((service["name"], service["version"], service["environment"]), ("my-app", "1.2", "production"))
        self.assertEqual(intake.refused, [])


class Sentry(VendorTest, Cases):
    VENDOR, PACKAGE = "sentry", "sentry_sdk"
    NOWHERE = {"SENTRY_DSN": "http://key@127.0.0.1:9/7"}

    def test_a_request_arrives(self):
        intake = intakes.Sentry()
        self.addCleanup(intake.server_close)
        self.addCleanup(intake.shutdown)
        process, port = self.gunicorn("-w", "2", SENTRY_DSN=intake.dsn)
        self.ask(port, "/hello/you")
        self.end(process)
        (transaction,) = intake.of("transaction")
        self.assertEqual(transaction["request"]["url"], f"http://127.0.0.1:{port}/hello/you")
        self.assertEqual((transaction["release"], transaction["environment"]), ("1.2", "production"))
        self.assertEqual(intake.refused, [])

    def test_a_script_that_is_ended_by_a_signal_has_sent_its_last_request(self):
        intake = intakes.Sentry()
        self.addCleanup(intake.server_close)
        self.addCleanup(intake.shutdown)
        process, port = self.script(SENTRY_DSN=intake.dsn)
        self.ask(port, "/hello/you")
        # The next answer comes from the same thread: all of the first request is done.
        self.ask(port, "/hello/you")
        self.end(process)
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.assertNotEqual(intake.of("transaction"), [])


class OldestDatadog(Datadog):
    LAYER = "oldest"


class OldestNewRelic(NewRelic):
    LAYER = "oldest"


class OldestElastic(Elastic):
    LAYER = "oldest"


class OldestSentry(Sentry):
    LAYER = "oldest"


if __name__ == "__main__":
    unittest.main()
