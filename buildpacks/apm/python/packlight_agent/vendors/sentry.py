"""Sentry's SDK: configured by the environment, when the app has imported something that is observed."""

import os

from .. import exits
from ..lazy import when_needed
from ..say import say_seldom


def wake(open_layer):
    when_needed(open_layer(), _start)


def _start():
    import sentry_sdk

    # An app that calls it by itself afterwards replaces this client by its own.
    sentry_sdk.init(traces_sample_rate=_rate())
    _tell_of_losses(getattr(sentry_sdk.get_client(), "transport", None))
    exits.watch(exits.Flush(_flush).flush)


def _flush():
    import sentry_sdk

    sentry_sdk.flush(timeout=2.0)


def _tell_of_losses(transport):
    """A line when Sentry cannot be reached: the SDK itself tells that in its debug mode alone."""
    inner = getattr(transport, "record_lost_event", None)
    if inner is None:
        return

    def record_lost_event(reason, *args, **kwargs):
        if reason == "network_error":
            say_seldom("sentry", "Sentry cannot be reached: what it should get is lost; the app runs on")
        return inner(reason, *args, **kwargs)

    transport.record_lost_event = record_lost_event


def _rate():
    """The share of requests that become transactions. Sentry's other SDKs read this variable themselves."""
    try:
        return min(1.0, max(0.0, float(os.environ["SENTRY_TRACES_SAMPLE_RATE"])))
    except (KeyError, ValueError):
        return 1.0
