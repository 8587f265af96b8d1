"""The SDK's spans and metrics as the dictionaries that otlp.py writes; reads only what every SDK since 1.20 has."""

import os
import uuid

_instance = {}


def instance_id():
    """An id for this very process, another one after a fork."""
    pid = os.getpid()
    if pid not in _instance:
        _instance.clear()
        _instance[pid] = str(uuid.uuid4())
    return _instance[pid]


def attributes(mapping):
    """A list of OTLP's KeyValue."""
    return [{"key": str(key), "value": any_value(value)} for key, value in (mapping or {}).items()]


def any_value(value):
    """OTLP's AnyValue of whatever an app may have put into an attribute."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, str):
        return {"stringValue": str(value)}
    if isinstance(value, int):
        return {"intValue": int(value)} if -(1 << 63) <= value < 1 << 63 else {"stringValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": float(value)}
    if isinstance(value, (bytes, bytearray)):
        return {"bytesValue": bytes(value)}
    if value is None:
        return {}
    if hasattr(value, "items"):
        return {"kvlistValue": {"values": attributes(value)}}
    if isinstance(value, (list, tuple, set, frozenset)):
        return {"arrayValue": {"values": [any_value(each) for each in value]}}
    return {"stringValue": str(value)}


def resource(source):
    """OTLP's Resource; the process's own identity is added where the SDK (before 1.43) has none."""
    found = dict(source.attributes) if source is not None else {}
    found.setdefault("service.instance.id", instance_id())
    found.setdefault("process.pid", os.getpid())
    return {"attributes": attributes(found)}


def scope(source):
    """OTLP's InstrumentationScope."""
    found = {"name": source.name or ""} if source is not None else {}
    if getattr(source, "version", None):
        found["version"] = source.version
    if getattr(source, "attributes", None):
        found["attributes"] = attributes(source.attributes)
    return found


def traces(spans):
    """An export request of these spans, grouped by resource and scope."""
    groups = {}
    for each in spans:
        of_scope = each.instrumentation_scope
        key = (of_scope.name, of_scope.version, of_scope.schema_url) if of_scope is not None else None
        # By identity: the list keeps them alive, and hashing a resource serialises it.
        scopes = groups.setdefault(id(each.resource), (each.resource, {}))[1]
        scopes.setdefault(key, (of_scope, []))[1].append(span(each))
    return {"resourceSpans": [
        _schema_url(res, {"resource": resource(res), "scopeSpans": [
            _schema_url(sc, {"scope": scope(sc), "spans": found}) for sc, found in scopes.values()
        ]})
        for res, scopes in groups.values()
    ]}


def _schema_url(source, message):
    url = getattr(source, "schema_url", None)
    if url:
        message["schemaUrl"] = url
    return message


def span(source):
    """OTLP's Span."""
    context, parent = source.context, source.parent
    out = {
        "traceId": context.trace_id.to_bytes(16, "big"),
        "spanId": context.span_id.to_bytes(8, "big"),
        "name": str(source.name),
        "kind": source.kind.value + 1,
        "startTimeUnixNano": source.start_time or 0,
        "endTimeUnixNano": source.end_time or 0,
        "attributes": attributes(source.attributes),
        "flags": _flags(context, parent),
    }
    if context.trace_state:
        out["traceState"] = context.trace_state.to_header()
    if parent is not None:
        out["parentSpanId"] = parent.span_id.to_bytes(8, "big")
    if source.events:
        out["events"] = [_event(each) for each in source.events]
    if source.links:
        out["links"] = [_link(each) for each in source.links]
    for key, name in _DROPPED:
        count = getattr(source, name, 0)
        if count:
            out[key] = count
    if source.status is not None and source.status.status_code.value:
        out["status"] = {"code": source.status.status_code.value}
        if source.status.description:
            out["status"]["message"] = str(source.status.description)
    return out


_DROPPED = (
    ("droppedAttributesCount", "dropped_attributes"),
    ("droppedEventsCount", "dropped_events"),
    ("droppedLinksCount", "dropped_links"),
)


def _flags(context, parent):
    # Bits 8 and 9: whether the parent's origin is known, and whether it is remote.
    return (int(context.trace_flags) & 0xFF) | 0x100 | (0x200 if parent is not None and parent.is_remote else 0)


