"""Our protobuf and JSON against Google's decoder."""

import json
import sys
import unittest

from support import SOURCE, attributes

sys.path.append(str(SOURCE))

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, set_span_in_context
from opentelemetry.trace.span import TraceState
from packlight_agent import convert, otlp


def spans():
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "s", "list": ["a", "b"]}, "https://schema/1"))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    remote = SpanContext(0xABC, 0xDEF, True, TraceFlags(1), TraceState([("k", "v")]))
    tracer = provider.get_tracer("scope", "1.2", "https://schema/2")
    parent = set_span_in_context(NonRecordingSpan(remote))
    with tracer.start_as_current_span("outer", parent, SpanKind.SERVER, links=[Link(remote, {"l": 1})]) as span:
        span.set_attributes({
            "text": "grüße", "true": True, "int": -5, "big": 2**62, "float": 0.5, "ints": [1, 2], "strings": ("x", "y"),
        })
        span.add_event("event", {"e": "v"}, timestamp=7)
        span.set_status(Status(StatusCode.ERROR, "bad"))
        with tracer.start_as_current_span("inner"):
            pass
    return memory.get_finished_spans()


class Encoding(unittest.TestCase):
    maxDiff = None

    def request(self, signal, message, kind):
        """The message as Google's library understands our bytes, after a look that our JSON says the same."""
        decoded = kind.FromString(otlp.protobuf(message, otlp.REQUESTS[signal]))
        ours = json.loads(otlp.to_json(message, otlp.REQUESTS[signal]))
        theirs = MessageToDict(decoded, use_integers_for_enums=True)
        self.assertEqual(_hex_ids(theirs), _without_defaults(ours))
        return decoded

    def test_a_span_is_decoded_with_all_that_it_had(self):
        source = spans()
        decoded = self.request("traces", convert.traces(source), ExportTraceServiceRequest)
        [group] = decoded.resource_spans
        self.assertEqual(group.schema_url, "https://schema/1")
        [scope] = group.scope_spans
        self.assertEqual((scope.scope.name, scope.scope.version, scope.schema_url), ("scope", "1.2", "https://schema/2"))
        inner, outer = scope.spans
        self.assertEqual(inner.parent_span_id, outer.span_id)
        self.assertEqual(outer.trace_id, (0xABC).to_bytes(16, "big"))
        self.assertEqual(outer.parent_span_id, (0xDEF).to_bytes(8, "big"))
        self.assertEqual(outer.kind, outer.SPAN_KIND_SERVER)
        self.assertEqual((outer.status.code, outer.status.message), (outer.status.STATUS_CODE_ERROR, "bad"))
        self.assertEqual((outer.start_time_unix_nano, outer.end_time_unix_nano), (source[1].start_time, source[1].end_time))
        self.assertEqual(outer.flags & 0x300, 0x300)
        found = attributes(outer.attributes)
        self.assertEqual((found["text"], found["true"], found["int"], found["big"], found["float"]), ("grüße", True, -5, 2**62, 0.5))
        self.assertEqual([each.int_value for each in found["ints"].values], [1, 2])
        self.assertEqual((outer.events[0].name, outer.events[0].time_unix_nano), ("event", 7))
        self.assertEqual((outer.links[0].trace_state, attributes(outer.links[0].attributes)), ("k=v", {"l": 1}))

    def test_every_process_has_an_instance_id_of_its_own(self):
        decoded = self.request("traces", convert.traces(spans()), ExportTraceServiceRequest)
        found = attributes(decoded.resource_spans[0].resource.attributes)
        self.assertEqual(found["service.instance.id"], convert.instance_id())

    def test_values_that_no_format_likes_are_sent_all_the_same(self):
        values = {"nan": float("nan"), "minus": float("-inf"), "huge": 2**70, "none": None, "bytes": b"\0\xff", "lone": "\ud800", "map": {"a": [1]}}
        record = {"body": convert.any_value(values), "attributes": []}
        message = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
        decoded = ExportLogsServiceRequest.FromString(otlp.protobuf(message, otlp.REQUESTS["logs"]))
        [found] = decoded.resource_logs[0].scope_logs[0].log_records
        self.assertEqual(found.body.kvlist_value.values[2].value.string_value, str(2**70))
        json.loads(otlp.to_json(message, otlp.REQUESTS["logs"]))

    def test_negative_scales_and_offsets_are_decoded(self):
        point = {"scale": -2, "positive": {"offset": -3, "bucketCounts": [1, 300]}, "negative": {"offset": 5, "bucketCounts": []}}
        metric = {"name": "m", "exponentialHistogram": {"dataPoints": [point], "aggregationTemporality": 1}}
        message = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
        decoded = ExportMetricsServiceRequest.FromString(otlp.protobuf(message, otlp.REQUESTS["metrics"]))
        [found] = decoded.resource_metrics[0].scope_metrics[0].metrics[0].exponential_histogram.data_points
        self.assertEqual((found.scale, found.positive.offset, found.negative.offset), (-2, -3, 5))
        self.assertEqual(list(found.positive.bucket_counts), [1, 300])

    def test_every_kind_of_metric_is_decoded(self):
        reader = InMemoryMetricReader()
        views = [View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())]
        meter = MeterProvider([reader], views=views).get_meter("m")
        meter.create_counter("counter", "1", "what").add(3, {"a": "b"})
        meter.create_up_down_counter("updown").add(-2)
        meter.create_observable_gauge("gauge", [lambda _: [__import__("opentelemetry.metrics").metrics.Observation(1.5)]])
        histogram, exponential = meter.create_histogram("histogram"), meter.create_histogram("exponential")
        for value in (0, 3, 70, 1e9):
            histogram.record(value)
            exponential.record(value)
        decoded = self.request("metrics", convert.metrics(reader.get_metrics_data()), ExportMetricsServiceRequest)
        found = {metric.name: metric for metric in decoded.resource_metrics[0].scope_metrics[0].metrics}
        [point] = found["counter"].sum.data_points
        self.assertEqual((point.as_int, attributes(point.attributes), found["counter"].unit), (3, {"a": "b"}, "1"))
        self.assertTrue(found["counter"].sum.is_monotonic)
        self.assertEqual(found["counter"].sum.aggregation_temporality, 2)
        self.assertEqual(found["updown"].sum.data_points[0].as_int, -2)
        self.assertEqual(found["gauge"].gauge.data_points[0].as_double, 1.5)
        [point] = found["histogram"].histogram.data_points
        self.assertEqual((point.count, point.min, point.max, sum(point.bucket_counts)), (4, 0, 1e9, 4))
        self.assertEqual(len(point.bucket_counts), len(point.explicit_bounds) + 1)
        [point] = found["exponential"].exponential_histogram.data_points
        self.assertEqual((point.count, point.zero_count, sum(point.positive.bucket_counts)), (4, 1, 3))


def _hex_ids(value, key=""):
    """MessageToDict writes bytes in base64, OTLP's JSON ids in hex."""
    import base64

    if isinstance(value, dict):
        return {name: _hex_ids(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_hex_ids(each, key) for each in value]
    return base64.b64decode(value).hex() if key in ("traceId", "spanId", "parentSpanId") else value


def _without_defaults(value):
    """MessageToDict leaves out what has its default value, outside of a `oneof`."""
    if isinstance(value, dict):
        kept = {name: _without_defaults(each) for name, each in value.items()}
        always = ("stringValue", "boolValue", "intValue", "doubleValue", "asInt", "asDouble", "sum", "min", "max", "values", "scope", "value", "positive", "negative")
        return {name: each for name, each in kept.items() if name in always and name != "values" or each not in ("", 0, "0", False, [], {}) or name in ("scope", "value", "positive", "negative")}
    return [_without_defaults(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    unittest.main()
