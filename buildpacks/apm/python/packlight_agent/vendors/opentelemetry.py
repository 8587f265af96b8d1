"""OpenTelemetry, woken lazily.

It is not the SDK: it brings a provider, exporters and the moment to instrument, and takes the rest from the
packages of the agent's layer or, where the app has them, the app's own. Next: ../instrument.py and ../providers.py.
"""

import os
import sys

from .. import exits, imports, instrument, providers
from ..say import say
from ..sender import Sender
from ..settings import SIGNALS, Otlp, SettingsError, Zipkin, exporters


def wake(open_layer):
    """Prepares this process. Nothing of OpenTelemetry is imported before the app imports something to observe."""
    asked = {signal: exporters(signal) for signal in SIGNALS}
    if not any(asked.values()):
        return
    manifest = open_layer()
    sender = Sender()
    spans, metrics = _traces(asked["traces"], sender), _metrics(asked["metrics"], sender)
    providers.install(spans, metrics)
    _logs(asked["logs"], sender)
    instrument.install(manifest)
    exits.watch(sender.flush)


def _destination(signal, asked):
    """(exporters that can be used, OTLP settings or None); a value that can't be used is said, not raised."""
    if "otlp" not in asked:
        return asked, None
    try:
        return asked, Otlp(signal)
    except SettingsError as problem:
        say(f"{signal} are not sent: {problem}")
        return asked - {"otlp"}, None


def _zipkin(asked):
    if "zipkin" not in asked:
        return asked, None
    try:
        return asked, Zipkin()
    except SettingsError as problem:
        say(f"traces are not sent: {problem}")
        return asked - {"zipkin"}, None


def _traces(asked, sender):
    asked, to = _destination("traces", asked)
    asked, zipkin = _zipkin(asked)
    if not asked:
        return None
    from ..spans import Spans

    return Spans("console" in asked, to, zipkin, sender).attach


def _metrics(asked, sender):
    asked, to = _destination("metrics", asked)
    if not asked:
        return None
    from ..metrics import Metrics

    if "prometheus" in asked:
        from .. import prometheus

        prometheus.announce()
    return Metrics(asked, to, sender).provider


def _logs(asked, sender):
    asked, to = _destination("logs", asked)
    if not asked:
        return
    from ..logs import Logs

    imports.when("logging", Logs(asked, to, sender, _current_resource).install)


def _current_resource():
    """The resource of the current tracer provider, else what the environment says; for signals without an SDK."""
    api = sys.modules.get("opentelemetry.trace")
    found = getattr(getattr(api, "_TRACER_PROVIDER", None), "resource", None)
    return found if found is not None else _FromEnvironment()


class _FromEnvironment:
    @property
    def attributes(self):
        from urllib.parse import unquote

        pairs = (pair.partition("=") for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
        found = {key.strip(): unquote(value.strip()) for key, equals, value in pairs if equals}
        if os.environ.get("OTEL_SERVICE_NAME"):
            found["service.name"] = os.environ["OTEL_SERVICE_NAME"]
        found.setdefault("service.name", "unknown_service:python")
        return found
