"""OTLP's messages, written as protobuf or JSON from plain dictionaries; no library of Google's.

One schema serves both encodings: a message is a dictionary with the JSON names of
https://github.com/open-telemetry/opentelemetry-proto (ids as bytes, times as numbers); what is absent is not
written. Next: convert.py, which makes such dictionaries from the SDK's objects.
"""

import base64
import json
import math
import struct

# name -> (field number, kind); a kind is a scalar's name or a schema; a list around it: repeated.
ANY = {}
KEY_VALUE = {"key": (1, "string"), "value": (2, ANY)}
ARRAY = {"values": (1, [ANY])}
KEY_VALUES = {"values": (1, [KEY_VALUE])}
ANY.update(
    stringValue=(1, "string"), boolValue=(2, "bool"), intValue=(3, "int64"), doubleValue=(4, "double"),
    arrayValue=(5, ARRAY), kvlistValue=(6, KEY_VALUES), bytesValue=(7, "bytes"),
)
RESOURCE = {"attributes": (1, [KEY_VALUE]), "droppedAttributesCount": (2, "uint32")}
SCOPE = {"name": (1, "string"), "version": (2, "string"), "attributes": (3, [KEY_VALUE])}

SPAN = {
    "traceId": (1, "id"), "spanId": (2, "id"), "traceState": (3, "string"), "parentSpanId": (4, "id"),
    "name": (5, "string"), "kind": (6, "uint32"), "startTimeUnixNano": (7, "fixed64"),
    "endTimeUnixNano": (8, "fixed64"), "attributes": (9, [KEY_VALUE]), "droppedAttributesCount": (10, "uint32"),
    "events": (11, [{
        "timeUnixNano": (1, "fixed64"), "name": (2, "string"), "attributes": (3, [KEY_VALUE]),
        "droppedAttributesCount": (4, "uint32"),
    }]),
    "droppedEventsCount": (12, "uint32"),
    "links": (13, [{
        "traceId": (1, "id"), "spanId": (2, "id"), "traceState": (3, "string"), "attributes": (4, [KEY_VALUE]),
        "droppedAttributesCount": (5, "uint32"), "flags": (6, "fixed32"),
    }]),
    "droppedLinksCount": (14, "uint32"), "status": (15, {"message": (2, "string"), "code": (3, "uint32")}),
    "flags": (16, "fixed32"),
}
LOG_RECORD = {
    "timeUnixNano": (1, "fixed64"), "severityNumber": (2, "uint32"), "severityText": (3, "string"), "body": (5, ANY),
    "attributes": (6, [KEY_VALUE]), "droppedAttributesCount": (7, "uint32"), "flags": (8, "fixed32"),
    "traceId": (9, "id"), "spanId": (10, "id"), "observedTimeUnixNano": (11, "fixed64"),
}

EXEMPLAR = {
    "timeUnixNano": (2, "fixed64"), "asDouble": (3, "double"), "spanId": (4, "id"), "traceId": (5, "id"),
    "asInt": (6, "sfixed64"), "filteredAttributes": (7, [KEY_VALUE]),
}
NUMBER_POINT = {
    "startTimeUnixNano": (2, "fixed64"), "timeUnixNano": (3, "fixed64"), "asDouble": (4, "double"),
    "exemplars": (5, [EXEMPLAR]), "asInt": (6, "sfixed64"), "attributes": (7, [KEY_VALUE]), "flags": (8, "uint32"),
}
HISTOGRAM_POINT = {
    "startTimeUnixNano": (2, "fixed64"), "timeUnixNano": (3, "fixed64"), "count": (4, "fixed64"),
    "sum": (5, "double"), "bucketCounts": (6, ["fixed64"]), "explicitBounds": (7, ["double"]),
    "exemplars": (8, [EXEMPLAR]), "attributes": (9, [KEY_VALUE]), "flags": (10, "uint32"), "min": (11, "double"),
    "max": (12, "double"),
}
BUCKETS = {"offset": (1, "sint32"), "bucketCounts": (2, ["uint64"])}
EXPONENTIAL_POINT = {
    "attributes": (1, [KEY_VALUE]), "startTimeUnixNano": (2, "fixed64"), "timeUnixNano": (3, "fixed64"),
    "count": (4, "fixed64"), "sum": (5, "double"), "scale": (6, "sint32"), "zeroCount": (7, "fixed64"),
    "positive": (8, BUCKETS), "negative": (9, BUCKETS), "flags": (10, "uint32"), "exemplars": (11, [EXEMPLAR]),
    "min": (12, "double"), "max": (13, "double"), "zeroThreshold": (14, "double"),
}
METRIC = {
    "name": (1, "string"), "description": (2, "string"), "unit": (3, "string"),
    "gauge": (5, {"dataPoints": (1, [NUMBER_POINT])}),
    "sum": (7, {"dataPoints": (1, [NUMBER_POINT]), "aggregationTemporality": (2, "uint32"), "isMonotonic": (3, "bool")}),
    "histogram": (9, {"dataPoints": (1, [HISTOGRAM_POINT]), "aggregationTemporality": (2, "uint32")}),
    "exponentialHistogram": (10, {"dataPoints": (1, [EXPONENTIAL_POINT]), "aggregationTemporality": (2, "uint32")}),
}


