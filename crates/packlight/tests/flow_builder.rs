//! Somebody else's builder, made by a real Docker engine, in the engine and in a real registry.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use support::registry::Registry;
use support::*;

fn docker(args: &[&str]) -> Said {
    say(Command::new("docker").args(args))
}

/// The name of a builder in the engine, whose run image is `RUN`: made once for all tests.
const BUILDER: &str = "flow-builder";
const RUN: &str = "flow-builder-run";

/// A composite whose first member is optional and fails, and one that says what it sees.
const PARTS: &[(&str, &str)] = &[
    ("order.toml", "[[order]]\n[[order.group]]\nid = \"test/all\"\nversion = \"1\"\n"),
    ("run.toml", "[[images]]\nimage = \"localhost:1/flow-builder-run\"\nmirrors = [\"flow-builder-run\"]\n"),
    (
        "buildpacks/test_all/1/buildpack.toml",
        "api = \"0.10\"\n[buildpack]\nid = \"test/all\"\nversion = \"1\"\n[[order]]\n\
         [[order.group]]\nid = \"test/other\"\noptional = true\n[[order.group]]\nid = \"test/hello\"\nversion = \"2\"\n",
    ),
    (
        "buildpacks/test_other/1/buildpack.toml",
        "api = \"0.10\"\n[buildpack]\nid = \"test/other\"\nversion = \"1\"\n[[targets]]\nos = \"linux\"\n",
    ),
    ("buildpacks/test_other/1/bin/detect", "#!/bin/sh\nexit 100\n"),
    ("buildpacks/test_other/1/bin/build", "#!/bin/sh\nexit 1\n"),
    (
        "buildpacks/test_hello/2/buildpack.toml",
        "api = \"0.10\"\n[buildpack]\nid = \"test/hello\"\nversion = \"2\"\n[[targets]]\nos = \"linux\"\n",
    ),
    (
        "buildpacks/test_hello/2/bin/detect",
        "#!/bin/sh\necho looking for hello.txt\ntest -f hello.txt || exit 100\n",
    ),
    (
        "buildpacks/test_hello/2/bin/build",
        r#"#!/bin/sh
set -e
echo "who $(id -u):$(id -g) home $HOME stack $CNB_STACK_ID target $CNB_TARGET_OS/$CNB_TARGET_ARCH"
echo "binding $(cat /platform/bindings/db/type 2>/dev/null || echo none), secret ${CNB_REGISTRY_AUTH:-none}"
echo "hello has ${MINE:-none}"
echo "index $PIP_INDEX_URL, second ${PIP_EXTRA_INDEX_URL:-none}"
mkdir -p "$CNB_LAYERS_DIR/data/env.launch"
if [ -f "$CNB_LAYERS_DIR/data/big" ]; then echo restored; else head -c 2000000 /dev/zero | tr '\0' x >"$CNB_LAYERS_DIR/data/big"; fi
printf hi >"$CNB_LAYERS_DIR/data/env.launch/GREETING.default"
printf '[types]\nlaunch = true\ncache = true\n' >"$CNB_LAYERS_DIR/data.toml"
cat >"$CNB_LAYERS_DIR/launch.toml" <<T
[[processes]]
type = "web"
command = ["sh", "-c", "echo \$GREETING from \$(cat hello.txt) as \$(id -u), \$(wc -c </layers/test_hello/data/big)"]
default = true
T
"#,
    ),
];

fn builder() -> &'static str {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let parts = folder(&[]);
        for (name, text) in PARTS {
            let path = parts.path().join("cnb").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            if name.contains("/bin/") {
                let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
                std::fs::set_permissions(&path, mode).unwrap();
            }
        }
        // Any image with a shell in it will do as a build and as a run image; Packlight makes one.
        let app = plain_app();
        let mut command = packlight(["build", RUN, "--agent", "none", "--output", "docker", "--path"]);
        say(command.arg(app.path())).ok();
        let container = docker(&["create", "--entrypoint", "sh", RUN]).ok().out.trim().to_owned();
        docker(&["cp", parts.path().join("cnb").to_str().unwrap(), &format!("{container}:/")]).ok();
        let changes = [
            "ENV CNB_USER_ID=1234",
            "ENV CNB_GROUP_ID=1000",
            "ENV CNB_STACK_ID=test.stack",
            "ENV CPATH=/opt/include",
            "ENV OTHER=of-the-image",
            "LABEL io.buildpacks.stack.id=test.stack",
        ];
        let mut commit = vec!["commit"];
        changes.iter().for_each(|it| commit.extend(["--change", it]));
        docker(&[commit.as_slice(), &[&container, BUILDER]].concat()).ok();
        docker(&["rm", &container]).ok();
    });
    "docker:flow-builder"
}