def _event(source):
    return _dropped(source, {
        "timeUnixNano": source.timestamp, "name": str(source.name), "attributes": attributes(source.attributes),
    })


def _link(source):
    out = {
        "traceId": source.context.trace_id.to_bytes(16, "big"),
        "spanId": source.context.span_id.to_bytes(8, "big"),
        "attributes": attributes(source.attributes),
        "flags": _flags(source.context, source.context),
    }
    if source.context.trace_state:
        out["traceState"] = source.context.trace_state.to_header()
    return _dropped(source, out)


def _dropped(source, out):
    count = getattr(source.attributes, "dropped", 0)
    if count:
        out["droppedAttributesCount"] = count
    return out


def metrics(data):
    """An export request of what a metric reader received; None when there is nothing in it."""
    resources = [
        _schema_url(each, {"resource": resource(each.resource), "scopeMetrics": [
            _schema_url(sc, {"scope": scope(sc.scope), "metrics": [metric(m) for m in sc.metrics]})
            for sc in each.scope_metrics
        ]})
        for each in data.resource_metrics
    ]
    return {"resourceMetrics": resources} if any(each["scopeMetrics"] for each in resources) else None


def metric(source):
    """OTLP's Metric; a kind that is not known is sent without points."""
    out = {"name": source.name, "description": source.description or "", "unit": source.unit or ""}
    data = source.data
    points = list(data.data_points)
    kind = type(data).__name__
    if kind == "Gauge":
        out["gauge"] = {"dataPoints": [_number_point(each) for each in points]}
    elif kind == "Sum":
        out["sum"] = {
            "dataPoints": [_number_point(each) for each in points],
            "aggregationTemporality": int(data.aggregation_temporality.value),
            "isMonotonic": bool(data.is_monotonic),
        }
    elif kind in ("Histogram", "ExponentialHistogram"):
        convert = _histogram_point if kind == "Histogram" else _exponential_point
        out[kind[0].lower() + kind[1:]] = {
            "dataPoints": [convert(each) for each in points],
            "aggregationTemporality": int(data.aggregation_temporality.value),
        }
    return out


def _point(source):
    out = {
        "attributes": attributes(source.attributes),
        "startTimeUnixNano": source.start_time_unix_nano or 0,
        "timeUnixNano": source.time_unix_nano or 0,
    }
    exemplars = getattr(source, "exemplars", None)
    if exemplars:
        out["exemplars"] = [_exemplar(each) for each in exemplars]
    return out


def _value(value):
    return {"asInt": value} if isinstance(value, int) and -(1 << 63) <= value < 1 << 63 else {"asDouble": float(value)}


def _number_point(source):
    return {**_point(source), **_value(source.value)}


def _distribution(source):
    out = {**_point(source), "count": source.count, "sum": float(source.sum)}
    # An empty histogram's extremes are infinities: they say nothing.
    if source.count and source.min is not None:
        out["min"] = float(source.min)
    if source.count and source.max is not None:
        out["max"] = float(source.max)
    return out


def _histogram_point(source):
    return {
        **_distribution(source),
        "bucketCounts": list(source.bucket_counts),
        "explicitBounds": [float(each) for each in source.explicit_bounds],
    }


def _exponential_point(source):
    return {
        **_distribution(source),
        "scale": source.scale,
        "zeroCount": source.zero_count,
        "positive": {"offset": source.positive.offset, "bucketCounts": list(source.positive.bucket_counts)},
        "negative": {"offset": source.negative.offset, "bucketCounts": list(source.negative.bucket_counts)},
    }


def _exemplar(source):
    out = {
        **_value(source.value),
        "timeUnixNano": source.time_unix_nano,
        "filteredAttributes": attributes(source.filtered_attributes),
    }
    if source.trace_id:
        out["traceId"] = _id(source.trace_id, 16)
    if source.span_id:
        out["spanId"] = _id(source.span_id, 8)
    return out


def _id(value, length):
    return value.to_bytes(length, "big") if isinstance(value, int) else bytes.fromhex(value) if isinstance(value, str) else bytes(value)
