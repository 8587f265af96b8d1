"""Lines on stderr, for a person: short, few, and never an exception."""

import os
import time

_last = {}


def say(text):
    """Writes one line at once, past whatever the app did to `sys.stderr`."""
    try:
        os.write(2, ("packlight: " + " ".join(text.split()) + "\n").encode("utf-8", "replace"))
    except OSError:
        pass


def say_seldom(key, text, seconds=60):
    """Like `say`, at most once in `seconds` for the same key; what was held back is counted."""
    now = time.monotonic()
    then, held = _last.get(key, (None, 0))
    if then is not None and now - then < seconds:
        _last[key] = (then, held + 1)
        return
    _last[key] = (now, 0)
    say(text + (f" ({held} more like this since)" if held else ""))
