"""The variables of OpenTelemetry's specification, read into a plan: which signal goes where.

No I/O and nothing of the SDK here. The launch program (exec.d) has already made the exporter lists explicit; the
same rules stand here so that the agent also works when it is started by hand.
https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

import os
from urllib.parse import unquote, urlsplit

SIGNALS = ("traces", "metrics", "logs")
GRPC_PORT, HTTP_PORT = 4317, 4318


class SettingsError(Exception):
    """A value that can't be used; the text names the variable, never a secret."""


def text(name, default=None):
    """The variable's value; an empty one counts as not set, as the specification says."""
    return os.environ.get(name, "").strip() or default


def number(name, default):
    """The variable as a whole number above zero, else the default."""
    try:
        value = int(text(name, default))
    except (TypeError, ValueError):
        return default
    return value if value > 0 else default


def disabled():
    """Is the whole SDK switched off?"""
    return (text("OTEL_SDK_DISABLED", "")).lower() == "true"


def exporters(signal):
    """The set of `otlp`, `console`, `zipkin` and `prometheus` that this signal goes to; empty when nobody asked."""
    if disabled():
        return frozenset()
    asked = text(f"OTEL_{signal.upper()}_EXPORTER")
    if asked is None:
        named = text("OTEL_EXPORTER_OTLP_ENDPOINT") or text(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
        return frozenset(("otlp",)) if named else frozenset()
    names = {name.strip().lower() for name in asked.split(",")}
    return frozenset("otlp" if name.startswith("otlp") else name for name in names if name) & _KNOWN[signal]


_KNOWN = {
    "traces": {"otlp", "console", "zipkin"},
    "metrics": {"otlp", "console", "prometheus"},
    "logs": {"otlp", "console"},
}


class Zipkin:
    """Where spans are sent in Zipkin's format; it has the shape of `Otlp`.

    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#zipkin-exporter
    """

    signal, content_type, headers, json = "traces", "application/json", {}, True
    gzip, certificate, client_certificate, client_key = False, None, None, None

    def __init__(self):
        name = "OTEL_EXPORTER_ZIPKIN_ENDPOINT"
        self.url = _checked(name, text(name, "http://localhost:9411/api/v2/spans")).geturl()
        self.timeout = _seconds(text("OTEL_EXPORTER_ZIPKIN_TIMEOUT"))
        self.shown = _shown(self.url)


class Otlp:
    """Where and how one signal is sent by OTLP over HTTP."""

    def __init__(self, signal):
        def value(name, default=None):
            return text(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}") or text(f"OTEL_EXPORTER_OTLP_{name}", default)

        self.signal = signal
        self.json = value("PROTOCOL", "").lower() == "http/json"
        self.url = _url(signal, value("PROTOCOL", "").lower())
        self.headers = _headers(value("HEADERS", ""))
        self.gzip = value("COMPRESSION", "none").lower() == "gzip"
        self.timeout = _seconds(value("TIMEOUT"))
        self.certificate = value("CERTIFICATE")
        self.client_certificate = value("CLIENT_CERTIFICATE")
        self.client_key = value("CLIENT_KEY")

    @property
    def content_type(self):
        return "application/json" if self.json else "application/x-protobuf"

    @property
    def shown(self):
        """The address for a person: without user, password and query."""
        return _shown(self.url)


def _shown(url):
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _checked(name, given):
    """The parts of an address; without a scheme it is `http`."""
    if "://" not in given:
        given = "http://" + given
    try:
        parts = urlsplit(given)
        parts.port
    except ValueError:
        raise SettingsError(f"{name} is not a URL (bad port or host)") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{name} is not a URL of the form http://host:port")
    return parts


def _url(signal, protocol):
    name = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    given, suffix = text(name), ""
    if given is None:
        name = "OTEL_EXPORTER_OTLP_ENDPOINT"
        given, suffix = text(name, f"http://localhost:{HTTP_PORT}"), f"/v1/{signal}"
    parts = _checked(name, given)
    port = parts.port
    # gRPC was asked for, or nothing was said and the port is gRPC's own: the same receiver speaks HTTP one port on.
    if port == GRPC_PORT and protocol in ("", "grpc"):
        parts = parts._replace(netloc=parts.netloc[: -len(str(GRPC_PORT))] + str(HTTP_PORT))
        suffix = suffix or ("" if parts.path.strip("/") else f"/v1/{signal}")
    elif protocol == "grpc" and not parts.path.strip("/"):
        suffix = suffix or f"/v1/{signal}"
    return parts._replace(path=parts.path.rstrip("/") + suffix if suffix else parts.path or "/").geturl()


def _headers(given):
    found = {}
    for pair in given.split(","):
        key, equals, value = pair.partition("=")
        key = unquote(key).strip()
        if equals and key and not any(char in key + value for char in "\r\n"):
            value = unquote(value).strip()
            if "\r" not in value and "\n" not in value:
                found[key.lower()] = value
    return found


def _seconds(given):
    """The specification's milliseconds. Python's SDK read seconds for years, and nobody means 10 ms: below 100 it
    is seconds."""
    try:
        value = float(given)
    except (TypeError, ValueError):
        return 10.0
    if value <= 0:
        return 10.0
    return value if value < 100 else value / 1000
