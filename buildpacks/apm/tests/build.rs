//! bin/build as a lifecycle runs it, with a real uv and the machine's own package index.

#![expect(clippy::unwrap_used, reason = "a test says what it could not do by failing")]

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// A build's directories, and an app's environment whose packages are only names: nothing of them is run.
struct Room {
    dir: tempfile::TempDir,
}

impl Room {
    fn new(installed: &[&str]) -> Self {
        let room = Self { dir: tempfile::tempdir().unwrap() };
        for name in ["layers", "platform/env", "app", "buildpack/bin"] {
            fs_err::create_dir_all(room.at(name)).unwrap();
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        fs_err::copy(root.join("buildpack.toml"), room.at("buildpack/buildpack.toml")).unwrap();
        fs_err::copy(env!("CARGO_BIN_EXE_packlight-agent"), room.at("buildpack/bin/packlight-agent"))
            .unwrap();
        fs_err::write(room.at("plan.toml"), "").unwrap();
        fs_err::write(room.at("platform/env/BP_OCI_TITLE"), "my-app").unwrap();
        python(&["-m", "venv", "--without-pip", room.at("venv").to_str().unwrap()]);
        let lib = fs_err::read_dir(room.at("venv/lib")).unwrap().next().unwrap().unwrap().path();
        // As packlight/python leaves it.
        fs_err::write(lib.join("site-packages/_packlight_hook.py"), "").unwrap();
        for name in installed {
            let info = lib.join(format!("site-packages/{name}.dist-info"));
            fs_err::create_dir_all(&info).unwrap();
            let (name, version) = name.rsplit_once('-').unwrap();
            let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
            fs_err::write(info.join("METADATA"), metadata).unwrap();
        }
        room
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, program: &str, path: &Path, variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildpack-apm"));
        command.arg0(program).current_dir(self.at("app"));
        command.env("PATH", format!("{}:/usr/bin:/bin", path.display())).env("VIRTUAL_ENV", self.at("venv"));
        let dirs = [("BUILDPACK_DIR", "buildpack"), ("PLATFORM_DIR", "platform"), ("LAYERS_DIR", "layers")];
        let files = [("BP_PLAN_PATH", "plan.toml"), ("BUILD_PLAN_PATH", "detected.toml")];
        for (name, place) in dirs.into_iter().chain(files) {
            command.env(format!("CNB_{name}"), self.at(place));
        }
        command.envs(variables.iter().copied()).output().unwrap()
    }

    /// What was logged.
    fn build(&self, path: &Path) -> String {
        let out = self.run("build", path, &[]);
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
        text
    }

    fn lock(&self) -> String {
        fs_err::read_to_string(self.at("layers/lock/packlight.lock")).unwrap()
    }

    fn bind_lock(&self) {
        let binding = self.at("platform/bindings/packlight-lock");
        fs_err::create_dir_all(&binding).unwrap();
        fs_err::write(binding.join("type"), "packlight-lock").unwrap();
        fs_err::write(binding.join("packlight.lock"), self.lock()).unwrap();
    }

    fn ask_for(&self, agents: &str) {
        fs_err::write(self.at("platform/env/PACKLIGHT_AGENT"), agents).unwrap();
    }

    fn agent_files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut dirs = vec![self.at("layers/opentelemetry")];
        while let Some(dir) = dirs.pop() {
            for entry in fs_err::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => dirs.push(path),
                    false => drop(files.insert(path.clone(), fs_err::read(&path).unwrap())),
                }
            }
        }
        files
    }
}

fn python(args: &[&str]) {
    let out = Command::new("python3").args(args).output().unwrap();
    assert!(out.status.success(), "python3 {args:?}:\n{}", String::from_utf8_lossy(&out.stderr));
}

