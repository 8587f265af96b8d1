"""Calls back when a module has just been imported, before its importer sees a name of it.

It is no import system: the module is found and loaded by whoever would have done it without us.
Next: opentelemetry.py, which says what is done on which import.
"""

import sys

from .say import say

_hooks = {}
_preparations = {}


def when(name, callback, before=None):
    """Calls `callback(module)` once, after the module `name` is imported; at once if it already is.

    `before()` is called when the module has been found and not yet run.
    """
    module = sys.modules.get(name)
    if module is not None:
        _call(callback, module)
        return
    _hooks.setdefault(name, []).append(callback)
    if before is not None:
        _preparations[name] = before
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def _fire(name):
    module = sys.modules.get(name)
    for callback in _hooks.pop(name, ()):
        _call(callback, module)


def _call(callback, module):
    try:
        callback(module)
    except Exception as problem:
        name = getattr(module, "__name__", module)
        say(f"{name} is not instrumented ({type(problem).__name__}: {problem}); the app runs without it")


class _Finder:
    def find_spec(self, name, path=None, target=None):
        if name not in _hooks:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader:
    """The module's own loader, with a word to us after it has run."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def create_module(self, spec):
        return self._inner.create_module(spec)

    def exec_module(self, module):
        # From now on the module has its real loader: inspect, pkgutil and importlib.resources ask for it.
        module.__spec__.loader = module.__loader__ = self._inner
        _call(lambda _: _preparations.pop(module.__name__, lambda: None)(), module)
        self._inner.exec_module(module)
        _fire(module.__spec__.name)


_FINDER = _Finder()
