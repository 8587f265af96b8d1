"""Datadog's ddtrace: what `ddtrace-run` does, in the process that is already there."""

import sys
import types


def wake(open_layer):
    open_layer()
    # ddtrace looks for the `sitecustomize` that its launcher has hidden. Nothing is hidden here, and Python comes to the
    # user's own in its own time.
    ours = None
    if "sitecustomize" not in sys.modules:
        ours = sys.modules["sitecustomize"] = types.ModuleType("sitecustomize")
    try:
        import ddtrace.auto  # noqa: F401
    finally:
        if sys.modules.get("sitecustomize") is ours is not None:
            del sys.modules["sitecustomize"]
    boot = sys.modules.get("ddtrace.bootstrap.sitecustomize")
    if not getattr(boot, "loaded", True):
        raise RuntimeError("ddtrace did not start")
