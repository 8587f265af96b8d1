"""Which processes are the app's, and that everything else is left alone; and a broken agent breaks no app."""

import os
import shutil
import unittest

from support import BARE, SOURCE, VENVS, AgentTest

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


    def test_what_the_app_starts_is_left_alone_whatever_interpreter_and_options_it_has(self):
        self.write("other.py", AWAKE)
        other = VENVS / "sdk120" / "bin" / "python"
        self.write("app.py", """
import os, subprocess, sys
for command in ([sys.executable, "-E"], [sys.executable, "-I"], [sys.executable, "-S"], [%r], ["/usr/bin/python3"]):
    subprocess.run([*command, "other.py"], check=True)
print(os.environ.get("PYTHONPATH"))
""" % str(other))
        out, err = self.run_app(BARE, "python", "app.py", **CONSOLE)
        self.assertEqual((out.split(), err), (["asleep"] * 5 + ["None"], ""))

    def test_without_site_packages_the_app_runs_and_is_not_observed(self):
        app = self.write("app.py", AWAKE)
        self.assertEqual([self.lines("python", option, app) for option in ("-E", "-I", "-S")], [["awake"], ["awake"], ["asleep"]])

    def test_the_users_sitecustomize_and_pythonpath_are_as_without_the_agent(self):
        (self.folder / "mine").mkdir()
        self.write("mine/sitecustomize.py", "print('mine')\n")
        self.write("mine/exits.py", "print('my exits')\n")
        app = self.write("app.py", "import exits, flask, os, sys; print(sys.path, os.environ['PYTHONPATH'])")
        paths = {"PYTHONPATH": f"{self.folder / 'mine'}:/nothing"}
        without, _ = self.run_app(BARE, "python", app, PACKLIGHT_PYTHON_AGENT=None, **CONSOLE, **paths)
        self.assertEqual(without.splitlines()[:2], ["mine", "my exits"])
        out, err = self.run_app(BARE, "python", app, **CONSOLE, **paths)
        # The agent's packages go last, where they are before nothing of the app's.
        expected = without.replace("] ", f", '{self.layer / 'site-packages'}'] ")
        self.assertEqual((out, err), (expected, ""))

    def test_an_interpreter_that_somebody_types_into_is_left_alone(self):
        text = AWAKE.replace("'", '"')
        self.assertEqual(self.lines("sh", "-c", f"echo '{text}' | python; true", shell="child"), ["asleep"])
        self.assertEqual(self.lines("sh", "-c", f"echo '{text}' | python -; true", shell="child"), ["asleep"])

    def test_a_check_of_the_containers_health_is_left_alone(self):
        # An engine starts it beside the app: it has the image's variables and none of the launch program's.
        app = self.write("check.py", AWAKE)
        self.assertEqual(self.lines("python", app, PACKLIGHT_PYTHON_AGENT=None), ["asleep"])
        # A supervisor inside of the container has them all.
        self.assertEqual(self.lines("sh", "-c", f"env PACKLIGHT_AGENT_PID=1 python {app}; true", shell="child"), ["asleep"])

    def test_the_commands_of_a_management_script_are_left_alone_below_a_shell(self):
        app = self.write("manage.py", AWAKE)
        for command in ("migrate", "collectstatic", "shell", "createsuperuser", "check", "test"):
            self.assertEqual(self.lines("sh", "-c", f"python {app} {command}; true", shell="child"), ["asleep"], command)


class Confined(AgentTest):
    """The app answers, and as far as the machine lets it, it is observed."""

    APP = "import flask\napp = flask.Flask('a')\n@app.get('/')\ndef hello(): return 'hello'\nprint(app.test_client().get('/').text)\n"

    def test_where_nothing_can_be_written(self):
        app, sink = self.write("app.py", self.APP), self.sink()
        line = f"mount -o bind / / && mount -o remount,ro,bind / && ! touch {self.folder}/x 2>&- && exec python {app}"
        line = line.replace("exec python", "PACKLIGHT_AGENT_PID=$$ exec python")
        out, err = self.run_app(
            BARE, "unshare", *(() if os.geteuid() == 0 else ("-r",)), "-m", "sh", "-c", line, OTEL_EXPORTER_OTLP_ENDPOINT=sink.url,
        )
        self.assertEqual((out, err), ("hello\n", ""))
        self.assertEqual(len(sink.spans()), 1)

    def test_where_memory_ends_while_the_agent_is_imported(self):
        (self.layer / "site-packages").unlink()
        package = self.layer / "site-packages/opentelemetry"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise MemoryError\n")
        out, err = self.python(BARE, self.APP, **CONSOLE)
        self.assertEqual(out, "hello\n")
        self.assertEqual(len(err.splitlines()), 1, err)
        self.assertIn("MemoryError", err)


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
