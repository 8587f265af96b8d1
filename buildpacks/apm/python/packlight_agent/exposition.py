"""Metrics of one process as plain values, those of several added up, and Prometheus' text of them.

https://prometheus.io/docs/instrumenting/exposition_formats/; names and labels as OpenTelemetry maps them:
https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

import re

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_UNITS = {
    "s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "min": "minutes", "h": "hours",
    "d": "days", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "%": "percent",
}
_WRONG = re.compile(r"[^a-zA-Z0-9_:]+")


def families(data):
    """One process's metrics: a list of `{"name", "help", "type", "points": [{"labels", ...}]}`."""
    found = []
    for of_resource in data.resource_metrics:
        found.append(_target(of_resource.resource))
        for of_scope in of_resource.scope_metrics:
            scope = {"otel_scope_name": of_scope.scope.name} if of_scope.scope is not None else {}
            found.extend(filter(None, (_family(metric, scope) for metric in of_scope.metrics)))
    return found


def _target(resource):
    labels = {_label(key): str(value) for key, value in resource.attributes.items() if key not in _OF_A_PROCESS}
    return {"name": "target_info", "help": "What is measured.", "type": "info", "points": [{"labels": labels, "value": 1}]}


# One page is for all processes of the app.
_OF_A_PROCESS = ("service.instance.id", "process.pid")


def _family(metric, scope):
    kind = type(metric.data).__name__
    if kind == "Sum":
        what = "counter" if metric.data.is_monotonic else "updown"
    elif kind == "Gauge":
        what = "gauge"
    elif kind in ("Histogram", "ExponentialHistogram"):
        what = "histogram"
    else:
        return None
    points = [_point(point, kind, scope) for point in metric.data.data_points]
    return {"name": _name(metric, what), "help": metric.description or "", "type": what, "points": points}


def _point(point, kind, scope):
    labels = {_label(key): _plain(value) for key, value in (point.attributes or {}).items()}
    out = {"labels": {**labels, **scope}}
    if kind in ("Sum", "Gauge"):
        out["value"] = point.value
    else:
        out["sum"], out["count"] = point.sum, point.count
        # An exponential histogram's buckets have no counterpart in this format: its sum and its count are told.
        bounds = list(getattr(point, "explicit_bounds", ()))
        out["bounds"], out["counts"] = bounds, list(point.bucket_counts) if bounds else []
    return out


def _name(metric, what):
    name = _WRONG.sub("_", metric.name)
    unit = metric.unit or ""
    suffix = _UNITS.get(unit, "")
    if unit == "1" and what == "gauge":
        suffix = "ratio"
    if suffix and not name.endswith("_" + suffix):
        name += "_" + suffix
    if what == "counter" and not name.endswith("_total"):
        name += "_total"
    return "_" + name if name[:1].isdigit() else name


def _label(key):
    key = _WRONG.sub("_", str(key)).replace(":", "_")
    return "key_" + key if key[:1].isdigit() else key


def _plain(value):
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def lasting(found):
    """What of a process's metrics counts on after its end."""
    return [each for each in found if each["type"] in ("counter", "histogram")]


def text(processes):
    """The page: `(process id, metrics)` of every process, added up; what can't be added has the process as a label."""
    merged = {}
    for pid, found in processes:
        for family in found:
            into = merged.setdefault(family["name"], {**family, "points": {}})["points"]
            for point in family["points"]:
                _add(into, point, family["type"], pid)
    lines = []
    for name in sorted(merged):
        family = merged[name]
        shown = {"updown": "gauge", "info": "gauge"}.get(family["type"], family["type"])
        if family["help"]:
            lines.append(f"# HELP {name} {_escaped(family['help'])}")
        lines.append(f"# TYPE {name} {shown}")
        for labels in sorted(family["points"]):
            lines.extend(_lines(name, dict(labels), family["points"][labels]))
    return "\n".join(lines) + "\n"


def _add(into, point, what, pid):
    labels = dict(point["labels"])
    if what == "gauge":
        labels["process_pid"] = pid
    key = tuple(sorted(labels.items()))
    there = into.get(key)
    if there is None or what in ("gauge", "info"):
        into[key] = {**point, "counts": list(point.get("counts", ()))}
    elif "value" in point:
        there["value"] += point["value"]
    else:
        there["sum"] += point["sum"]
        there["count"] += point["count"]
        if there["bounds"] == point["bounds"]:
            there["counts"] = [a + b for a, b in zip(there["counts"], point["counts"])]
        else:
            there["bounds"], there["counts"] = [], []


def _lines(name, labels, point):
    if "value" in point:
        yield f"{name}{_labels(labels)} {_number(point['value'])}"
        return
    so_far = 0
    for bound, count in zip(point["bounds"], point["counts"]):
        so_far += count
        yield f"{name}_bucket{_labels({**labels, 'le': _number(bound)})} {so_far}"
    yield f"{name}_bucket{_labels({**labels, 'le': '+Inf'})} {point['count']}"
    yield f"{name}_sum{_labels(labels)} {_number(point['sum'])}"
    yield f"{name}_count{_labels(labels)} {point['count']}"


def _labels(labels):
    if not labels:
        return ""
    pairs = ('%s="%s"' % (key, _escaped(value).replace('"', '\\"')) for key, value in labels.items())
    return "{" + ",".join(pairs) + "}"


def _escaped(value):
    return str(value).replace("\\", "\\\\").replace("\n", "\\n")


def _number(value):
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
