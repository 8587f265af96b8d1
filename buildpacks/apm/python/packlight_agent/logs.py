"""Logs, straight from the standard library's logging; the app's own handlers behave as if we were not there.

A handler on the root logger would silence `basicConfig` and logging's last-resort output, so none is added: the
one place every record passes (`Logger.callHandlers`) is wrapped. No logs SDK is needed.
"""

import json
import os
import sys
import time

from . import convert, otlp
from .say import say_seldom
from .sender import Pipeline
from .settings import number
from .transport import Transport

# https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber
_SEVERITIES = ((50, 21, "FATAL"), (40, 17, "ERROR"), (30, 13, "WARN"), (20, 9, "INFO"), (10, 5, "DEBUG"), (0, 1, "TRACE"))
# Attributes that every record has; what else is there came with `extra=`.
_OWN = frozenset((
    "name msg args levelname levelno pathname filename module exc_info exc_text stack_info lineno funcName created "
    "msecs relativeCreated thread threadName processName process taskName message asctime"
).split())


class Logs:
    """Where log records go."""

    def __init__(self, exporters, to, sender, resource):
        self.console, self.sender, self.resource = "console" in exporters, sender, resource
        self.pipeline = None
        if to is not None:
            write = otlp.to_json if to.json else otlp.protobuf
            self.pipeline = sender.add(Pipeline(
                "log records", Transport(to),
                lambda items: write(self._request(items), otlp.REQUESTS["logs"]),
                to.timeout,
                capacity=number("OTEL_BLRP_MAX_QUEUE_SIZE", 2048),
                batch=number("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", 512),
                delay=number("OTEL_BLRP_SCHEDULE_DELAY", 1000) / 1000,
            ))

    def install(self, logging):
        """Wraps the one method that hands a record to handlers."""
        inner = logging.Logger.callHandlers

        def callHandlers(logger, record):
            inner(logger, record)
            try:
                self.take(record)
            except Exception as problem:
                say_seldom("log", f"a log record was lost ({type(problem).__name__}: {problem})")

        logging.Logger.callHandlers = callHandlers

    def take(self, record):
        """Queues or prints one record."""
        if self.sender.mine() or record.name.startswith("opentelemetry."):
            return
        message = _log_record(record)
        if self.console:
            plain = otlp._plain({**message, "attributes": message["attributes"]}, otlp.LOG_RECORD)
            sys.stdout.write(json.dumps({"scope": record.name, **plain}) + os.linesep)
            sys.stdout.flush()
        if self.pipeline is not None:
            self.sender.put(self.pipeline, (record.name, message))

    def _request(self, items):
        scopes = {}
        for name, message in items:
            scopes.setdefault(name, []).append(message)
        return {"resourceLogs": [{
            "resource": convert.resource(self.resource()),
            "scopeLogs": [{"scope": {"name": name}, "logRecords": found} for name, found in scopes.items()],
        }]}


def _log_record(record):
    out = {
        "timeUnixNano": int(record.created * 1_000_000_000),
        "observedTimeUnixNano": time.time_ns(),
        "severityText": record.levelname,
        "body": {"stringValue": str(record.getMessage())},
        "attributes": convert.attributes(_attributes(record)),
    }
    for level, number_, _ in _SEVERITIES:
        if record.levelno >= level:
            out["severityNumber"] = number_
            break
    trace = sys.modules.get("opentelemetry.trace")
    if trace is not None and hasattr(trace, "get_current_span"):
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            out["traceId"] = context.trace_id.to_bytes(16, "big")
            out["spanId"] = context.span_id.to_bytes(8, "big")
            out["flags"] = int(context.trace_flags) & 0xFF
    return out


def _attributes(record):
    found = {
        "code.file.path": record.pathname, "code.function.name": record.funcName, "code.line.number": record.lineno,
    }
    for key, value in record.__dict__.items():
        if key not in _OWN and isinstance(value, (str, bool, int, float)):
            found[key] = value
    if record.exc_info and record.exc_info[0] is not None:
        import traceback

        kind, problem, trace = record.exc_info
        found["exception.type"] = kind.__name__
        found["exception.message"] = str(problem)
        found["exception.stacktrace"] = "".join(traceback.format_exception(kind, problem, trace))
    return found
