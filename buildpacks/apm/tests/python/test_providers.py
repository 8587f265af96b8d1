"""One provider, whoever sets it up; every span once; on every SDK."""

import unittest

from support import BARE, PINNED, AgentTest, printed

CLIENT = """
import sys
for _ in range(1):
    assert app.test_client().get("/").status_code == 200
"""
APP = """
from flask import Flask
app = Flask("app")
@app.route("/")
def hello():
    with tracer.start_as_current_span("hello_world"):
        return "hi"
""" + CLIENT
BY_HAND = """
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
"""
PROVIDER = BY_HAND + """
provider = TracerProvider(resource=Resource.create({"team": "greetings"}))
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("app")
"""


class Providers(AgentTest):
    def check(self, venv, text, **expected):
        out, err = self.python(venv, text, OTEL_TRACES_EXPORTER="console")
        self.assertEqual(err, "", "no warning a user would have to understand")
        spans = printed(out)
        self.assertEqual(sorted(span["name"] for span in spans), ["GET /", "hello_world"])
        server, inner = sorted(spans, key=lambda span: span["name"])
        self.assertEqual((server["kind"], inner["parent_id"]), ("SpanKind.SERVER", server["context"]["span_id"]))
        for span in spans:
            resource = span["resource"]["attributes"]
            self.assertEqual(resource["service.name"], expected.get("service", "my-app"))
            self.assertEqual(resource.get("team"), expected.get("team"))

    def on_every_sdk(self, text, **expected):
        for venv in PINNED:
            with self.subTest(venv):
                self.check(venv, text, **expected)

    def test_an_app_without_opentelemetry_prints_its_server_span(self):
        for venv in (BARE, *PINNED):
            with self.subTest(venv):
                out, err = self.python(venv, APP.replace("with tracer.start_as_current_span(\"hello_world\"):", "if True:"), OTEL_TRACES_EXPORTER="console")
                [span] = printed(out)
                self.assertEqual((span["name"], span["kind"], err), ("GET /", "SpanKind.SERVER", ""))
                self.assertEqual(span["resource"]["attributes"]["service.name"], "my-app")

    def test_an_app_with_its_own_provider_and_console_prints_each_span_once(self):
        self.on_every_sdk(PROVIDER + APP, team="greetings")

    def test_also_when_the_exporter_comes_after_the_provider_was_set(self):
        late = BY_HAND + """
trace.set_tracer_provider(TracerProvider(resource=Resource.create({"team": "greetings"})))
tracer = trace.get_tracer("app")
"""
        added = "trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))\n"
        self.on_every_sdk(late + APP.replace(CLIENT, "") + added + CLIENT, team="greetings")

    def test_also_when_flask_was_imported_and_the_app_made_before_the_provider(self):
        made, used = APP.replace(CLIENT, ""), CLIENT
        self.on_every_sdk(made + PROVIDER + used, team="greetings")

    def test_an_app_with_a_provider_but_no_exporter_gets_the_agents(self):
        without = PROVIDER.replace("provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))\n", "")
        self.on_every_sdk(without + APP, team="greetings")

    def test_a_resource_without_a_name_gets_the_agents_and_keeps_its_own(self):
        bare = PROVIDER.replace('Resource.create({"team": "greetings"})', 'Resource({"team": "greetings"})')
        self.on_every_sdk(bare + APP, team="greetings")
        named = PROVIDER.replace('{"team": "greetings"}', '{"service.name": "mine"}')
        self.on_every_sdk(named + APP, service="mine")

    def test_an_app_that_uses_only_the_api_gets_the_agents_provider(self):
        self.on_every_sdk("from opentelemetry import trace\ntracer = trace.get_tracer('app')\n" + APP)

    def test_an_app_that_instruments_by_hand_too_is_observed_once(self):
        by_hand = "from opentelemetry.instrumentation.flask import FlaskInstrumentor\n"
        self.on_every_sdk(PROVIDER + by_hand + "FlaskInstrumentor().instrument()\n" + APP, team="greetings")

    def test_the_apps_own_options_of_an_instrumentation_win(self):
        hook = """
from opentelemetry.instrumentation.flask import FlaskInstrumentor
FlaskInstrumentor().instrument(request_hook=lambda span, environ: print("HOOK", flush=True))
"""
        out, _ = self.python("newest", PROVIDER + hook + APP, OTEL_TRACES_EXPORTER="console")
        self.assertEqual(out.count("HOOK"), 1)
        self.assertEqual(out.count('"name": "GET /"'), 1)

    def test_a_console_of_the_apps_own_does_not_keep_spans_from_the_receiver(self):
        for venv in PINNED:
            with self.subTest(venv):
                sink = self.sink()
                out, err = self.python(venv, PROVIDER + APP, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=sink.url + "/v1/traces")
                self.assertEqual((len(printed(out)), err), (2, ""))
                self.assertEqual(sorted(span.name for span, _ in sink.spans()), ["GET /", "hello_world"])
                self.assertEqual({resource["team"] for _, resource in sink.spans()}, {"greetings"})

    def test_a_second_provider_is_refused_as_without_the_agent(self):
        _, err = self.python("newest", PROVIDER + "trace.set_tracer_provider(TracerProvider())\n", OTEL_TRACES_EXPORTER="console")
        self.assertIn("Overriding of current TracerProvider is not allowed", err)


if __name__ == "__main__":
    unittest.main()
