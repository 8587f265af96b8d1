//! The agent's Python code, tested in real interpreters with real packages, which come through the machine's own pip.

#![expect(clippy::unwrap_used, reason = "a test says what it could not do by failing")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Environments: a name and what is installed. `layer` is what the build would put into the agent's layer.
const VENVS: &[(&str, &[&str])] = &[
    ("bare", &["flask==3.1.3", "gunicorn", "requests", "celery==5.7.0", "redis", "packaging"]),
    ("sdk120", &["flask==3.1.3", "opentelemetry-sdk==1.20.0", "opentelemetry-instrumentation-flask==0.41b0"]),
    ("sdk127", &["flask==3.1.3", "opentelemetry-sdk==1.27.0", "opentelemetry-instrumentation-flask==0.48b0"]),
    (
        "servers",
        &[
            "flask==3.1.3",
            "fastapi",
            "django",
            "gunicorn",
            "gevent",
            "uvicorn",
            "uvicorn-worker",
            "hypercorn",
            "waitress",
            "celery==5.7.0",
            "redis",
            "requests",
            "httpx",
        ],
    ),
    ("testagent", &["ddapm-test-agent==1.69.1"]),
    // This one also runs the tests: with Google's protobuf, which the agent does without.
    (
        "newest",
        &[
            "flask==3.1.3",
            "opentelemetry-sdk==1.45.1",
            "opentelemetry-instrumentation-flask==0.66b1",
            "opentelemetry-proto==1.45.1",
        ],
    ),
];
/// Agents' layers, as the build would fill them.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "layer",
        &[
            "opentelemetry-sdk==1.45.1",
            "opentelemetry-instrumentation-flask==0.66b1",
            "opentelemetry-instrumentation-requests==0.66b1",
            "opentelemetry-instrumentation-celery==0.66b1",
        ],
    ),
    (
        "layer-servers",
        &[
            "opentelemetry-sdk==1.45.1",
            "opentelemetry-instrumentation-flask==0.66b1",
            "opentelemetry-instrumentation-fastapi==0.66b1",
            "opentelemetry-instrumentation-django==0.66b1",
            "opentelemetry-instrumentation-requests==0.66b1",
            "opentelemetry-instrumentation-httpx==0.66b1",
            "opentelemetry-instrumentation-redis==0.66b1",
            "opentelemetry-instrumentation-celery==0.66b1",
        ],
    ),
    ("layer-datadog", &["ddtrace==4.16.0"]),
    ("layer-newrelic", &["newrelic==14.1.0"]),
    ("layer-elastic", &["elastic-apm==6.26.2"]),
    ("layer-sentry", &["sentry-sdk==2.75.0"]),
    // The oldest that each vendor's table takes.
    ("oldest-datadog", &["ddtrace==3.0.0"]),
    ("oldest-newrelic", &["newrelic==9.0.0"]),
    ("oldest-elastic", &["elastic-apm==6.25.0"]),
    ("oldest-sentry", &["sentry-sdk==2.0.0"]),
];

/// What the Python buildpack leaves in an environment, in short.
const HOOK: &str = r#"
import os, sys
def start():
    path = os.path.join(os.environ["PACKLIGHT_PYTHON_AGENT"], "packlight_start.py")
    module = type(sys)("packlight_start")
    module.__file__ = path
    with open(path, "rb") as file:
        exec(compile(file.read(), path, "exec"), module.__dict__)
    sys.modules["packlight_start"] = module
    module.start()
start()
"#;
const PTH: &str = "import os; \"PACKLIGHT_PYTHON_AGENT\" in os.environ and __import__(\"_packlight_hook\")\n";

#[test]
fn our_bytes_are_what_googles_decoder_reads() {
    run("test_encoding");
}

#[test]
fn variables_mean_what_the_specification_says() {
    run("test_settings");
}

#[test]
fn queues_are_bounded_and_retries_end() {
    run("test_sender");
}

#[test]
fn there_is_one_provider_and_each_span_is_told_once() {
    run("test_providers");
}

#[test]
fn what_is_asked_for_arrives_from_every_process() {
    run("test_delivery");
}

#[test]
fn a_trace_runs_on_into_what_the_app_asks_and_every_task_of_a_worker_is_told() {
    run("test_traces");
}

#[test]
fn only_the_apps_own_processes_are_observed_and_a_broken_agent_breaks_no_app() {
    run("test_processes");
}

#[test]
fn every_server_and_kind_of_worker_gives_a_span_for_each_of_a_thousand_requests() {
    run("test_servers");
}

#[test]
fn every_vendors_agent_is_started_and_its_backend_gets_the_request() {
    run("test_vendors");
}

fn run(module: &str) {
    let venvs = venvs();
    let out = Command::new(venvs.join("newest/bin/python"))
        .args(["-m", "unittest", "-q", module])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python"))
        .env("PACKLIGHT_TEST_VENVS", venvs)
        .env("PACKLIGHT_TEST_PROGRAM", env!("CARGO_BIN_EXE_packlight-agent"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(out.status.success(), "{module}:\n{}", String::from_utf8_lossy(&out.stderr));
}

/// Where the environments are; made once, and again when what is in them is to change.
fn venvs() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agent");
        let version = python(&["--version"]);
        let wanted = format!("{version} {VENVS:?} {LAYERS:?} {HOOK}");
        if fs_err::read_to_string(root.join("made")).is_ok_and(|it| it == wanted) {
            return root;
        }
        drop(fs_err::remove_dir_all(&root));
        fs_err::create_dir_all(&root).unwrap();
        for (name, packages) in VENVS {
            let venv = root.join(name);
            python(&["-m", "venv", "--without-pip", venv.to_str().unwrap()]);
            let interpreter = venv.join("bin/python");
            let mut install = vec!["-m", "pip", "--python", interpreter.to_str().unwrap(), "install", "-q"];
            install.extend(*packages);
            python(&install);
            hook(&venv);
        }
        let bare = root.join("bare/bin/python");
        for (name, packages) in LAYERS {
            let layer = root.join(name);
            let mut install =
                vec!["-m", "pip", "--python", bare.to_str().unwrap(), "install", "-q", "--target"];
            install.push(layer.to_str().unwrap());
            install.extend(*packages);
            python(&install);
        }
        fs_err::write(root.join("made"), wanted).unwrap();
        root
    })
}

fn hook(venv: &Path) {
    let lib = fs_err::read_dir(venv.join("lib")).unwrap().next().unwrap().unwrap().path();
    fs_err::write(lib.join("site-packages/_packlight_hook.py"), HOOK).unwrap();
    fs_err::write(lib.join("site-packages/packlight.pth"), PTH).unwrap();
}

fn python(args: &[&str]) -> String {
    let out = Command::new("python3").args(args).output().unwrap();
    assert!(out.status.success(), "python3 {args:?}:\n{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}
