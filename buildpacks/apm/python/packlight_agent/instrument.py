"""Which library is instrumented by what, and when: on its import, from the list that the build has resolved."""

import sys
from importlib import import_module

from . import imports, older
from .say import say
from .settings import text

_ours = set()


def install(manifest):
    """Prepares every instrumentation of the manifest; nothing is imported before the app imports the library."""
    disabled = {name.strip() for name in text("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")}
    if "*" in disabled:
        return
    imports.when("opentelemetry.instrumentation.instrumentor", _let_the_app_win)
    for entry in manifest["instrumentations"]:
        if entry["name"] not in disabled:
            imports.when(entry["import"], lambda module, entry=entry: _prepare(module, entry))
            # An app may import the instrumentor itself, and the library only through it.
            instrumentor = entry["class"].partition(":")[0]
            imports.when(instrumentor, lambda _, entry=entry: _after_instrumentor(entry), before=older.before_any)


def _after_instrumentor(entry):
    if entry.get("before") is None and entry["import"] in sys.modules:
        _instrument(entry)


def _prepare(module, entry):
    before = entry.get("before")
    if _is_half_imported(entry["class"].partition(":")[0]):
        return  # the app imports it right now: _after_instrumentor is next
    if before is None:
        _instrument(entry)
        return
    # Django reads its settings late: instrumented right before the function that needs it.
    owner = module
    *path, name = before.split(".")
    for part in path:
        owner = getattr(owner, part)
    inner = getattr(owner, name)

    def first(*args, **kwargs):
        if getattr(owner, name) is first:
            setattr(owner, name, inner)
            try:
                _instrument(entry)
            except Exception as problem:
                say(f"{entry['name']} is not instrumented ({type(problem).__name__}: {problem}); the app runs without it")
        return inner(*args, **kwargs)

    setattr(owner, name, first)


def _is_half_imported(name):
    return getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False)


def _instrument(entry):
    name, _, kind = entry["class"].partition(":")
    module = import_module(name)
    older.after(module)
    instrumentor = getattr(module, kind)()
    if instrumentor.is_instrumented_by_opentelemetry:
        return
    # The build has checked the versions against the app's lock: no search through installed packages here.
    instrumentor.instrument(skip_dep_check=True)
    _ours.add(type(instrumentor))


def _let_the_app_win(module):
    """An app that instruments the same library by hand gets its own options, and no warning about ours."""
    inner = module.BaseInstrumentor.instrument

    def instrument(self, **kwargs):
        if type(self) in _ours and self.is_instrumented_by_opentelemetry:
            _ours.discard(type(self))
            if not kwargs:
                return None
            self.uninstrument()
        return inner(self, **kwargs)

    module.BaseInstrumentor.instrument = instrument
