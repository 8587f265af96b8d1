"""Wakes the agent that PACKLIGHT_PYTHON_AGENT names: the directory of its Python code. Never raises.

Loaded by `packlight.pth` (by `packlight.start` from Python 3.15 on) and only when that variable is set.
"""

import os
import sys

_started = False


def start():
    # A `.pth` line of a virtual environment can run twice.
    global _started
    directory = os.environ.get("PACKLIGHT_PYTHON_AGENT")
    if _started or not directory:
        return
    _started = True
    try:
        from importlib.machinery import SourceFileLoader

        path = os.path.join(directory, "packlight_start.py")
        module = type(sys)("packlight_start")
        module.__file__ = path
        # The loader and not `exec` of the text: it takes the compiled file beside the source.
        code = SourceFileLoader("packlight_start", path).get_code("packlight_start")
        sys.modules["packlight_start"] = module
        exec(code, module.__dict__)
        module.start()
    except (Exception, SystemExit) as error:
        try:
            print(f"packlight: the agent did not start: {type(error).__name__}: {error}", file=sys.stderr)
        except Exception:
            pass


start()
