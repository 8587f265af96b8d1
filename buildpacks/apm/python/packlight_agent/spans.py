"""The span processor that is added to whichever tracer provider is current."""

import sys

from . import convert, otlp, zipkin
from .say import say_seldom
from .sender import Pipeline
from .settings import number
from .transport import Transport


class Spans:
    """Where spans go; `attach` is called with every provider that becomes the current one."""

    def __init__(self, console, to, zipkin_to, sender):
        self.console, self.sender, self.otlp = console, sender, to
        self.pipeline = self.zipkin = None
        if to is not None:
            write = otlp.to_json if to.json else otlp.protobuf
            self.pipeline = self._pipeline(to, lambda items: write(convert.traces(items), otlp.REQUESTS["traces"]))
        if zipkin_to is not None:
            self.zipkin = self._pipeline(zipkin_to, zipkin.body)

    def _pipeline(self, to, encode):
        return self.sender.add(Pipeline(
            "spans", Transport(to), encode, to.timeout,
            capacity=number("OTEL_BSP_MAX_QUEUE_SIZE", 2048),
            batch=number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
            delay=number("OTEL_BSP_SCHEDULE_DELAY", 1000) / 1000,
        ))

    def attach(self, provider):
        """Adds the processor; a provider that takes none is left alone."""
        if hasattr(provider, "add_span_processor"):
            provider.add_span_processor(_processor(self, provider))


def _processor(spans, provider):
    from opentelemetry.context import attach, detach, set_value
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    printer = ConsoleSpanExporter(out=sys.stdout) if spans.console else None

    class Processor(SpanProcessor):
        _seen = None
        _console = _otlp = _zipkin = True

        def on_end(self, span):
            try:
                if span.context is None or not span.context.trace_flags.sampled:
                    return
                self._look()
                if printer is not None and self._console:
                    token = attach(set_value("suppress_instrumentation", True))
                    try:
                        printer.export((span,))
                    finally:
                        detach(token)
                if spans.pipeline is not None and self._otlp:
                    spans.sender.put(spans.pipeline, span)
                if spans.zipkin is not None and self._zipkin:
                    spans.sender.put(spans.zipkin, span)
            except Exception as problem:
                say_seldom("span", f"a span was lost ({type(problem).__name__}: {problem})")

        def _look(self):
            # The app may add its own exporter at any time; the SDK makes a new tuple of processors then.
            others = getattr(getattr(provider, "_active_span_processor", None), "_span_processors", None)
            if others is self._seen:
                return
            self._seen = others
            exporters = [each for each in map(_exporter, others or ()) if each is not None]
            self._console = not any(isinstance(each, ConsoleSpanExporter) for each in exporters)
            self._zipkin = not any("Zipkin" in type(each).__name__ for each in exporters)
            self._otlp = spans.otlp is None or not any(_same_receiver(each, spans.otlp) for each in exporters)

        def shutdown(self):
            spans.sender.flush()

        def force_flush(self, timeout_millis=30000):
            return spans.sender.flush((timeout_millis or 30000) / 1000)

    return Processor()


def _exporter(processor):
    inner = getattr(processor, "_batch_processor", None)
    return getattr(processor, "span_exporter", None) or getattr(inner, "_exporter", None)


def _same_receiver(exporter, to):
    """Does the app itself send to the receiver that we would send to? (gRPC's port differs from HTTP's.)"""
    endpoint = getattr(exporter, "_endpoint", None)
    if not isinstance(endpoint, str) or "OTLP" not in type(exporter).__name__:
        return False
    return _host(endpoint) == _host(to.url)


def _host(url):
    from urllib.parse import urlsplit

    name = urlsplit(url if "://" in url else "//" + url).hostname or ""
    return "localhost" if name in ("127.0.0.1", "::1") else name