fn app() -> tempfile::TempDir {
    folder(&[("hello.txt", "the app\n")])
}

fn build(name: &str, app: &Path, more: &[&str]) -> Said {
    let mut command = packlight(["build", name, "--path"]);
    say(command.arg(app).args(more))
}

const RUN_IMAGE: [&str; 2] = ["--run-image", "docker:flow-builder-run"];

#[test]
fn a_builder_of_the_engine_builds_an_app_that_runs_and_restores_what_it_cached() {
    let (app, name) = (app(), "flow-builder-app");
    let bindings = folder(&[("type", "postgresql")]);
    let volume = format!("{}:/platform/bindings/db", bindings.path().display());
    let args = [&["--builder", builder(), "--volume", &volume, "-o", "store"][..], &RUN_IMAGE].concat();
    let first = [args.as_slice(), &["--clear-cache"]].concat();
    let mut command = packlight(["build", name, "--path"]);
    command.arg(app.path()).args(&first).env("PIP_INDEX_URL", "https://index.example/simple");
    command.env("PIP_EXTRA_INDEX_URL", "https://me:hunter2@index.example/more");
    let all = say(&mut command).ok().both();
    assert!(all.contains("who 1234:1000 home /"), "{all}");
    assert!(all.contains("index https://index.example/simple, second none"), "{all}");
    assert!(all.contains("PIP_EXTRA_INDEX_URL has a password in it") && !all.contains("hunter2"), "{all}");
    assert!(all.contains("stack test.stack target linux/amd64"), "{all}");
    assert!(all.contains("binding postgresql, secret none"), "{all}");
    assert!(!all.contains("restored"), "{all}");
    let again = build(name, app.path(), &args).ok().both();
    assert!(again.contains("restored") && again.contains("test/hello:data  unchanged"), "{again}");
    let ran = say(&mut packlight(["run", name, "--network", "none"])).ok();
    // Who runs is the run image's to say.
    assert_eq!(ran.out, "hi from the app as 1001, 2000000\n");
}

#[test]
fn what_nobody_takes_is_answered_with_who_said_what() {
    let app = folder(&[("other.txt", "")]);
    let args = [&["--builder", builder(), "-o", "store"][..], &RUN_IMAGE].concat();
    build("flow-builder-none", app.path(), &args).fails(20, &["test/hello@2", "looking for hello.txt"]);
}

#[test]
fn what_is_no_builder_or_is_not_there_is_named() {
    let app = app();
    builder();
    let args = ["--builder", "docker:flow-builder-run", "-o", "store"];
    build("flow-builder-bad", app.path(), &args).fails(101, &["flow-builder-run", "/cnb/order.toml"]);
    let args = ["--builder", "docker:flow-builder-nowhere", "-o", "store"];
    build("flow-builder-bad", app.path(), &args)
        .fails(101, &["the Docker engine has no image flow-builder-nowhere"]);
    let args = ["--builder", "localhost:1/nowhere", "-o", "store"];
    build("flow-builder-bad", app.path(), &args).fails(101, &["localhost:1"]);
    let args = ["--run-image", "docker:flow-builder-run", "-o", "store"];
    build("flow-builder-bad", app.path(), &args).fails(2, &["--builder"]);
    let args = ["--builder", "docker:flow-builder", "--volume", "/tmp:/layers/x"];
    build("flow-builder-bad", app.path(), &args).fails(2, &["is the lifecycle's"]);
}

