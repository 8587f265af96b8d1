"""Decides whether this Python process is one that the agent looks at, and wakes the agent if so.

It is no part of the agent: whoever is turned away here has imported nothing but this file.
Next: packlight_agent/__init__.py.

The app's hook (`_packlight_hook` in its environment) calls `start()` when PACKLIGHT_PYTHON_AGENT names
the folder of this file. PACKLIGHT_AGENT_PID is the process that the launcher became, or, set by `start`
itself, the nearest instrumented process above. So a process knows by its own id and its parent's who it is.
"""

import os
import sys

PID = "PACKLIGHT_AGENT_PID"
_started = False

SHELLS = ("sh", "bash", "dash", "ash", "busybox", "zsh", "ksh", "tini", "dumb-init", "env", "timeout", "nice")

# Modules and commands that do one thing and leave: telemetry would cost them more than they say.
SHORT_MODULES = ("pip", "venv", "ensurepip", "compileall", "py_compile", "site", "this", "timeit", "pdb", "alembic")
SHORT_SCRIPTS = ("pip", "pip3", "uv", "alembic", "pytest", "coverage", "ipython")
SHORT_COMMANDS = (
    "migrate makemigrations showmigrations sqlmigrate squashmigrations collectstatic findstatic check test shell "
    "dbshell loaddata dumpdata flush createsuperuser changepassword compilemessages makemessages createcachetable "
    "clearsessions diffsettings inspectdb db routes"
).split()


def start():
    """Wakes the agent in this process if it is the app's own; never raises."""
    global _started
    # A `.pth` line can run twice in one interpreter.
    if _started:
        return
    _started = True
    try:
        if not _is_ours(os.environ.get(PID)):
            return
        other = _injected(os.environ.get("PYTHONPATH", ""))
        if other:
            say("the agent stays asleep: this process is instrumented already, by " + other)
            return
        adopt_pid()
        os.register_at_fork(after_in_child=adopt_pid)
        home = os.path.dirname(os.path.abspath(__file__))
        sys.path.append(home)
        try:
            import packlight_agent
        finally:
            sys.path.remove(home)
        packlight_agent.wake(home)
    except Exception as problem:
        complain(problem)


def adopt_pid():
    """From here on the children of this process are judged by this process's id."""
    os.environ[PID] = str(os.getpid())


def complain(problem):
    """One line about a failure of ours, where an app's own output goes."""
    text = " ".join(f"{type(problem).__name__}: {problem}".split())
    say(f"the agent failed ({text}); the app runs without it")


def say(text):
    os.write(2, f"packlight: {text}\n".encode("utf-8", "replace"))


# Folders by which others get into a process: they put one in front of PYTHONPATH.
INJECTED = (
    ("opentelemetry/instrumentation/auto_instrumentation", "opentelemetry-instrument or the OpenTelemetry Operator"),
    ("ddtrace/bootstrap", "ddtrace-run"),
    ("/datadog-lib", "Datadog's admission controller"),
    ("/opt/datadog-packages", "Datadog's single step instrumentation"),
    ("newrelic/bootstrap", "newrelic-admin"),
)


def _injected(path):
    """Who has instrumented this process before us; None: nobody. Two agents would tell every request twice."""
    return next((who for folder, who in INJECTED if folder in path), None)


def _is_ours(pid):
    if not pid or not pid.isdigit():
        return False
    pid = int(pid)
    if os.getpid() == pid:
        return True
    argv = getattr(sys, "orig_argv", None) or _command(os.getpid())
    if os.getppid() == pid:
        if _is_shell(pid):
            return not _is_short(argv)
        return _is_server_child(argv, pid)
    # sh -c "sh start.sh": shells all the way up to the process that the launcher started.
    return _is_below_shells(pid) and not _is_short(argv)


def _is_server_child(argv, parent):
    """Is this a worker of the instrumented Python process above it, or the app again (a reloader)?"""
    code = _after(argv, "-c")
    if code is not None:
        return code.startswith(("from multiprocessing.spawn import", "from multiprocessing.forkserver import"))
    return _program(argv) == _program(_command(parent)) is not None


def _program(argv):
    """What the interpreter was asked to run: a script's path or (-m, module); None when it can't be told."""
    module = _after(argv, "-m")
    if module is not None:
        return ("-m", module)
    for word in argv[1:]:
        if not word.startswith("-"):
            # Werkzeug's reloader starts `python -m flask` again as `python .../flask/__main__.py`.
            head, tail = os.path.split(word)
            return ("-m", os.path.basename(head)) if tail == "__main__.py" else ("script", os.path.basename(word))
    return None


def _after(argv, flag):
    for position, word in enumerate(argv[1:], 1):
        if word == flag:
            return argv[position + 1] if position + 1 < len(argv) else ""
        if not word.startswith("-"):
            return None
    return None


def _is_short(argv):
    if _after(argv, "-c") is not None or len(argv) < 2:
        return True
    words = [word for word in argv[1:] if not word.startswith("-")]
    module = _after(argv, "-m")
    if module is None and not words:
        return True  # options alone, or `-`: what somebody types
    if module is not None and module.split(".")[0] in SHORT_MODULES:
        return True
    if words and os.path.basename(words[0]) in SHORT_SCRIPTS:
        return True
    return len(words) > 1 and words[1] in SHORT_COMMANDS


def _is_below_shells(pid):
    above = os.getppid()
    for _ in range(6):
        if above <= 0 or not _is_shell(above):
            return False
        if above == pid:
            return True
        above = _parent(above)
    return False


def _is_shell(pid):
    command = _command(pid)
    return bool(command) and os.path.basename(command[0]).lstrip("-") in SHELLS


def _command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return [word.decode("utf-8", "replace") for word in file.read().split(b"\0")[:-1]]
    except OSError:
        return []


def _parent(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
