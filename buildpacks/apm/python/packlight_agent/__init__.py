"""The agent inside the app's process: the vendor that the launch program has chosen is woken.

Next: vendors/opentelemetry.py, whose agent is ours; the other vendors' own agents are only started from here.
"""

import importlib
import os

VENDOR = "PACKLIGHT_AGENT_VENDOR"


def wake(home):
    """Prepares this process; raises when the agent cannot be woken."""
    vendor = os.environ.get(VENDOR) or "opentelemetry"
    if not vendor.isidentifier():
        raise ValueError(f"{VENDOR} is not the name of a vendor")
    importlib.import_module(f"{__name__}.vendors.{vendor}").wake(lambda: open_layer(os.path.dirname(home)))


def open_layer(layer):
    """Puts the agent's packages on the path and returns what the build has noted for this agent."""
    import json
    import sys

    with open(os.path.join(layer, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    # The end of the path: whatever the app has installed itself is found first.
    sys.path.append(os.path.join(layer, "site-packages"))
    for name, value in manifest.get("defaults", {}).items():
        os.environ.setdefault(name, value)
    return manifest