#[test]
fn a_folder_is_a_buildpack_before_and_after_the_builders_and_beside_our_own() {
    let marks = folder(&[
        (
            "buildpack.toml",
            "api = \"0.10\"\n[buildpack]\nid = \"test/marks\"\nversion = \"1\"\nclear-env = true\n[[targets]]\nos = \"linux\"\n",
        ),
        ("bin/detect", "#!/bin/sh\n"),
        (
            "bin/build",
            "#!/bin/sh\necho \"marks has ${MINE:-none}, ${CPATH:-none}, ${OTHER:-none}\"\nprintf '[[labels]]\\nkey = \"marked\"\\nvalue = \"yes\"\\n' >$CNB_LAYERS_DIR/launch.toml\n",
        ),
    ]);
    for it in ["bin/detect", "bin/build"] {
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        std::fs::set_permissions(marks.path().join(it), mode).unwrap();
    }
    let folder = marks.path().to_str().unwrap();
    let layout = folder_path();
    let output = format!("oci:{}", layout.path().join("out").display());
    let args = [
        &["--builder", builder(), "--pre-buildpack", folder, "-v", "-o", &output][..],
        &["-e", "MINE=1"],
        &RUN_IMAGE,
    ]
    .concat();
    let said = build("flow-builder-added", app().path(), &args).ok().both();
    let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("no {text} in {said}"));
    assert!(at("test/marks@1") < at("test/hello@2"), "{said}");
    // The user's variables are files and set by nobody: who wants none of them has none. Of the builder's own those that
    // the specification lists get through.
    assert!(said.contains("hello has 1") && said.contains("marks has none, /opt/include, none"), "{said}");
    let inspected = say(Command::new("skopeo").args(["inspect", "--config", &output]));
    assert!(inspected.ok().out.contains("\"marked\": \"yes\""));

    let args = ["--post-buildpack", folder, "--agent", "none", "-v", "-o", "store"];
    let said = build("flow-builder-own", plain_app().path(), &args).ok().both();
    assert!(said.contains("packlight/python@") && said.contains("test/marks@1"), "{said}");
}

#[test]
fn a_project_names_its_builder_and_its_buildpacks_one_of_them_in_line() {
    builder();
    let app = app();
    std::fs::write(
        app.path().join("project.toml"),
        "[_]\nschema-version = \"0.2\"\n[io.buildpacks]\nbuilder = \"docker:flow-builder\"\nexclude = [\"*.md\"]\n\
         [[io.buildpacks.group]]\nid = \"test/hello\"\nversion = \"2\"\n\
         [[io.buildpacks.post.group]]\nid = \"in/line\"\n[io.buildpacks.post.group.script]\napi = \"0.10\"\n\
         inline = \"echo in line, files: $(ls -A)\"\n",
    )
    .unwrap();
    std::fs::write(app.path().join("README.md"), "left out").unwrap();
    std::fs::write(app.path().join(".env"), "as pack would put it").unwrap();
    let args = [&["-v", "-o", "store"][..], &RUN_IMAGE].concat();
    // Without --builder on the command line, --run-image is refused: it goes with one.
    build("flow-builder-project", app.path(), &args).fails(2, &["--builder"]);
    let said = build("flow-builder-project", app.path(), &["-v", "-o", "store"]).ok().both();
    assert!(said.contains("project.toml asks for the builder docker:flow-builder"), "{said}");
    assert!(
        said.contains("test/hello@2") && said.contains("in/line@0.0.0") && !said.contains("test/other"),
        "{said}"
    );
    let files = said.lines().find(|it| it.contains("in line, files:")).unwrap_or_else(|| panic!("{said}"));
    assert!(
        files.contains(".env") && files.contains("project.toml") && !files.contains("README.md"),
        "{files}"
    );
}

fn folder_path() -> tempfile::TempDir {
    folder(&[])
}

