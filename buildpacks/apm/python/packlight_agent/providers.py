"""One provider in the process, whoever sets it up: ours until the app sets its own, then the app's.

The API's "set once" latch is left untouched, so that the app's `set_tracer_provider` works as if we were not
there: no warning, the app's object is what everybody gets, its attributes and sampler count. Tracers handed out
before forward to it. Next: spans.py (the processor that is added to whichever provider is current).
"""

import os

from . import imports


def install(spans, metrics):
    """Prepares the API for when somebody imports it. `spans`, `metrics`: what to do with a provider, or None."""
    if spans is not None:
        imports.when("opentelemetry.trace", lambda api: _Traces(api, spans))
    if metrics is not None:
        imports.when("opentelemetry.metrics._internal", lambda api: _Metrics(api, metrics))


class _Traces:
    def __init__(self, api, attach):
        self.api, self.attach = api, attach
        self.ours = None
        self.get, self.set = api.get_tracer_provider, api._set_tracer_provider
        # Functions and not methods: the API's packages write to their attributes.
        api.get_tracer_provider = lambda: self.current()
        api._set_tracer_provider = lambda tracer_provider, log: self.replace(tracer_provider, log)

    def current(self):
        if self.api._TRACER_PROVIDER is None and not os.environ.get("OTEL_PYTHON_TRACER_PROVIDER"):
            if self.ours is None:
                self.ours = _tracer_provider(self.api)
                self.attach(self.ours)
            if self.api._TRACER_PROVIDER is None:
                self.api._TRACER_PROVIDER = self.ours
        return self.get()

    def replace(self, provider, log):
        self.set(provider, log)
        if provider is not self.ours and self.api._TRACER_PROVIDER is provider:
            _identify(provider)
            self.attach(provider)


def _tracer_provider(api):
    from opentelemetry.sdk.trace import TracerProvider

    class Provider(TracerProvider):
        """Ours: an SDK provider whose tracers follow the one that is current."""

        def get_tracer(self, *args, **kwargs):
            return Tracer(self, args, kwargs)

        def own_tracer(self, args, kwargs):
            return super().get_tracer(*args, **kwargs)

    class Tracer(api.Tracer):
        def __init__(self, ours, args, kwargs):
            self._ours, self._args, self._kwargs = ours, args, kwargs
            self._of = self._tracer = None

        def _current(self):
            provider = api._TRACER_PROVIDER or self._ours
            if provider is not self._of:
                if provider is self._ours:
                    self._tracer = provider.own_tracer(self._args, self._kwargs)
                else:
                    self._tracer = provider.get_tracer(*self._args, **self._kwargs)
                self._of = provider
            return self._tracer

        def start_span(self, *args, **kwargs):
            return self._current().start_span(*args, **kwargs)

        def start_as_current_span(self, *args, **kwargs):
            return self._current().start_as_current_span(*args, **kwargs)

        def __getattr__(self, name):
            return getattr(self._current(), name)

    return Provider(resource=_resource())


def _resource():
    from opentelemetry.sdk.resources import Resource

    return Resource.create({"telemetry.distro.name": "packlight"})


def _identify(provider):
    """Gives the app's own provider what its resource lacks; what it says itself stays."""
    has = getattr(provider, "resource", None)
    if has is None or not hasattr(has, "attributes"):
        return
    lacks = {
        key: value
        for key, value in _resource().attributes.items()
        if key not in has.attributes or (key == "service.name" and str(has.attributes[key]).startswith("unknown_service"))
    }
    lacks.pop("telemetry.distro.name", None)
    if not lacks:
        return
    from opentelemetry.sdk.resources import Resource

    if hasattr(provider, "_update_resource"):
        provider._update_resource(Resource(lacks))
    elif hasattr(provider, "_resource"):
        provider._resource = has.merge(Resource(lacks))


class _Metrics:
    """As for traces; a reader can't be added to a provider of the app's, so its metrics go where it sends them."""

    def __init__(self, api, make):
        self.api, self.make, self.ours = api, make, None
        self.get = api.get_meter_provider
        api.get_meter_provider = lambda: self.current()

    def current(self):
        if self.api._METER_PROVIDER is None and not os.environ.get("OTEL_PYTHON_METER_PROVIDER"):
            if self.ours is None:
                self.ours = self.make(_resource())
            if self.api._METER_PROVIDER is None:
                self.api._METER_PROVIDER = self.ours
        return self.get()