/// The folder of a `uv` that the machine's pip has installed.
fn uv() -> &'static Path {
    static UV: OnceLock<PathBuf> = OnceLock::new();
    UV.get_or_init(|| {
        let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("uv-0.13.9");
        if !venv.join("bin/uv").exists() {
            python(&["-m", "venv", "--without-pip", venv.to_str().unwrap()]);
            let interpreter = venv.join("bin/python");
            let interpreter = interpreter.to_str().unwrap();
            python(&["-m", "pip", "--python", interpreter, "install", "-q", "uv==0.13.9"]);
        }
        venv.join("bin")
    })
}

/// A layer of another buildpack, for launch alone, as its own build would not show it to a later one.
fn other_layer(room: &Room, name: &str, env: &[(&str, &str)]) -> PathBuf {
    let layer = room.at("others").join(name);
    fs_err::create_dir_all(layer.join("env.launch")).unwrap();
    fs_err::write(layer.with_extension("toml"), "[types]\nlaunch = true\n").unwrap();
    for (file, value) in env {
        fs_err::write(layer.join("env.launch").join(file), value).unwrap();
    }
    layer
}

/// The agent's build after other buildpacks: nothing in the environment, no uv, all layers side by side.
fn build_beside_others(room: &Room) -> String {
    let root = room.at("all");
    fs_err::create_dir_all(&root).unwrap();
    fs_err::rename(room.at("others"), root.join("other_python")).unwrap();
    fs_err::create_dir_all(root.join("packlight_apm")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_buildpack-apm"));
    command.arg0("build").current_dir(room.at("app")).env_remove("VIRTUAL_ENV").env("PATH", "/usr/bin:/bin");
    let dirs = [("BUILDPACK_DIR", "buildpack"), ("PLATFORM_DIR", "platform"), ("BP_PLAN_PATH", "plan.toml")];
    for (name, place) in dirs {
        command.env(format!("CNB_{name}"), room.at(place));
    }
    let out = command.env("CNB_LAYERS_DIR", root.join("packlight_apm")).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    text
}

/// What the app says when it is started with these variables, its agent woken through PYTHONPATH and writing to the console.
fn started(room: &Room, python: &Path, env: &[(&str, String)]) -> String {
    let layer = room.at("all/packlight_apm/opentelemetry");
    let folder = fs_err::read_dir(layer.join("path")).unwrap().next().unwrap().unwrap().path();
    let beside: Vec<_> = fs_err::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(beside, ["sitecustomize.py"], "whatever lies beside it shadows the app's");
    let rest = env.iter().find(|it| it.0 == "PYTHONPATH").map(|it| format!(":{}", it.1)).unwrap_or_default();
    // The process that the launcher became is this command's: it is told by `exec`.
    let app = "import flask, sys\nprint(flask.__version__, 'opentelemetry.sdk' in sys.modules, sys.path[1:2])\n\
               app = flask.Flask('a')\n@app.get('/')\ndef hello(): return 'hello'\nprint(app.test_client().get('/').text)";
    fs_err::write(room.at("app/main.py"), app).unwrap();
    let script = format!("PACKLIGHT_AGENT_PID=$$ exec '{}' main.py", python.display());
    let out = Command::new("sh")
        .args(["-c", &script])
        .current_dir(room.at("app"))
        .envs(env.iter().map(|(name, value)| (name, value)))
        .env("PYTHONPATH", format!("{}{rest}", folder.display()))
        .env("PACKLIGHT_PYTHON_AGENT", layer.join("python"))
        .envs([
            ("OTEL_TRACES_EXPORTER", "console"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ])
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[test]
fn an_app_whose_packages_another_buildpack_put_on_pythonpath_gets_an_agent_and_is_not_changed() {
    // As Paketo's pip-install does it: a folder of a layer for launch, named by PYTHONPATH.
    let room = Room::new(&[]);
    let layer = other_layer(&room, "packages", &[("PYTHONPATH.delim", ":")]);
    let site = layer.join("lib/site-packages");
    python(&[
        "-m",
        "pip",
        "install",
        "-q",
        "--target",
        site.to_str().unwrap(),
        "flask==3.0.3",
        "werkzeug==3.0.4",
    ]);
    fs_err::write(site.join("sitecustomize.py"), "print('the app has its own')\n").unwrap();
    let moved = room.at("all/other_python/packages/lib/site-packages").display().to_string();
    fs_err::write(layer.join("env.launch/PYTHONPATH.prepend"), &moved).unwrap();
    let log = build_beside_others(&room);
    assert!(log.contains("with /usr/bin/python3's pip"), "{log}");
    assert!(log.contains("for flask 3.0.3, urllib, sqlite3"), "{log}");
    assert!(log.contains("woken through PYTHONPATH at launch"), "{log}");
    let said = started(&room, Path::new("/usr/bin/python3"), &[("PYTHONPATH", moved.clone())]);
    assert!(said.starts_with("the app has its own\n"), "{said}");
    assert!(said.contains(&format!("\n3.0.3 True ['{moved}']\n")), "{said}");
    assert!(said.contains("\nhello\n"), "{said}");
    assert!(said.contains("GET /"), "a span: {said}");
}

#[test]
fn an_app_in_another_buildpacks_virtual_environment_gets_an_agent() {
    // As Heroku does it: a virtual environment in a layer, with its bin in the path.
    let room = Room::new(&[]);
    let venv = room.at("all/other_python/venv").display().to_string();
    let layer = other_layer(&room, "venv", &[("VIRTUAL_ENV", &venv)]);
    python(&["-m", "venv", layer.to_str().unwrap()]);
    let inner = layer.join("bin/python");
    python(&["-m", "pip", "--python", inner.to_str().unwrap(), "install", "-q", "flask==3.1.3"]);
    let log = build_beside_others(&room);
    assert!(log.contains(&format!("with {venv}/bin/python's pip")), "{log}");
    assert!(log.contains("for flask 3.1.3, urllib, sqlite3"), "{log}");
    let said = started(&room, &Path::new(&venv).join("bin/python"), &[]);
    assert!(said.contains("3.1.3 True") && said.contains("hello") && said.contains("GET /"), "{said}");
}

#[test]
fn an_app_that_is_not_python_gets_no_agent_whatever_the_build_image_has() {
    let room = Room::new(&[]);
    let layer = other_layer(&room, "java", &[("JAVA_HOME", "/x")]);
    fs_err::create_dir_all(layer.join("bin")).unwrap();
    let log = build_beside_others(&room);
    assert!(log.contains("no agent: the app is not written in Python"), "{log}");
    assert!(!room.at("all/packlight_apm/opentelemetry").exists());
}

#[test]
fn versions_that_only_the_app_knows_are_asked_of_no_index_and_count() {
    let room = Room::new(&[
        "flask-3.1.3+mine",
        "typing_extensions-4.999.0+mine",
        "sqlalchemy-0.9.1+mine",
        "pytz-2004d",
    ]);
    let log = room.build(uv());
    assert!(log.contains("version 1.45.1, for flask 3.1.3+mine, urllib, sqlite3\n"), "{log}");
    assert!(log.contains("left out: sqlalchemy 0.9.1+mine (supports >=1.0.0,<2.1.0)"), "{log}");
    assert!(
        !room.agent_files().keys().any(|it| it.to_string_lossy().contains("typing_extensions")),
        "the app has typing_extensions"
    );
}

#[test]
fn what_fits_is_put_in_and_the_same_input_is_asked_nothing_and_gives_the_same_bytes() {
    let room = Room::new(&["flask-3.1.3", "sqlalchemy-2.1.0", "markupsafe-3.0.3"]);
    let log = room.build(uv());
    assert!(log.contains("version 1.45.1, for flask 3.1.3, urllib, sqlite3\n"), "{log}");
    assert!(log.contains("left out: sqlalchemy 2.1.0 (supports >=1.0.0,<2.1.0)"), "{log}");
    let (files, lock) = (room.agent_files(), room.lock());
    assert!(files.keys().any(|it| it.extension().is_some_and(|it| it == "pyc")));
    assert!(!files.keys().any(|it| it.ends_with("RECORD")), "a record lists what is no more");
    assert!(
        !files.keys().any(|it| it.to_string_lossy().contains("site-packages/flask/")),
        "the app has flask"
    );
    assert!(!files.keys().any(|it| it.to_string_lossy().contains(".so")), "only wheels without machine code");
    let cyclonedx = fs_err::read_to_string(room.at("layers/opentelemetry.sbom.cdx.json")).unwrap();
    assert!(
        cyclonedx.contains("supports >=1.0.0,<2.1.0")
            && cyclonedx.contains("pkg:pypi/opentelemetry-sdk@1.45.1")
    );

    room.bind_lock();
    let nowhere = Path::new("/nowhere");
    let log = room.build(nowhere);
    assert!(log.contains("layer opentelemetry: kept") && log.contains("layer config: kept"), "{log}");
    assert!(room.at("layers/opentelemetry/agent.toml").is_file());
    assert!(room.at("layers/config/exec.d/packlight-agent").is_file());
    assert!(!room.at("layers/opentelemetry/exec.d").exists(), "one launch program for all agents");
    fs_err::write(room.at("platform/env/BP_OCI_TITLE"), "another").unwrap();
    let log = room.build(nowhere);
    assert!(log.contains("layer opentelemetry: kept") && log.contains("who the app is"), "{log}");

    fs_err::remove_dir_all(room.at("layers")).unwrap();
    fs_err::create_dir_all(room.at("layers")).unwrap();
    room.build(uv());
    assert_eq!(room.lock(), lock);
    let again = room.agent_files();
    assert!(files.keys().eq(again.keys()));
    let differ: Vec<_> =
        files.iter().filter(|(path, bytes)| again[*path] != **bytes).map(|it| it.0).collect();
    assert!(differ.is_empty(), "{differ:?}");
}

#[test]
fn an_apps_own_opentelemetry_decides_the_versions_and_is_not_installed_again() {
    let own =
        ["opentelemetry_api-1.27.0", "opentelemetry_sdk-1.27.0", "opentelemetry_semantic_conventions-0.48b0"];
    // `deprecated`, which that API needs, brings the newest wrapt along, which nobody had tried then.
    let room = Room::new(
        &[&["flask-3.1.3", "urllib3-2.8.0", "wrapt-2.5.2", "deprecated-3.0.1"], own.as_slice()].concat(),
    );
    let log = room.build(uv());
    assert!(log.contains("version 1.27.0, for flask 3.1.3, urllib3 2.8.0"), "{log}");
    let lock = room.lock();
    assert!(lock.contains("name = \"opentelemetry-instrumentation-flask\"\nversion = \"0.48b0\""), "{lock}");
    for absent in
        ["opentelemetry-sdk", "opentelemetry-api", "flask\"\nversion = \"3.1.3\"\nsha256", "setuptools"]
    {
        assert!(!lock.contains(&format!("name = \"{absent}\"")), "{absent} in {lock}");
    }
}

#[test]
fn several_agents_have_a_layer_a_section_and_a_label_each() {
    let room = Room::new(&["flask-3.1.3", "falcon-2.0.0", "wrapt-1.16.0", "urllib3-1.26.20"]);
    room.ask_for("opentelemetry,datadog newrelic,elastic,sentry,datadog");
    let log = room.build(uv());
    assert!(log.contains("left out: falcon 2.0.0 (supports >=3.0)"), "{log}");
    assert!(log.contains("such as NEW_RELIC_LICENSE_KEY"), "{log}");
    let lock = room.lock();
    for (vendor, package) in [
        ("opentelemetry", "opentelemetry-sdk"),
        ("datadog", "ddtrace"),
        ("newrelic", "newrelic"),
        ("elastic", "elastic-apm"),
        ("sentry", "sentry-sdk"),
    ] {
        let about = fs_err::read_to_string(room.at(&format!("layers/{vendor}/agent.toml"))).unwrap();
        assert!(about.contains(&format!("vendor = \"{vendor}\"")), "{about}");
        assert!(about.contains("name = \"flask\"\nversion = \"3.1.3\""), "{about}");
        let sbom = fs_err::read_to_string(room.at(&format!("layers/{vendor}.sbom.spdx.json"))).unwrap();
        assert!(sbom.contains(&format!("pkg:pypi/{package}@")), "{package} in {sbom}");
        assert!(lock.contains(&format!("[agent.{vendor}]")), "{lock}");
        let site = room.at(&format!("layers/{vendor}/site-packages"));
        assert!(!site.join("wrapt").exists() && !site.join("urllib3").exists(), "the app has its own");
    }
    let launch = fs_err::read_to_string(room.at("layers/launch.toml")).unwrap();
    for vendor in ["opentelemetry", "datadog", "newrelic", "elastic", "sentry"] {
        let label = format!("key = \"io.packlight.agent.{vendor}\"\nvalue = \"");
        let value = launch.split_once(&label).unwrap_or_else(|| panic!("{vendor} in {launch}")).1;
        assert!(value.lines().next().unwrap().contains(" for flask 3.1.3"), "{value}");
    }
    // What is installed beside the app's packages is told by the layer's label, too.
    let toml = fs_err::read_to_string(room.at("layers/elastic.toml")).unwrap();
    assert!(toml.contains("\"elastic-apm=="), "{toml}");

    // Without a word from an index: the lock has all of it.
    room.bind_lock();
    let log = room.build(Path::new("/nowhere"));
    assert!(log.contains("layer datadog: kept") && log.contains("layer sentry: kept"), "{log}");
}

#[test]
fn an_agent_that_cannot_fit_is_left_out_with_the_reason_and_the_others_are_there() {
    let room = Room::new(&["flask-3.1.3", "wrapt-0.9.0", "sentry_sdk-1.0.0"]);
    room.ask_for("datadog,sentry,newrelic");
    let log = room.build(uv());
    assert!(
        log.contains("left out: flask 3.1.3 (ddtrace needs wrapt>=1,<2.2.0, the app has wrapt 0.9.0)"),
        "{log}"
    );
    assert!(log.contains("(the app has sentry-sdk 1.0.0, the agent needs sentry-sdk>=2.0.0)"), "{log}");
    assert!(!room.at("layers/datadog").exists() && !room.at("layers/sentry").exists());
    assert!(room.at("layers/newrelic/agent.toml").is_file());
}

#[test]
fn an_opentelemetry_that_is_too_old_leaves_the_agent_out_with_the_reason() {
    let room = Room::new(&["flask-3.1.3", "opentelemetry_api-1.15.0"]);
    let log = room.build(Path::new("/nowhere"));
    assert!(
        log.contains(
            "left out: flask 3.1.3 (the app has opentelemetry-api 1.15.0, the agent needs 1.20 or newer)"
        ),
        "{log}"
    );
    assert!(!room.at("layers/opentelemetry").exists());
}

#[test]
fn no_agent_or_one_that_is_not_there_is_answered_in_detection() {
    let room = Room::new(&[]);
    let nowhere = Path::new("/nowhere");
    assert_eq!(room.run("detect", nowhere, &[("PACKLIGHT_AGENT", "none")]).status.code(), Some(100));
    assert_eq!(room.run("detect", nowhere, &[]).status.code(), Some(0));
    let out = room.run("detect", nowhere, &[("PACKLIGHT_AGENT", "opentelemetry,splunk")]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stdout).contains("Take one that is there: opentelemetry, datadog,"));
}

#[test]
fn an_index_that_cannot_be_reached_is_an_error_that_says_so() {
    let room = Room::new(&["flask-3.1.3"]);
    let out = room.run(
        "build",
        uv(),
        &[("PIP_INDEX_URL", "http://user:hunter2@127.0.0.1:9/simple"), ("UV_HTTP_RETRIES", "0")],
    );
    let text = String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(text.contains("error: the agent's packages could not be chosen"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn every_row_names_a_class_that_exists_in_its_package() {
    let target = tempfile::tempdir().unwrap();
    let table = buildpack_apm::vendors::opentelemetry::VENDOR.python.unwrap().table;
    let agent: buildpack_apm::vendors::PythonAgent = toml::from_str(table).unwrap();
    let packages: std::collections::BTreeSet<&str> =
        agent.library.iter().map(|it| it.package.as_str()).collect();
    let mut args =
        vec!["-m", "pip", "install", "-q", "--no-deps", "--target", target.path().to_str().unwrap()];
    args.extend(packages);
    python(&args);
    for library in &agent.library {
        let (module, class) = library.class.split_once(':').unwrap();
        let file = target.path().join(module.replace('.', "/")).join("__init__.py");
        let text = fs_err::read_to_string(&file).unwrap();
        let has = text.contains(&format!("class {class}(")) || text.contains(&format!("import {class}\n"));
        assert!(has, "{class} in {}", file.display());
    }
}

#[test]
fn the_launch_program_answers_on_descriptor_three_when_a_process_type_is_started() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("config/exec.d/packlight-agent");
    fs_err::create_dir_all(dir.path().join("opentelemetry")).unwrap();
    testing::program(&program, fs_err::read(env!("CARGO_BIN_EXE_packlight-agent")).unwrap()).unwrap();
    let config = dir.path().join("config/config.toml");
    fs_err::write(&config, "[identity]\n\"service.name\" = \"my-app\"\n").unwrap();
    let about = "vendor = \"opentelemetry\"\nversion = \"1\"\n";
    fs_err::write(dir.path().join("opentelemetry/agent.toml"), about).unwrap();
    let launch = |name: &str| {
        let inner = format!("'{}' 3>'{}/out'; :", program.display(), dir.path().display());
        let out = Command::new("bash")
            .args(["-c", &format!("exec -a {name} bash -c \"{inner}\"")])
            .env("OTEL_TRACES_EXPORTER", "console")
            .output()
            .unwrap();
        assert!(out.status.success());
        (fs_err::read_to_string(dir.path().join("out")).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let (set, said) = launch("/cnb/process/web");
    assert!(set.contains("OTEL_SERVICE_NAME = \"my-app\"\n"), "{set}");
    assert!(
        set.contains(&format!("PACKLIGHT_PYTHON_AGENT = \"{}/opentelemetry/python\"", dir.path().display())),
        "{set}"
    );
    assert_eq!(said, "packlight: opentelemetry 1: traces → console; instruments nothing\n");
    assert_eq!(launch("launcher"), (String::new(), String::new()));
    fs_err::write(&config, "no toml").unwrap();
    let (set, said) = launch("/cnb/process/web");
    assert_eq!(set, "");
    assert!(said.starts_with("packlight: the agent stays asleep ("), "{said}");
}

type Names = &'static [&'static str];
type Lines = &'static [(&'static str, &'static str)];
/// What an app may have that an agent quarrels with: a name, what is installed, and what is run before the app is made.
/// `module=distribution` are those whose version and place the running app is asked for.
const CONFLICTS: &[(&str, Names, Names, Lines)] = &[
    (
        "a lock of 2022",
        &[
            "flask==2.2.5",
            "werkzeug==2.2.3",
            "protobuf==3.20.3",
            "urllib3==1.26.20",
            "requests==2.28.2",
            "wrapt==1.15.0",
            "typing_extensions==4.4.0",
        ],
        &[
            "google.protobuf=protobuf",
            "urllib3=urllib3",
            "wrapt=wrapt",
            "typing_extensions=typing_extensions",
        ],
        &[("nothing", "")],
    ),
    (
        "its own loops",
        &["flask==3.1.3", "gevent==26.9.0", "eventlet==0.40.3", "uvloop==0.22.1"],
        &["gevent=gevent", "eventlet=eventlet", "uvloop=uvloop", "greenlet=greenlet"],
        &[
            ("gevent", "from gevent import monkey; monkey.patch_all()"),
            ("eventlet", "import eventlet; eventlet.monkey_patch()"),
            ("uvloop", "import asyncio, uvloop; asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())"),
        ],
    ),
];
const OBSERVED: &str = r#"
import asyncio, flask, importlib, importlib.metadata, sys
app = flask.Flask("app")
@app.get("/")
def hello():
    return "hello"
async def main():
    print(app.test_client().get("/").text, type(asyncio.get_running_loop()).__module__, file=sys.stderr)
asyncio.run(main()) if "uvloop" in sys.modules else print(app.test_client().get("/").text, file=sys.stderr)
for pair in sys.argv[1:]:
    module, _, name = pair.partition("=")
    print(name, importlib.metadata.version(name), importlib.import_module(module).__file__, file=sys.stderr)
"#;

#[test]
fn what_an_app_has_is_what_it_runs_with_and_its_request_is_told() {
    for (name, packages, asked, preludes) in CONFLICTS {
        let room = Room::new(&[]);
        let interpreter = room.at("venv/bin/python");
        let interpreter = interpreter.to_str().unwrap();
        python(&[&["-m", "pip", "--python", interpreter, "install", "-q"], *packages].concat());
        let log = room.build(uv());
        assert!(log.contains("for flask "), "{name}: {log}");
        for (prelude, line) in *preludes {
            fs_err::write(room.at("app/main.py"), format!("{line}\n{OBSERVED}")).unwrap();
            let without = observed(&room, asked, false);
            assert!(without.1.starts_with("hello") && without.0.is_empty(), "{prelude}: {without:?}");
            for pinned in packages.iter().filter(|it| asked.iter().any(|asked| is_of(asked, it))) {
                assert!(without.1.contains(&pinned.replace("==", " ")), "{pinned}: {}", without.1);
            }
            let with = observed(&room, asked, true);
            assert_eq!(said(&with.1), said(&without.1), "{name}, {prelude}: what the app has");
            assert_eq!(with.0.matches("SpanKind.SERVER").count(), 1, "{name}, {prelude}: {}", with.0);
        }
    }
}

/// Without what eventlet alone says now and then while the interpreter ends.
fn said(text: &str) -> &str {
    text.split("Exception ignored in").next().unwrap()
}

fn is_of(asked: &str, pinned: &str) -> bool {
    asked.split('=').nth(1) == pinned.split("==").next()
}

/// What the app prints, to (standard output, where spans go; standard error) with or without its agent.
fn observed(room: &Room, asked: &[&str], is_awake: bool) -> (String, String) {
    let script = "import os, sys\n\
        folder = os.environ['PACKLIGHT_PYTHON_AGENT']\n\
        sys.path.insert(0, folder)\nimport packlight_start\nsys.path.remove(folder)\npacklight_start.start()\n";
    let lib = fs_err::read_dir(room.at("venv/lib")).unwrap().next().unwrap().unwrap().path();
    fs_err::write(lib.join("site-packages/_packlight_hook.py"), script).unwrap();
    let pth = "import os; \"PACKLIGHT_PYTHON_AGENT\" in os.environ and __import__(\"_packlight_hook\")\n";
    fs_err::write(lib.join("site-packages/packlight.pth"), pth).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "PACKLIGHT_AGENT_PID=$$ exec ../venv/bin/python main.py \"$@\"", "sh"]).args(asked);
    command
        .current_dir(room.at("app"))
        .env("OTEL_TRACES_EXPORTER", "console")
        .env("PYTHONWARNINGS", "ignore");
    if is_awake {
        command.env("PACKLIGHT_PYTHON_AGENT", room.at("layers/opentelemetry/python"));
    }
    let out = command.output().unwrap();
    let (told, said) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}");
    (told.into_owned(), said.into_owned())
}
