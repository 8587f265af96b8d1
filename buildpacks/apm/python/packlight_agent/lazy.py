"""The moment for an agent that imports what it observes: the app has imported the first of it, and all of that one.

Before that an agent would import every library that is installed, and the sockets of the standard library along with it,
which gevent and eventlet want to replace first.
"""

import sys

from . import imports


def when_needed(manifest, start):
    """Calls `start()` once, when a library of the manifest has been imported and none is half way through its import."""
    modules = [row["import"] for row in manifest["instrumentations"] if row["import"]]
    begun = []

    def imported(name):
        if not begun and not any(_is_half_imported(it) for it in modules if it != name):
            begun.append(True)
            start()

    for name in modules:
        imports.when(name, lambda _, name=name: imported(name))


def _is_half_imported(name):
    return getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False)
