"""Metrics: the SDK's provider and aggregation, our reader; nothing of it is loaded unless metrics have a destination."""

import os
import sys

from . import convert, otlp
from .sender import Pipeline
from .settings import number, text
from .transport import Transport


class Metrics:
    """Makes the meter provider when somebody asks the API for one."""

    def __init__(self, exporters, to, sender):
        self.console, self.otlp, self.sender = "console" in exporters, to, sender
        self.prometheus, self.page = "prometheus" in exporters, None
        self.period = number("OTEL_METRIC_EXPORT_INTERVAL", 60000) / 1000

    def provider(self, resource):
        """An SDK MeterProvider with our reader; its collection runs in the sender's thread."""
        from opentelemetry.sdk.metrics import MeterProvider

        reader = _reader(self._receive)
        readers = [reader]
        if self.prometheus:
            readers.append(self._scraped())
        provider = MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
        if not self.console and self.otlp is None:
            return provider
        transport = Transport(self.otlp) if self.otlp is not None else _Nowhere()
        self.pipeline = Pipeline("metrics", transport, self._encode, getattr(self.otlp, "timeout", 1.0), capacity=16, batch=1, delay=0.0)
        self.pipeline.collect, self.pipeline.period = reader.collect, self.period
        self.sender.add(self.pipeline)
        return provider

    def _scraped(self):
        from .prometheus import Scrape

        reader = _reader(lambda data: self.page.receive(data), cumulative=True)
        self.page = Scrape(reader.collect)
        self.sender.closing.append(self.page.close)
        return reader

    def _receive(self, data):
        if self.console:
            sys.stdout.write(data.to_json() + os.linesep)
            sys.stdout.flush()
        if self.otlp is not None:
            message = convert.metrics(data)
            if message is not None:
                self.sender.put(self.pipeline, message)  # bounded: a dead receiver must not cost memory

    def _encode(self, items):
        write = otlp.to_json if self.otlp.json else otlp.protobuf
        return write(items[0], otlp.REQUESTS["metrics"])


class _Nowhere:
    def forget(self):
        """There is no connection."""


def _reader(receive, cumulative=False):
    from opentelemetry.sdk.metrics.export import MetricReader

    class Reader(MetricReader):
        def _receive_metrics(self, metrics_data, timeout_millis=10_000, **kwargs):
            if metrics_data is not None:
                receive(metrics_data)

        def shutdown(self, timeout_millis=30_000, **kwargs):
            pass

    return Reader(preferred_temporality=None if cumulative else _temporality())


def _temporality():
    """https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/otlp/"""
    wanted = (text("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative")).lower()
    if wanted not in ("delta", "lowmemory"):
        return None
    from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
    from opentelemetry.sdk.metrics.export import AggregationTemporality

    kinds = (Counter, Histogram) + ((ObservableCounter,) if wanted == "delta" else ())
    return dict.fromkeys(kinds, AggregationTemporality.DELTA)
