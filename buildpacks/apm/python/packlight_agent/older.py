"""What older OpenTelemetry packages need to behave like today's; apps pin them, and their pins win."""

import os
import sys
import types


def before_any():
    """Stands in for a module that would import `pkg_resources` (slow, loud, gone from setuptools 81 on).

    Up to 0.49b0 opentelemetry.instrumentation.dependencies does so, only to look for version conflicts, which the
    build has already done.
    """
    name = "opentelemetry.instrumentation.dependencies"
    if name in sys.modules or "pkg_resources" in sys.modules:
        return
    import opentelemetry.instrumentation as package

    for folder in package.__path__:
        try:
            with open(os.path.join(folder, "dependencies.py"), "rb") as file:
                if b"from pkg_resources import" not in file.read(4096):
                    return
        except OSError:
            continue
        sys.modules[name] = package.dependencies = _no_conflicts(name)
        return


def _no_conflicts(name):
    module = types.ModuleType(name, "Finds no version conflicts: the build has looked for them.")

    class DependencyConflict:
        required = found = None

        def __init__(self, required=None, found=None):
            self.required, self.found = required, found

    module.DependencyConflict = DependencyConflict
    module.get_dependency_conflicts = module.get_dist_dependency_conflicts = lambda _: None
    return module


def after(module):
    """Mends one instrumentation right before it is used."""
    _wrapt_2(module)
    if module.__name__ == "opentelemetry.instrumentation.flask":
        _flask_span_name(module)


def _wrapt_2(module):
    """Lets an instrumentation that was written for wrapt 1 call what wrapt 2 has: `module=` is called `target=` there.

    https://wrapt.readthedocs.io/en/master/changes.html
    """
    inner = getattr(module, "wrap_function_wrapper", None)
    if getattr(getattr(inner, "__code__", None), "co_varnames", ("",))[0] != "target":
        return

    def wrap_function_wrapper(*args, **kwargs):
        if "module" in kwargs:
            kwargs["target"] = kwargs.pop("module")
        return inner(*args, **kwargs)

    module.wrap_function_wrapper = wrap_function_wrapper


def _flask_span_name(module):
    """Before 0.44b0 the span of `GET /` was called `/`; with the method it is what the conventions say.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/#name
    """
    inner = getattr(module, "get_default_span_name", None)
    if inner is None:
        return

    def get_default_span_name():
        name, method = inner(), module.flask.request.method
        return f"{method} {name}" if name.startswith("/") else name

    module.get_default_span_name = get_default_span_name
