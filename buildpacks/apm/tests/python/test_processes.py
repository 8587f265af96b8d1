"""Which processes are the app's, and that everything else is left alone; and a broken agent breaks no app."""

import shutil
import unittest

from support import BARE, SOURCE, AgentTest

AWAKE = "import sys; print('awake' if 'packlight_agent' in sys.modules else 'asleep')"
CONSOLE = {"OTEL_TRACES_EXPORTER": "console"}


class Processes(AgentTest):
    def lines(self, *command, **variables):
        return self.run_app(BARE, *command, **{**CONSOLE, **variables})[0].split()

    def test_the_process_that_the_launcher_became_is_the_app(self):
        self.assertEqual(self.lines("python", self.write("app.py", AWAKE)), ["awake"])
        self.assertEqual(self.lines("python", "app.py", PACKLIGHT_PYTHON_AGENT=None), ["asleep"])

    def test_nothing_of_opentelemetry_is_imported_before_there_is_something_to_observe(self):
        text = "import sys, json, logging\nprint([it for it in sys.modules if it.startswith(('opentelemetry', 'flask', 'requests'))])\n"
        self.assertEqual(self.lines("python", self.write("app.py", text)), ["[]"])

    def test_a_line_of_a_procfile_run_by_a_shell_is_the_app_and_its_short_commands_are_not(self):
        for name in ("app.py", "manage.py"):
            self.write(name, AWAKE)
        self.assertEqual(self.lines("python", "app.py", shell="child"), ["awake"])
        self.assertEqual(self.lines("sh", "-c", "python app.py; true", shell="child"), ["awake"])
        self.assertEqual(self.lines("python", "manage.py", "runserver", shell="child"), ["awake"])
        self.assertEqual(self.lines("python", "manage.py", "migrate", shell="child"), ["asleep"])
        self.assertEqual(self.lines("python", "-c", AWAKE, shell="child"), ["asleep"])

    def test_what_the_app_starts_is_left_alone(self):
        self.write("other.py", AWAKE)
        self.write("app.py", """
import subprocess, sys
for command in (["other.py"], ["-c", %r], ["-m", "other"]):
    subprocess.run([sys.executable, *command], check=True)
subprocess.run(f"{sys.executable} other.py", shell=True, check=True)
""" % AWAKE)
        self.assertEqual(self.lines("python", "app.py"), ["asleep"] * 4)

    def test_the_app_again_is_the_app(self):
        self.write("app.py", """
import os, subprocess, sys
%s
if not os.environ.get("AGAIN"):
    subprocess.run([sys.executable, *sys.argv], check=True, env={**os.environ, "AGAIN": "1"})
""" % AWAKE)
        self.assertEqual(self.lines("python", "app.py"), ["awake", "awake"])

    def test_a_worker_of_multiprocessing_is_the_app_and_its_helpers_are_not(self):
        self.write("app.py", """
import multiprocessing, subprocess, sys
def work():
    %s
    subprocess.run([sys.executable, "-c", %r], check=True)
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        child = multiprocessing.get_context(method).Process(target=work)
        child.start()
        child.join()
""" % (AWAKE.replace("'awake'", "'awake'"), AWAKE))
        self.assertEqual(self.lines("python", "-u", "app.py"), ["awake", "asleep"] * 3)

    def test_another_process_with_the_same_variables_is_left_alone(self):
        self.assertEqual(self.lines("env", "PACKLIGHT_AGENT_PID=1", "python", self.write("app.py", AWAKE)), ["asleep"])
        self.assertEqual(self.lines("env", "PACKLIGHT_AGENT_PID=x", "python", "app.py"), ["asleep"])

    def test_where_another_has_instrumented_already_the_agent_sleeps_and_says_so(self):
        for folder, who in (
            ("/otel/opentelemetry/instrumentation/auto_instrumentation", "the OpenTelemetry Operator"),
            ("/x/ddtrace/bootstrap", "ddtrace-run"),
            ("/x/newrelic/bootstrap", "newrelic-admin"),
        ):
            app = self.write("app.py", AWAKE)
            out, err = self.run_app(BARE, "python", app, **CONSOLE, PYTHONPATH=folder + ":/mine")
            self.assertEqual(out.split(), ["asleep"])
            self.assertIn("the agent stays asleep: this process is instrumented already, by", err)
            self.assertIn(who, err)

    def test_a_disabled_sdk_stays_asleep(self):
        text = "import flask, sys; print([it for it in sys.modules if it.startswith('opentelemetry')])"
        self.assertEqual(self.lines("python", self.write("app.py", text), OTEL_SDK_DISABLED="true"), ["[]"])

    def test_an_instrumentation_can_be_turned_off(self):
        text = "import flask, sys; print([it for it in sys.modules if it.startswith('opentelemetry')])"
        self.assertEqual(self.lines("python", self.write("app.py", text), OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="flask"), ["[]"])

    def test_the_apps_modules_keep_their_own_loader(self):
        text = "import flask, inspect; assert 'def ' in inspect.getsource(flask.app); print(type(flask.__spec__.loader).__name__, flask.__loader__ is flask.__spec__.loader)"
        self.assertEqual(self.lines("python", self.write("app.py", text)), ["SourceFileLoader", "True"])


class Broken(AgentTest):
    APP = "import flask; print('runs')"

    def check(self, *words):
        out, err = self.python(BARE, self.APP, **CONSOLE)
        self.assertEqual(out, "runs\n")
        self.assertEqual(len(err.splitlines()), 1, err)
        for each in ("packlight: ", "the app runs without it", *words):
            self.assertIn(each, err)

    def copy(self):
        (self.layer / "python").unlink()
        shutil.copytree(SOURCE, self.layer / "python", ignore=shutil.ignore_patterns("__pycache__"))
        return self.layer / "python" / "packlight_agent"

    def test_an_agent_that_does_not_parse(self):
        (self.copy() / "sender.py").write_text("no python (")
        self.check("SyntaxError")

    def test_an_agent_with_a_file_missing(self):
        (self.copy() / "sender.py").unlink()
        self.check("ModuleNotFoundError")

    def test_an_agent_without_its_manifest(self):
        (self.layer / "manifest.json").unlink()
        self.check("manifest.json")

    def test_an_instrumentation_that_cannot_be_imported(self):
        self.manifest([{"name": "flask", "import": "flask", "class": "opentelemetry.instrumentation.nothing:Nothing"}])
        self.check("flask is not instrumented")

    def test_packages_that_are_gone(self):
        (self.layer / "site-packages").unlink()
        self.check("flask is not instrumented")


if __name__ == "__main__":
    unittest.main()
