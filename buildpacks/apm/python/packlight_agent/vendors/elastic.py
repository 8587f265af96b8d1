"""Elastic's APM agent: what its `elasticapm-run` does, when the app has imported something that is observed."""

from ..lazy import when_needed


def wake(open_layer):
    when_needed(open_layer(), _start)


def _start():
    import elasticapm
    from elasticapm.conf import WrapperConfig
    from elasticapm.instrumentation.register import register_wrapper_instrumentations

    config = WrapperConfig()
    register_wrapper_instrumentations()
    if config.instrument and config.enabled:
        elasticapm.instrument()