def _request(resources, scopes, items, schema):
    scope = {"scope": (1, SCOPE), items: (2, [schema]), "schemaUrl": (3, "string")}
    return {resources: (1, [{"resource": (1, RESOURCE), scopes: (2, [scope]), "schemaUrl": (3, "string")}])}


REQUESTS = {
    "traces": _request("resourceSpans", "scopeSpans", "spans", SPAN),
    "metrics": _request("resourceMetrics", "scopeMetrics", "metrics", METRIC),
    "logs": _request("resourceLogs", "scopeLogs", "logRecords", LOG_RECORD),
}


def protobuf(message, schema):
    """The message in protobuf's wire format. https://protobuf.dev/programming-guides/encoding/"""
    out = bytearray()
    for name, value in message.items():
        number, kind = schema[name]
        if not isinstance(kind, list):
            _field(out, number, kind, value)
        elif isinstance(kind[0], dict):
            for each in value:
                _field(out, number, kind[0], each)
        elif value:
            packed = bytearray()
            for each in value:
                _scalar(packed, kind[0], each)
            _field(out, number, "bytes", packed)
    return bytes(out)


def _field(out, number, kind, value):
    if isinstance(kind, dict):
        body = protobuf(value, kind)
    elif kind == "string":
        body = value.encode("utf-8", "replace")
    elif kind in ("bytes", "id"):
        body = value
    else:
        _varint(out, number << 3 | _WIRE.get(kind, 0))
        _scalar(out, kind, value)
        return
    _varint(out, number << 3 | 2)
    _varint(out, len(body))
    out += body


_WIRE = {"fixed64": 1, "sfixed64": 1, "double": 1, "fixed32": 5}
_FORMAT = {"fixed64": "<Q", "sfixed64": "<q", "double": "<d", "fixed32": "<I"}


def _scalar(out, kind, value):
    form = _FORMAT.get(kind)
    if form:
        out += struct.pack(form, value)
    elif kind == "sint32":
        _varint(out, value << 1 if value >= 0 else (-value << 1) - 1)
    else:
        # A negative int64 is ten bytes: two's complement in 64 bits.
        _varint(out, int(value) & 0xFFFFFFFFFFFFFFFF)


def _varint(out, value):
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def to_json(message, schema):
    """The message in OTLP's JSON: ids in hex, 64-bit numbers as text, bytes in base64."""
    return json.dumps(_plain(message, schema), separators=(",", ":")).encode()


def _plain(message, schema):
    out = {}
    for name, value in message.items():
        kind = schema[name][1]
        if isinstance(kind, list):
            out[name] = [_plain_value(kind[0], each) for each in value]
        else:
            out[name] = _plain_value(kind, value)
    return out


def _plain_value(kind, value):
    if isinstance(kind, dict):
        return _plain(value, kind)
    if kind == "id":
        return value.hex()
    if kind in ("fixed64", "sfixed64", "int64", "uint64"):
        return str(int(value))
    if kind == "bytes":
        return base64.b64encode(value).decode()
    if kind == "string":
        return value.encode("utf-8", "replace").decode()
    if kind == "double" and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value
