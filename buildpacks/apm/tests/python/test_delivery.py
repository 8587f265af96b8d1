"""What is asked for arrives, once, from every process; and what cannot is said in a line."""

import collections
import json
import os
import re
import signal
import socket
import unittest
import urllib.request

from support import BARE, PATIENCE, AgentTest, free_port, wait_for

APP = """
import logging, os
from flask import Flask
app = Flask("app")
@app.route("/<number>")
def hello(number):
    logging.getLogger("mine").warning("hello %s", number, extra={"n": int(number)})
    return str(os.getpid())
"""
ONE_REQUEST = APP + "app.test_client().get('/1')\n"


class Delivery(AgentTest):
    def gunicorn(self, *options, **variables):
        self.write("app.py", APP)
        port = free_port()
        return self.start(BARE, "gunicorn", "-b", f"127.0.0.1:{port}", *options, "app:app", **variables), port

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
        return out, err

    def test_every_request_arrives_once_from_several_workers(self):
        for options in (["-w", "3"], ["-w", "3", "--preload"]):
            with self.subTest(options):
                sink = self.sink()
                process, port = self.gunicorn(*options, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=sink.url + "/v1/traces")
                pids = {self.ask(port, f"/{number}") for number in range(60)}
                _, err = self.end(process)
                spans = sink.spans()
                paths = collections.Counter(
                    next(it.value.string_value for it in span.attributes if it.key == "url.path") for span, _ in spans
                )
                self.assertEqual(paths, {f"/{number}": 1 for number in range(60)}, err)
                seen = {(resource["service.instance.id"], str(resource["process.pid"])) for _, resource in spans}
                self.assertEqual({pid for _, pid in seen}, pids)
                self.assertEqual(len({name for name, _ in seen}), len(pids))

    def test_all_signals_go_to_a_base_endpoint(self):
        sink = self.sink()
        self.python(BARE, ONE_REQUEST, OTEL_EXPORTER_OTLP_ENDPOINT=sink.url)
        [(span, resource)] = sink.spans()
        self.assertEqual((span.name, resource["service.name"]), ("GET /<number>", "my-app"))
        [record] = [it for it in sink.logs() if it.severity_text == "WARNING"]
        self.assertEqual((record.body.string_value, record.severity_number), ("hello 1", 13))
        self.assertEqual((record.trace_id, record.span_id), (span.trace_id, span.span_id))
        duration = sink.metrics()["http.server.request.duration"]
        self.assertEqual(duration.histogram.data_points[0].count, 1)

    def test_the_traces_endpoint_alone_turns_on_only_traces(self):
        sink = self.sink()
        self.python(BARE, ONE_REQUEST, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=sink.url + "/mine")
        self.assertEqual({path for path, _, _ in sink.requests}, {"/mine"})

    def test_spans_go_to_zipkin_in_its_own_format(self):
        sink = self.sink()
        app = APP + """
@app.route("/broken")
def broken():
    raise ValueError("no")
app.test_client().get("/1")
app.test_client().get("/broken")
"""
        _, err = self.python(
            BARE, app, OTEL_TRACES_EXPORTER="zipkin", OTEL_EXPORTER_ZIPKIN_ENDPOINT=sink.url + "/api/v2/spans",
        )
        self.assertEqual({path for path, _, _ in sink.requests}, {"/api/v2/spans"}, err)
        spans = [span for _, _, body in sink.requests for span in json.loads(body)]
        found = {span["name"]: span for span in spans}
        good, bad = found["GET /<number>"], found["GET /broken"]
        self.assertEqual((good["kind"], good["localEndpoint"]), ("SERVER", {"serviceName": "my-app"}))
        self.assertEqual((len(good["traceId"]), len(good["id"])), (32, 16))
        self.assertEqual(good["tags"]["http.response.status_code"], "200")
        self.assertGreater(good["duration"], 0)
        self.assertNotIn("error", good["tags"])
        self.assertIn("ValueError", bad["tags"]["error"])
        self.assertIn("exception", bad["annotations"][0]["value"])

    def scrape(self, port, wanted):
        """The page, once `wanted(page)` is true."""

        def page():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
                    text = response.read().decode()
            except OSError:
                return None
            return text if wanted(text) else None

        return wait_for(page, "a page for Prometheus")

    def test_prometheus_asks_one_port_and_gets_the_sum_of_all_workers(self):
        metrics = free_port()
        count = r'http_server_request_duration_seconds_count\{[^}]*http_route="/<number>"[^}]*\} (\d+)'

        def counted(page):
            return sum(int(it) for it in re.findall(count, page))

        for options in (["-w", "3"], ["-w", "3", "--preload"], ["-w", "2", "--max-requests", "7"]):
            with self.subTest(options):
                process, port = self.gunicorn(
                    *options, OTEL_METRICS_EXPORTER="prometheus", OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
                    OTEL_EXPORTER_PROMETHEUS_PORT=metrics,
                )
                pids, asked = set(), 0
                while asked < 60 or len(pids) < 2:
                    pids.add(self.ask(port, f"/{asked}"))
                    asked += 1
                page = self.scrape(metrics, lambda page: counted(page) == asked)
                self.assertIn("# TYPE http_server_request_duration_seconds histogram", page)
                self.assertIn('http_server_request_duration_seconds_bucket{', page)
                self.assertIn('target_info{', page)
                self.assertIn('service_name="my-app"', page)
                # Whoever has the port may go: another one answers, and nothing that was counted is lost.
                if "--max-requests" not in options:
                    for pid in pids:
                        os.kill(int(pid), signal.SIGTERM)
                    self.ask(port, "/1")
                    self.scrape(metrics, lambda page: counted(page) == asked + 1)
                self.end(process)

    def test_json_gzip_and_headers_are_sent_as_asked(self):
        sink = self.sink()
        self.python(
            BARE, ONE_REQUEST, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=sink.url + "/v1/traces",
            OTEL_EXPORTER_OTLP_PROTOCOL="http/json", OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
            OTEL_EXPORTER_OTLP_HEADERS="authorization=Basic%20abc,x=y",
        )
        [(_, headers, body)] = sink.requests
        headers = {name.lower(): value for name, value in headers.items()}
        self.assertEqual((headers["content-type"], headers["content-encoding"]), ("application/json", "gzip"))
        self.assertEqual((headers["authorization"], headers["x"]), ("Basic abc", "y"))
        [group] = json.loads(body)["resourceSpans"]
        self.assertRegex(group["scopeSpans"][0]["spans"][0]["traceId"], "^[0-9a-f]{32}$")

    def test_a_refusal_that_may_pass_is_tried_again(self):
        sink = self.sink([(503, {"retry-after": "0"}), (429, {})])
        text = ONE_REQUEST + "import time\nend = time.time() + 60\nwhile not os.path.exists('done') and time.time() < end: time.sleep(0.05)\n"
        self.write("script.py", text)
        process = self.start(BARE, "python", "script.py", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=sink.url + "/v1/traces")
        wait_for(sink.spans, "the span after two refusals")
        (self.folder / "done").touch()
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((len(sink.spans()), process.returncode), (1, 0))
        self.assertIn("packlight: spans wait: ", err)

    def test_a_failure_is_a_line_without_secrets(self):
        cases = [
            (404, "/x", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it is, and receivers listen on /v1/traces"),
            (401, "/v1/traces", "answered 401"),
        ]
        for status, path, words in cases:
            with self.subTest(status):
                sink = self.sink([(status, {})])
                url = sink.url.replace("://", "://user:hunter2@") + path + "?key=hunter2"
                _, err = self.python(BARE, ONE_REQUEST, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=url, OTEL_EXPORTER_OTLP_HEADERS="k=hunter2")
                self.assertIn("packlight: 1 spans could not be sent: ", err)
                self.assertIn(words, err)
                self.assertNotIn("hunter2", err)

    def test_a_receiver_that_is_not_there_is_said_and_the_app_ends(self):
        _, err = self.python(BARE, ONE_REQUEST, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}")
        self.assertIn("1 spans could not be sent: http://127.0.0.1", err)
        self.assertIn("Connection refused", err)

    def test_a_receiver_that_never_answers_is_waited_for_no_longer_than_the_deadline(self):
        with socket.socket() as hole:
            hole.bind(("127.0.0.1", 0))
            hole.listen()
            url = f"http://127.0.0.1:{hole.getsockname()[1]}"
            self.write("script.py", ONE_REQUEST + "print('ready', flush=True)\nimport time\ntime.sleep(600)\n")
            process = self.start(BARE, "python", "script.py", OTEL_EXPORTER_OTLP_ENDPOINT=url)
            self.assertEqual(process.stdout.readline(), "ready\n")
            _, err = self.end(process)
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.assertRegex(err, "packlight: .* (were not sent|not sent within|could not be sent)")

    def test_a_server_and_its_workers_share_the_deadline(self):
        with socket.socket() as hole:
            hole.bind(("127.0.0.1", 0))
            hole.listen()
            url = f"http://127.0.0.1:{hole.getsockname()[1]}"
            process, port = self.gunicorn("-w", "2", OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY=600_000)
            self.ask(port, "/1")
            _, err = self.end(process)
        self.assertIn("not sent within 1 s", err)
        self.assertNotIn("not sent within 2 s", err)

    def test_sigterm_flushes_and_then_ends_as_without_the_agent(self):
        sink = self.sink()
        self.write("script.py", ONE_REQUEST + "print('ready', flush=True)\nimport time\ntime.sleep(600)\n")
        delay = {"OTEL_BSP_SCHEDULE_DELAY": 600_000, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": sink.url + "/v1/traces"}
        process = self.start(BARE, "python", "script.py", **delay)
        self.assertEqual(process.stdout.readline(), "ready\n")
        self.end(process)
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.assertEqual(len(sink.spans()), 1)

    def test_children_of_multiprocessing_deliver_before_they_leave(self):
        for method in ("fork", "spawn", "forkserver"):
            with self.subTest(method):
                sink = self.sink()
                self.python(BARE, APP + f"""
import multiprocessing
def work():
    app.test_client().get("/7")
if __name__ == "__main__":
    app.test_client().get("/6")  # waits in the parent's queue: the parent's to send, not the child's too
    child = multiprocessing.get_context("{method}").Process(target=work)
    child.start()
    child.join()
    app.test_client().get("/8")
""", OTEL_BSP_SCHEDULE_DELAY=600_000, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=sink.url + "/v1/traces")
                paths = [next(it.value.string_value for it in span.attributes if it.key == "url.path") for span, _ in sink.spans()]
                self.assertEqual(sorted(paths), ["/6", "/7", "/8"])
                self.assertEqual(len({resource["process.pid"] for _, resource in sink.spans()}), 2)

    def test_every_task_of_a_celery_worker_arrives_from_children_that_are_replaced_and_from_the_last(self):
        sink = self.sink()
        self.manifest([{"name": "celery", "import": "celery", "class": "opentelemetry.instrumentation.celery:CeleryInstrumentor"}])
        self.write("tasks.py", f"""
from celery import Celery
app = Celery("tasks", broker="{self.redis()}")
app.conf.worker_max_tasks_per_child = 2
@app.task
def add(x, y):
    open(f"done-{{x}}", "w").close()
    return x + y
""")
        self.python(BARE, "import tasks\nfor n in range(7): tasks.add.delay(n, n)\n", PACKLIGHT_PYTHON_AGENT=None)
        process = self.start(
            BARE, "celery", "-A", "tasks", "worker", "-c", "1", C_FORCE_ROOT=1, OTEL_BSP_SCHEDULE_DELAY=600_000,
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=sink.url + "/v1/traces",
        )
        # Three children have left by themselves; what the fourth has is sent when the worker ends.
        wait_for(lambda: len(sink.spans()) == 6 and (self.folder / "done-6").exists(), "seven tasks, and the spans of six")
        _, err = self.end(process)
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual(collections.Counter(span.name for span, _ in sink.spans()), {"run/tasks.add": 7}, err)
        self.assertEqual(len({resource["process.pid"] for _, resource in sink.spans()}), 4)

    def test_the_apps_own_logging_is_as_without_the_agent(self):
        apps = {
            "last resort": "import logging\nlogging.warning('w')\nlogging.getLogger('x').info('no')\nlogging.getLogger('x').error('e')\n",
            "unconfigured": "import logging\nlogging.getLogger('x').error('e')\n",
            "basicConfig later": "import logging\nlogging.getLogger('x').error('one')\nlogging.basicConfig(format='F %(message)s')\nlogging.getLogger('x').error('two')\n",
            "handlers": "import logging, sys\nprint(logging.getLogger().handlers, logging.getLogger('x').hasHandlers())\nlogging.disable(logging.ERROR)\nlogging.error('no')\n",
        }
        for name, text in apps.items():
            with self.subTest(name):
                sink = self.sink()
                without = self.python(BARE, text, PACKLIGHT_PYTHON_AGENT=None)
                self.assertEqual(self.python(BARE, text, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=sink.url + "/v1/logs"), without)
                expected = {"last resort": ["w", "e"], "unconfigured": ["e"], "basicConfig later": ["one", "two"], "handlers": []}
                self.assertEqual([it.body.string_value for it in sink.logs()], expected[name])

    def test_an_exception_in_a_log_is_sent_with_its_stack(self):
        sink = self.sink()
        self.python(BARE, "import logging\ntry:\n    1/0\nexcept ZeroDivisionError:\n    logging.exception('oh')\n",
                    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=sink.url + "/v1/logs")
        found = {it.key: it.value.string_value for it in sink.logs()[0].attributes}
        self.assertEqual((found["exception.type"], found["exception.message"]), ("ZeroDivisionError", "division by zero"))
        self.assertIn("1/0", found["exception.stacktrace"])

    def test_an_address_that_cannot_be_used_is_said(self):
        _, err = self.python(BARE, ONE_REQUEST, OTEL_EXPORTER_OTLP_ENDPOINT="ftp://user:hunter2@h")
        self.assertIn("packlight: traces are not sent: OTEL_EXPORTER_OTLP_ENDPOINT is not a URL", err)
        self.assertNotIn("hunter2", err)


if __name__ == "__main__":
    unittest.main()