#[test]
fn from_a_registry_into_a_registry_and_what_is_there_is_not_sent_again() {
    builder();
    let registry = Registry::start();
    for it in [BUILDER, RUN] {
        let to = format!("docker://{}", registry.name(it));
        let file = registry.dir().join(it);
        docker(&["save", "-o", file.to_str().unwrap(), it]).ok();
        let from = format!("docker-archive:{}", file.display());
        say(Command::new("skopeo").args(["copy", "-q", "--dest-tls-verify=false", &from, &to])).ok();
    }
    let (app, name) = (app(), registry.name("team/app"));
    let run_image = registry.name(RUN);
    let builder = registry.name(BUILDER);
    let args = ["--builder", &builder, "--run-image", &run_image, "--publish", "-v"];
    let first = build(&name, app.path(), &args).ok();
    let digest =
        first.both().lines().find_map(|it| it.trim().strip_prefix("digest").map(|it| it.trim().to_owned()));
    let digest = digest.unwrap_or_else(|| panic!("no digest in {}", first.both()));
    let to = format!("docker://{name}");
    let inspect = ["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &to];
    assert_eq!(say(Command::new("skopeo").args(inspect)).ok().out.trim(), digest);
    let labels = [
        "inspect",
        "--tls-verify=false",
        "--format",
        "{{index .Labels \"io.buildpacks.lifecycle.metadata\"}}",
        &to,
    ];
    let labels = say(Command::new("skopeo").args(labels)).ok().out;
    assert!(labels.contains(&format!("\"image\":\"{run_image}:latest\"")), "{labels}");
    let blobs = |registry: &Registry| {
        let found = say(Command::new("find")
            .arg(registry.dir().join("data"))
            .args(["-name", "data", "-newer"])
            .arg(registry.dir().join("mark")));
        found.out.lines().count()
    };
    std::fs::write(registry.dir().join("mark"), "").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let again = build(&name, app.path(), &args).ok().both();
    assert!(again.contains(&digest), "{again}");
    assert_eq!(blobs(&registry), 0, "a blob was sent again: {again}");

    // The registry is gone, the builder is in the store: said aloud, and the build goes on.
    drop(registry);
    let args = ["--builder", &builder, "--run-image", &run_image, "-o", "store"];
    let offline = build(&name, app.path(), &args).ok().both();
    assert!(offline.contains("the store's own") && offline.contains(&digest), "{offline}");
    let args = ["--builder", &builder, "--run-image", &run_image, "--pull-policy", "never", "-o", "store"];
    let never = build(&name, app.path(), &args).ok().both();
    assert!(!never.contains("the store's own"), "{never}");
    let args = ["--builder", &builder, "--run-image", &run_image, "--publish"];
    build(&name, app.path(), &args).fails(63, &["could not be pushed"]);
}

/// Says what of the network it reaches.
const PROBE: &str = r#"#!/bin/bash
mkdir -p "$CNB_LAYERS_DIR"
tcp() { if timeout 10 bash -c "exec 3<>/dev/tcp/$1/$2" 2>/dev/null; then echo "way to $3"; else echo "no way to $3"; fi; }
tcp 127.0.0.1 "$LOOPBACK" loopback
tcp 169.254.169.254 80 link-local
tcp "$OUTSIDE" 80 outside
python3.13 -c 'import os, socket; socket.socket(socket.AF_UNIX).connect("\0" + os.environ["ABSTRACT"])' 2>/dev/null &&
    echo "way to abstract" || echo "no way to abstract"
"#;

#[test]
fn somebody_elses_programs_reach_the_outside_and_none_of_this_machines_services() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let loopback = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = loopback.local_addr().unwrap().port().to_string();
    let name = format!("packlight-test-{port}");
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    // Where this machine's own apt asks.
    let sources = say(Command::new("apt-get").arg("indextargets").args(["--format", "$(SITE)"])).ok().out;
    let outside = sources.lines().next().unwrap().split("://").nth(1).unwrap();
    let outside = outside.split(['/', ':']).next().unwrap().to_owned();
    let probe = folder(&[
        (
            "buildpack.toml",
            "api = \"0.10\"\n[buildpack]\nid = \"test/probe\"\nversion = \"1\"\n[[targets]]\nos = \"linux\"\n",
        ),
        ("bin/detect", "#!/bin/sh\n"),
        ("bin/build", PROBE),
    ]);
    for program in ["bin/detect", "bin/build"] {
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        std::fs::set_permissions(probe.path().join(program), mode).unwrap();
    }
    let variables = [format!("LOOPBACK={port}"), format!("ABSTRACT={name}"), format!("OUTSIDE={outside}")];
    let said = |more: &[&str]| {
        let mut args =
            vec!["--builder", builder(), "-o", "store", "--buildpack", probe.path().to_str().unwrap()];
        args.extend(RUN_IMAGE);
        variables.iter().for_each(|it| args.extend(["-e", it]));
        args.extend(more);
        build("flow-builder-probe", app().path(), &args).ok().both()
    };
    let closed = said(&[]);
    for words in ["no way to loopback", "no way to link-local", "way to outside", "no way to abstract"] {
        assert!(closed.contains(words) && !closed.contains("no way to outside"), "{words}: {closed}");
    }
    let open = said(&["--network", "host"]);
    // Abstract sockets stay closed where the kernel has Landlock's scopes.
    for words in ["way to loopback", "way to outside"] {
        assert!(open.contains(words) && !open.contains(&format!("no {words}")), "{words}: {open}");
    }
    let cut = said(&["--network", "none"]);
    assert!(cut.contains("no way to outside") && cut.contains("no way to loopback"), "{cut}");
}

