"""Says what an app's modules hold, by parsing them. It never imports the app.

Reads paths of Python files from standard input, NUL-separated and relative to the working directory; prints one JSON
list, an object for each file. Who decides what it means is `start.rs`.
"""

import ast
import json
import sys

# What a call must resolve to, and what the object then is: the framework's name and its interface.
CONSTRUCTORS = {
    "flask.Flask": ("Flask", "wsgi"),
    "flask.app.Flask": ("Flask", "wsgi"),
    "bottle.Bottle": ("Bottle", "wsgi"),
    "bottle.default_app": ("Bottle", "wsgi"),
    "falcon.App": ("Falcon", "wsgi"),
    "falcon.API": ("Falcon", "wsgi"),
    "pyramid.config.Configurator.make_wsgi_app": ("Pyramid", "wsgi"),
    "django.core.wsgi.get_wsgi_application": ("Django", "wsgi"),
    "fastapi.FastAPI": ("FastAPI", "asgi"),
    "fastapi.applications.FastAPI": ("FastAPI", "asgi"),
    "starlette.applications.Starlette": ("Starlette", "asgi"),
    "quart.Quart": ("Quart", "asgi"),
    "litestar.Litestar": ("Litestar", "asgi"),
    "litestar.app.Litestar": ("Litestar", "asgi"),
    "falcon.asgi.App": ("Falcon", "asgi"),
    "django.core.asgi.get_asgi_application": ("Django", "asgi"),
}
SETTINGS = ("WSGI_APPLICATION", "ASGI_APPLICATION")


class Module:
    def __init__(self, path, tree):
        self.path = path
        self.names = {}  # local name -> what it was imported as
        self.imports = set()  # top-level names of absolute imports
        self.objects, self.factories, self.calls, self.settings = [], [], [], {}
        self.guard = False
        self.acts = False  # does something when it is run, and not only defines
        self.django_settings = None
        for node in ast.walk(tree):
            self.read_import(node)
        # In the order of the file: a later call may use an earlier name.
        for node in tree.body:
            self.read_statement(node)
        for node in ast.walk(tree):
            self.read_settings_module(node)

    def read_import(self, node):
        if isinstance(node, ast.Import):
            for it in node.names:
                self.imports.add(it.name.split(".")[0])
                self.names[it.asname or it.name.split(".")[0]] = it.name if it.asname else it.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            if not node.level and node.module:
                self.imports.add(node.module.split(".")[0])
            for it in node.names:
                joined = base + it.name if base.endswith(".") else base + "." + it.name
                self.names[it.asname or it.name] = joined

    def dotted(self, node):
        """`a.b.c` with its first name replaced by what was imported under it."""
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        return ".".join([self.names.get(node.id, node.id)] + parts[::-1])

    def read_statement(self, node):
        if isinstance(node, (ast.For, ast.While, ast.With)) or (
            isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Await))
        ):
            self.acts = True
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            self.read_assignment(node)
        elif isinstance(node, ast.FunctionDef):
            self.read_function(node)
        elif isinstance(node, ast.If):
            if is_main_guard(node.test):
                self.guard = True
                return
            for it in node.body + node.orelse:
                self.read_statement(it)
        elif isinstance(node, ast.Try):
            for it in node.body + node.orelse + node.finalbody:
                self.read_statement(it)
        elif isinstance(node, ast.With):
            for it in node.body:
                self.read_statement(it)

    def read_assignment(self, node):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if not isinstance(target, ast.Name):
                continue
            if target.id in SETTINGS and isinstance(node.value, ast.Constant):
                self.settings[target.id] = node.value.value
            if not isinstance(node.value, ast.Call):
                continue
            called = self.dotted(node.value.func)
            if called in CONSTRUCTORS:
                framework, interface = CONSTRUCTORS[called]
                self.objects.append(entry(target.id, framework, interface, node))
            elif called:
                # Perhaps a factory, here or in another module: decided when all modules are known.
                self.calls.append({"name": target.id, "called": called, "line": node.lineno})

    def read_function(self, node):
        args = node.args
        needed = len(args.posonlyargs) + len(args.args) - len(args.defaults)
        needed += sum(default is None for default in args.kw_defaults)
        made = {}
        for it in ast.walk(node):
            if isinstance(it, (ast.Assign, ast.AnnAssign)) and isinstance(it.value, ast.Call):
                found = CONSTRUCTORS.get(self.dotted(it.value.func) or "")
                for target in it.targets if isinstance(it, ast.Assign) else [it.target]:
                    if found and isinstance(target, ast.Name):
                        made[target.id] = found
        for it in ast.walk(node):
            if not isinstance(it, ast.Return) or it.value is None:
                continue
            found = None
            if isinstance(it.value, ast.Name):
                found = made.get(it.value.id)
            elif isinstance(it.value, ast.Call):
                found = CONSTRUCTORS.get(self.dotted(it.value.func) or "")
            if found:
                factory = entry(node.name, found[0], found[1], node)
                factory["needs_arguments"] = needed > 0
                self.factories.append(factory)
                return

    def read_settings_module(self, node):
        """`os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")`, or an assignment to it."""
        found = None
        if isinstance(node, ast.Call) and len(node.args) == 2 and is_text(node.args[0], "DJANGO_SETTINGS_MODULE"):
            found = node.args[1]
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            if is_text(node.targets[0].slice, "DJANGO_SETTINGS_MODULE"):
                found = node.value
        if isinstance(found, ast.Constant) and isinstance(found.value, str):
            self.django_settings = found.value

    def summary(self):
        return {
            "path": self.path,
            "imports": sorted(self.imports),
            "objects": self.objects,
            "factories": self.factories,
            "calls": self.calls,
            "settings": {key: value for key, value in self.settings.items() if isinstance(value, str)},
            "main_guard": self.guard,
            "acts": self.acts,
            "django_settings": self.django_settings,
        }


def entry(name, framework, interface, node):
    return {"name": name, "framework": framework, "interface": interface, "line": node.lineno}


def is_text(node, text):
    return isinstance(node, ast.Constant) and node.value == text


def is_main_guard(test):
    if not (isinstance(test, ast.Compare) and len(test.comparators) == 1 and isinstance(test.ops[0], ast.Eq)):
        return False
    sides = [test.left, test.comparators[0]]
    return any(isinstance(it, ast.Name) and it.id == "__name__" for it in sides) and any(
        is_text(it, "__main__") for it in sides
    )


def scan(path):
    try:
        with open(path, "rb") as file:
            source = file.read()
        return Module(path, ast.parse(source, path)).summary()
    except SyntaxError as error:
        return {"path": path, "error": {"line": error.lineno or 1, "text": error.msg}}
    except (ValueError, RecursionError) as error:
        return {"path": path, "error": {"line": 1, "text": str(error)}}


def main():
    paths = [path.decode("utf-8", "surrogateescape") for path in sys.stdin.buffer.read().split(b"\0") if path]
    json.dump([scan(path) for path in paths], sys.stdout)


main()
