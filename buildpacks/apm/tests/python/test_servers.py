"""Every server and every kind of worker that people use: a thousand requests under load are a thousand server spans."""

import concurrent.futures
import http.client
import os
import signal
import tomllib
import unittest

from support import PATIENCE, SOURCE, VENVS, AgentTest, free_port

SERVERS, REQUESTS, CLIENTS = "servers", 1000, 8
TABLE = SOURCE.parent / "src/vendors/opentelemetry/python.toml"

FLASK = """
import os
from flask import Flask
app = Flask("app")
@app.route("/<int:number>")
def hello(number):
    return str(os.getpid())
"""
FASTAPI = """
import os
from fastapi import FastAPI
app = FastAPI()
@app.get("/{number}")
async def hello(number: int):
    return os.getpid()
"""
DJANGO = """
import os, sys
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
settings.configure(DEBUG=True, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x")
urlpatterns = [path("<int:number>", lambda request, number: HttpResponse(str(os.getpid())))]
if __name__ == "__main__":
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
else:
    from django.core.wsgi import get_wsgi_application
    app = get_wsgi_application()
"""


class Servers(AgentTest):
    def setUp(self):
        super().setUp()
        (self.layer / "site-packages").unlink()
        (self.layer / "site-packages").symlink_to(VENVS / "layer-servers")
        table = tomllib.loads(TABLE.read_text())
        rows = [it for it in table["library"] if it["name"] in ("flask", "fastapi", "django")]
        keys = ("name", "import", "class", "before")
        self.manifest([{key: row[key] for key in keys if key in row} for row in rows])

    def serve(self, text, *command, ends_by=signal.SIGTERM, **variables):
        """How many spans of servers came, by how many processes, of a thousand requests that were answered."""
        self.write("app.py", text)
        sink, port = self.sink(), free_port()
        command = [word.replace(":PORT", f":{port}").replace("=PORT", f"={port}") for word in command]
        command = [str(port) if word == "PORT" else word for word in command]
        process = self.start(
            SERVERS, *command, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=sink.url + "/v1/traces", **variables
        )
        self.ask(port, "/0")
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
            pids = set(clients.map(lambda number: self.number(port, number), range(1, REQUESTS)))
        # A terminal's Ctrl-C is for all of the foreground; a platform's SIGTERM is for the first process.
        os.killpg(process.pid, ends_by) if ends_by == signal.SIGINT else process.send_signal(ends_by)
        _, err = process.communicate(timeout=PATIENCE)
        spans = [(span, resource) for span, resource in sink.spans() if span.kind == span.SPAN_KIND_SERVER]
        each = {span.span_id for span, _ in spans}
        self.assertEqual((len(spans), len(each)), (REQUESTS, REQUESTS), f"{command}: {err[-2000:]}")
        self.assertEqual({str(resource["process.pid"]) for _, resource in spans} - pids - {self.first}, set())
        return len(pids)

    def ask(self, port, path="/"):
        self.first = super().ask(port, path)
        return self.first

    def number(self, port, number):
        """Asks once more only where a worker went before it had read the question: then nobody has answered it."""
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            try:
                connection.request("GET", f"/{number}")
                answer = connection.getresponse()
                self.assertEqual(answer.status, 200)
                return answer.read().decode()
            except (ConnectionError, http.client.RemoteDisconnected):
                continue
            finally:
                connection.close()

    def test_gunicorns_workers(self):
        for options, workers in (
            (["-w", "2"], 2),
            (["-w", "2", "--preload"], 2),
            (["-k", "gthread", "-w", "2", "--threads", "4"], 2),
            (["-k", "gevent", "-w", "2"], 2),
            (["-w", "2", "--max-requests", "150"], 3),
        ):
            with self.subTest(options):
                pids = self.serve(FLASK, "gunicorn", "-b", "127.0.0.1:PORT", *options, "app:app")
                self.assertGreaterEqual(pids, workers)

    def test_uvicorn_alone_with_workers_and_below_gunicorn(self):
        self.serve(FASTAPI, "uvicorn", "--port", "PORT", "--log-level", "warning", "app:app")
        pids = self.serve(FASTAPI, "uvicorn", "--port", "PORT", "--log-level", "warning", "--workers", "2", "app:app")
        self.assertEqual(pids, 2)
        worker = "uvicorn_worker.UvicornWorker"
        self.serve(FASTAPI, "gunicorn", "-b", "127.0.0.1:PORT", "-k", worker, "-w", "2", "app:app")

    def test_hypercorn_with_one_worker_and_two(self):
        for workers in ("1", "2"):
            with self.subTest(workers):
                self.serve(FASTAPI, "hypercorn", "-b", "127.0.0.1:PORT", "-w", workers, "app:app")

    def test_waitress(self):
        self.serve(FLASK, "waitress-serve", "--listen=127.0.0.1:PORT", "--threads=8", "app:app")

    def test_a_script_that_serves_by_itself(self):
        run = 'if __name__ == "__main__":\n    app.run(port=int(os.environ["PORT"]), threaded=True)\n'
        self.serve(FLASK + run, "env", "PORT=PORT", "python", "app.py")

    def test_the_reloaders_of_flask_and_django(self):
        # Ctrl-C, as a developer ends them.
        self.serve(FLASK, "flask", "--app", "app", "run", "--debug", "--port", "PORT", ends_by=signal.SIGINT)
        self.serve(DJANGO, "python", "app.py", "runserver", "PORT", ends_by=signal.SIGINT)

    def test_django_below_gunicorn(self):
        self.serve(DJANGO, "gunicorn", "-b", "127.0.0.1:PORT", "-w", "2", "app:app")


if __name__ == "__main__":
    unittest.main()
