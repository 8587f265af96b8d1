"""Sentry's SDK: configured by the environment, when the app has imported something that is observed."""

import os

from ..lazy import when_needed


def wake(open_layer):
    when_needed(open_layer(), _start)


def _start():
    import sentry_sdk

    # An app that calls it by itself afterwards replaces this client by its own.
    sentry_sdk.init(traces_sample_rate=_rate())


def _rate():
    """The share of requests that become transactions. Sentry's other SDKs read this variable themselves."""
    try:
        return min(1.0, max(0.0, float(os.environ["SENTRY_TRACES_SAMPLE_RATE"])))
    except (KeyError, ValueError):
        return 1.0