/// A buildpack that puts an app's packages where Paketo's does: in a layer for launch alone, named by PYTHONPATH.
const PACKAGES: &[(&str, &str)] = &[
    (
        "buildpack.toml",
        "api = \"0.10\"\n[buildpack]\nid = \"test/packages\"\nversion = \"1\"\n[[targets]]\nos = \"linux\"\n",
    ),
    ("bin/detect", "#!/bin/sh\ntest -d vendor || exit 100\n"),
    (
        "bin/build",
        r#"#!/bin/sh
set -e
layer=$CNB_LAYERS_DIR/site
mkdir -p "$layer/env.launch"
cp -r vendor "$layer/packages"
printf '%s' "$layer/packages" >"$layer/env.launch/PYTHONPATH.prepend"
printf ':' >"$layer/env.launch/PYTHONPATH.delim"
printf '[types]\nlaunch = true\n' >"$layer.toml"
printf '[[processes]]\ntype = "web"\ncommand = ["python3.13", "main.py"]\ndefault = true\n' >"$CNB_LAYERS_DIR/launch.toml"
"#,
    ),
];

#[test]
fn an_agent_is_put_beside_an_app_that_somebody_elses_buildpack_built() {
    let main = "import os\nimport flask\napp = flask.Flask('main')\n@app.get('/')\ndef hello(): return 'hello'\n\
                app.run(port=int(os.environ['PORT']))\n";
    let (app, buildpack) = (folder(&[("main.py", main)]), folder(PACKAGES));
    for program in ["bin/detect", "bin/build"] {
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        std::fs::set_permissions(buildpack.path().join(program), mode).unwrap();
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "-q", "--no-compile", "--target"]).arg(app.path().join("vendor"));
    // Its own pip, since the build image has none: with it the agent's packages are had.
    say(pip.args(["flask==3.1.3", "pip"])).ok();
    let folder = buildpack.path().display().to_string();
    let args = [&["--builder", builder(), "--buildpack", &folder, "-o", "store"][..], &RUN_IMAGE].concat();

    let without = build("flow-builder-bare", app.path(), &args).ok().both();
    assert!(!without.contains("packlight/apm"), "nobody asked for one: {without}");
    let args = [args.as_slice(), &["--agent", "opentelemetry"]].concat();
    let name = "flow-builder-agent";
    let said = build(name, app.path(), &args).ok().both();
    assert!(said.contains("for flask 3.1.3, urllib, sqlite3"), "{said}");

    let port = free_port().to_string();
    let mut run =
        packlight(["run", name, "-e", &format!("PORT={port}"), "-e", "OTEL_TRACES_EXPORTER=console"]);
    let running = Running::start(&mut run);
    assert!(get(port.parse().unwrap(), "/").ends_with("hello"));
    let (_, said) = running.stop("TERM");
    assert!(
        said.contains("packlight: opentelemetry 1.45.1: traces → console; instruments flask 3.1.3"),
        "{said}"
    );
    assert!(said.contains("\"name\": \"GET /\""), "{said}");
}
