"""Wakes the agent that PACKLIGHT_PYTHON_AGENT names in an environment that another buildpack made.

It is found because its folder, which has nothing else in it, is put in front of PYTHONPATH at launch. Python looks for
one `sitecustomize` only, so the one that would have been found is loaded from here. The folder, which has the name of
the app's Python ("3.13"), stays in the variable for workers that are started anew; an interpreter of another version
passes on and does no more, so this file is written for any of them.
"""

import os
import sys

_HOME = os.path.dirname(os.path.abspath(__file__))


def _pass_on():
    """Loads the `sitecustomize` of the app, of coverage or of Debian, as if this one were not there."""
    sys.path[:] = [it for it in sys.path if os.path.abspath(it or ".") != _HOME]
    this = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as problem:
        if getattr(problem, "name", "sitecustomize") != "sitecustomize":
            raise
    finally:
        # The import system wants a module of this name when this file has run.
        sys.modules.setdefault("sitecustomize", this)


def _wake():
    directory = os.environ.get("PACKLIGHT_PYTHON_AGENT")
    if not directory or "packlight_start" in sys.modules:
        return
    if os.path.basename(_HOME) != "%d.%d" % sys.version_info[:2]:
        return
    try:
        from importlib.machinery import SourceFileLoader

        path = os.path.join(directory, "packlight_start.py")
        module = type(sys)("packlight_start")
        module.__file__ = path
        code = SourceFileLoader("packlight_start", path).get_code("packlight_start")
        sys.modules["packlight_start"] = module
        exec(code, module.__dict__)
        module.start()
    except (Exception, SystemExit) as error:
        try:
            sys.stderr.write("packlight: the agent did not start: %s: %s\n" % (type(error).__name__, error))
        except Exception:
            pass


try:
    _pass_on()
finally:
    _wake()
