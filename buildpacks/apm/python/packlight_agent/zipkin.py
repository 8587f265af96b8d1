"""Zipkin's own format of spans, version 2, written from the SDK's spans. https://zipkin.io/zipkin-api/#/default/post_spans

The mapping is OpenTelemetry's: https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin/
"""

import json

_KINDS = {1: "SERVER", 2: "CLIENT", 3: "PRODUCER", 4: "CONSUMER"}
_ERROR = 2
# Which attribute says who is at the other end, best first.
_PEERS = ("peer.service", "server.address", "network.peer.address", "db.name")


def body(spans):
    """A request of these spans."""
    return json.dumps([span(each) for each in spans], separators=(",", ":")).encode("utf-8", "replace")


def span(source):
    """Zipkin's Span."""
    context, start = source.context, source.start_time or 0
    out = {
        "traceId": f"{context.trace_id:032x}",
        "id": f"{context.span_id:016x}",
        "name": str(source.name),
        "timestamp": start // 1000,
        # Zero would mean that it is not known.
        "duration": max(1, round(((source.end_time or start) - start) / 1000)),
        "localEndpoint": {"serviceName": _service(source)},
        "tags": _tags(source),
    }
    if source.parent is not None:
        out["parentId"] = f"{source.parent.span_id:016x}"
    kind = _KINDS.get(source.kind.value)
    if kind:
        out["kind"] = kind
    if kind in ("CLIENT", "PRODUCER"):
        peer = next((source.attributes[it] for it in _PEERS if it in (source.attributes or ())), None)
        if peer is not None:
            out["remoteEndpoint"] = {"serviceName": str(peer)}
    if source.events:
        out["annotations"] = [_annotation(each) for each in source.events]
    return out


def _service(source):
    found = source.resource.attributes.get("service.name") if source.resource is not None else None
    return str(found or "unknown_service:python")


def _tags(source):
    tags = {str(key): _text(value) for key, value in (source.attributes or {}).items()}
    scope = source.instrumentation_scope
    if scope is not None and scope.name:
        tags["otel.scope.name"] = scope.name
        if scope.version:
            tags["otel.scope.version"] = scope.version
    status = source.status
    if status is not None and status.status_code.value:
        tags["otel.status_code"] = status.status_code.name
        if status.status_code.value == _ERROR:
            tags["error"] = str(status.description or "true")
    return tags


def _annotation(event):
    value = str(event.name)
    if event.attributes:
        inner = {str(key): _text(value) for key, value in event.attributes.items()}
        value = json.dumps({value: inner}, separators=(",", ":"))
    return {"timestamp": (event.timestamp or 0) // 1000, "value": value}


def _text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    return json.dumps(value, default=str, separators=(",", ":"))
