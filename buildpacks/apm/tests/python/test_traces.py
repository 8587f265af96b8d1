"""What the app asks for others continues its trace: HTTP, redis, and a thousand tasks of celery's."""

import collections
import http.client
import signal
import tomllib
import unittest

from support import PATIENCE, SOURCE, VENVS, AgentTest, free_port, wait_for

APP, TASK_COUNT = "servers", 1000
TABLE = SOURCE.parent / "src/vendors/opentelemetry/python.toml"
FLASK = """
from flask import Flask
app = Flask("app")
@app.route("/<number>")
def hello(number):
    return number
"""
TASKS = """
import time
import redis
from celery import Celery
app = Celery("tasks", broker="%s")
app.conf.worker_max_tasks_per_child = 100
store = redis.Redis.from_url("%s/1")
@app.task(ignore_result=True)
def add(n):
    store.incr("done")
def wait(count):
    while int(store.get("done") or 0) < count:
        time.sleep(0.05)
"""
CALLER = """
import httpx, requests
from flask import Flask
import tasks
app = Flask("app")
@app.route("/<number>")
def hello(number):
    requests.get("http://127.0.0.1:%d/1", timeout=30)
    httpx.get("http://127.0.0.1:%d/2")
    tasks.store.set("number", number)
    tasks.add.delay(number)
    return number
"""


def ask(port, number):
    """Asks as part of the trace that has the number for its id; None while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", f"/{number}", headers={"traceparent": f"00-{number:032x}-{1:016x}-01"})
        return connection.getresponse().read().decode()
    except ConnectionError:
        return None
    finally:
        connection.close()


class Traces(AgentTest):
    def setUp(self):
        super().setUp()
        (self.layer / "site-packages").unlink()
        (self.layer / "site-packages").symlink_to(VENVS / "layer-servers")
        table = tomllib.loads(TABLE.read_text())
        rows = [it for it in table["library"] if it["name"] in ("flask", "requests", "httpx", "redis", "celery")]
        self.manifest([{key: row[key] for key in ("name", "import", "class", "before") if key in row} for row in rows])

    def test_every_task_of_a_thousand_is_told_once_in_the_trace_of_who_sent_it(self):
        """A thousand tasks, in children that are replaced after a hundred, and the caller's trace goes on in each."""
        sink = self.sink()
        broker = self.redis()
        self.write("tasks.py", TASKS % (broker, broker))
        variables = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": sink.url + "/v1/traces", "PYTHONPATH": self.folder}
        process = self.start(APP, "celery", "-A", "tasks", "worker", "-c", "2", "-l", "ERROR", C_FORCE_ROOT=1, **variables)
        self.run_app(APP, "python", self.write("send.py", f"import tasks\nfor n in range({TASK_COUNT}): tasks.add.delay(n)\n"), **variables)
        self.run_app(APP, "python", self.write("wait.py", f"import tasks\ntasks.wait({TASK_COUNT})\n"))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
        spans = [span for span, _ in sink.spans()]
        sent = {span.span_id: span.trace_id for span in spans if span.name == "apply_async/tasks.add"}
        ran = [span for span in spans if span.name == "run/tasks.add"]
        self.assertEqual((len(sent), len(ran)), (TASK_COUNT, TASK_COUNT), err[-3000:])
        self.assertEqual(collections.Counter(span.parent_span_id for span in ran), dict.fromkeys(sent, 1))
        self.assertEqual({sent[span.parent_span_id] == span.trace_id for span in ran}, {True})

    def test_a_trace_runs_on_through_requests_httpx_redis_and_celery(self):
        sink, port, inner = self.sink(), free_port(), free_port()
        broker = self.redis()
        self.write("tasks.py", TASKS % (broker, broker))
        self.write("app.py", CALLER % (inner, inner))
        self.write("inner.py", FLASK)
        variables = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": sink.url + "/v1/traces", "PYTHONPATH": self.folder,
        }
        ends = [
            self.start(APP, "gunicorn", "-b", f"127.0.0.1:{at}", f"{name}:app", **variables, OTEL_SERVICE_NAME=name)
            for name, at in (("app", port), ("inner", inner))
        ]
        ends.append(self.start(
            APP, "celery", "-A", "tasks", "worker", "-c", "1", C_FORCE_ROOT=1, **variables, OTEL_SERVICE_NAME="worker"))
        self.ask(inner, "/0")
        self.assertEqual(wait_for(lambda: ask(port, 7), "an answer"), "7")
        self.run_app(APP, "python", self.write("wait.py", "import tasks\ntasks.wait(1)\n"))
        for process in ends:
            process.send_signal(signal.SIGTERM)
        errors = [process.communicate(timeout=PATIENCE)[1] for process in ends]
        trace = [(span, resource["service.name"]) for span, resource in sink.spans() if int.from_bytes(span.trace_id, "big") == 7]
        names = {span.span_id: f"{service} {span.name}" for span, service in trace}
        edges = collections.Counter(
            (names.get(span.parent_span_id, "the client"), f"{service} {span.name}") for span, service in trace
        )
        serves = "app GET /<number>"
        for edge, times in {
            ("the client", serves): 1,
            (serves, "app GET"): 2,
            ("app GET", "inner GET /<number>"): 2,
            (serves, "app SET"): 1,
            (serves, "app apply_async/tasks.add"): 1,
            ("app apply_async/tasks.add", "worker run/tasks.add"): 1,
            ("worker run/tasks.add", "worker INCRBY"): 1,
        }.items():
            self.assertEqual(edges[edge], times, (edge, edges, errors))


if __name__ == "__main__":
    unittest.main()
