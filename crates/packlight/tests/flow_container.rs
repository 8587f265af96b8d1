//! The release in containers, where most CI jobs run: `make test` starts an engine and names it in `DOCKER_HOST`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use support::*;

/// What of the environment decides where packages come from.
const HANDED_OVER: &[&str] = &["PIP_", "UV_", "SSL_CERT_", "REQUESTS_CA_", "CURL_CA_", "PACKLIGHT_DEBIAN_"];
/// The same in files.
const FILES: &[&str] = &["/etc/apt", "/etc/pip.conf", "/etc/ssl/certs", "/usr/share/ca-certificates"];

/// The least with which namespaces may be made in a container.
const WITH_NAMESPACES: &[&str] = &[
    "--cap-add=SYS_ADMIN",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
];

const NOTICE: &str = "isolation is reduced, since";

fn docker(args: &[&str]) -> Said {
    let mut command = Command::new("docker");
    say(command.args(args))
}

/// A Debian of Packlight's own making, to run Packlight in.
fn image() -> &'static str {
    static IMAGE: OnceLock<&str> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let app = plain_app();
        let mut command = packlight(["build", "flow-container", "--output", "docker", "--path"]);
        say(command.arg(app.path())).ok();
        "flow-container"
    })
}

/// A container that does nothing until it is told to.
struct Container(String);

impl Container {
    fn start(more: &[&str]) -> Self {
        let mut args: Vec<String> =
            ["run", "--detach", "--network=host", "--user=0", "--entrypoint=/bin/sleep"]
                .map(str::to_owned)
                .into();
        let shown = |path: &Path, at: &str| format!("--volume={}:{at}:ro", path.display());
        let program = program().canonicalize().unwrap();
        args.push(shown(&program, "/usr/local/bin/packlight"));
        if std::env::var_os("PACKLIGHT_BIN").is_none() {
            args.push(shown(&repository().join("target/payload"), "/payload"));
            args.push("--env=PACKLIGHT_PAYLOAD=/payload".to_owned());
        }
        let files = FILES.iter().map(Path::new).filter(|path| path.exists());
        args.extend(files.map(|path| shown(path, path.to_str().unwrap())));
        for (name, value) in std::env::vars() {
            if HANDED_OVER.iter().any(|start| name.starts_with(start))
                || name.to_lowercase().ends_with("_proxy")
            {
                let path = Path::new(&value);
                if path.is_absolute() && path.exists() && !path.starts_with("/etc/ssl") {
                    args.push(shown(path, &value));
                }
                args.push(format!("--env={name}={value}"));
            }
        }
        args.extend(more.iter().map(|it| (*it).to_owned()));
        args.extend([image().to_owned(), "infinity".to_owned()]);
        let said = docker(&args.iter().map(String::as_str).collect::<Vec<_>>()).ok();
        Self(said.out.trim().to_owned())
    }

    fn packlight(&self, user: &str, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(["exec", "--user", user, "--env=NO_COLOR=1", &self.0, "packlight", "--store"]);
        command.args(args);
        command
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.0]);
    }
}

/// An application with a lock, so that every build settles on the same packages.
fn locked(name: &str) -> tempfile::TempDir {
    let app = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(repository().join("examples/flask")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), app.path().join(entry.file_name())).unwrap();
    }
    // Something that is left out, and so must be hidden from a build.
    std::fs::write(app.path().join(".env"), "SECRET=x").unwrap();
    build_with(name, app.path(), &["--lock"]);
    app
}

#[test]
fn root_of_a_default_container_builds_the_same_image_and_runs_it_and_is_told_of_the_isolation() {
    let name = "flow-container-flask";
    let app = locked(name);
    let expected = build(name, app.path());
    let container = Container::start(&[&format!("--volume={}:/app:ro", app.path().display())]);
    let build = |more: &[&str]| {
        let args = ["/store", "build", name, "--output", "store", "--path", "/app"];
        say(&mut container.packlight("0", &[&args, more].concat())).ok()
    };
    let first = build(&["--format", "json"]);
    let said = first.both();
    assert_eq!(said.matches(NOTICE).count(), 1, "{said}");
    assert!(said.contains("since root without CAP_SYS_ADMIN (a container's) forbids more"), "{said}");
    assert!(said.contains(&format!("\"digest\":\"{expected}\"")), "{expected}\n{said}");
    // The layers of the first build are taken, and nothing of its rooms is left.
    let again = build(&["--env", "UNUSED=1"]);
    assert_eq!(again.both().matches(NOTICE).count(), 1, "{}", again.both());
    assert!(again.both().contains(&expected[..19]), "{expected}\n{}", again.both());
    let list = "shopt -s nullglob; echo /store/tmp/*";
    assert_eq!(docker(&["exec", &container.0, "bash", "-c", list]).ok().out, "\n");

    let port = free_port();
    let publish = format!("{port}:{port}");
    let mut command = container.packlight("0", &["/store", "run", name, "-p", &publish]);
    command.arg("-e").arg(format!("PORT={port}"));
    let running = Running::start(&mut command);
    let answer = get(port, "/");
    assert!(answer.contains("Hello, World!"), "{answer}\n{}", running.printed());
    assert!(running.printed().contains(NOTICE), "{}", running.printed());
    let mut command = container.packlight("0", &["/store", "run", name, "-v", "/app:/data"]);
    say(&mut command).fails(125, &["with reduced isolation", ":ro"]);
}

#[test]
fn a_container_that_allows_namespaces_has_full_isolation() {
    let name = "flow-container-namespaces";
    let app = locked(name);
    let expected = build(name, app.path());
    let volumes = [
        format!("--volume={}:/app:ro", app.path().display()),
        format!("--volume={}:/store", shared_store().display()),
    ];
    let container = Container::start(&[WITH_NAMESPACES, &[&volumes[0], &volumes[1]]].concat());
    let args = ["/store", "build", name, "--output", "store", "--path", "/app", "--clear-cache"];
    let said = say(&mut container.packlight("0", &args)).ok();
    assert!(!said.both().contains(NOTICE), "{}", said.both());
    assert!(said.both().contains(&expected[..19]), "{expected}\n{}", said.both());
    // The container's own file system takes no overlay's changes, and so there is less on it.
    let args = ["/other", "build", name, "--output", "store", "--path", "/etc"];
    let said =
        say(&mut container.packlight("0", &args)).fails(20, &[NOTICE, "the file system of /other/tmp"]);
    assert_eq!(said.both().matches(NOTICE).count(), 1, "{}", said.both());
}

#[test]
fn an_ordinary_user_of_a_default_container_is_told_what_to_do() {
    let app = plain_app();
    let container = Container::start(&[&format!("--volume={}:/app:ro", app.path().display())]);
    let args = ["/tmp/store", "build", "flow-container-ordinary", "--output", "store", "--path", "/app"];
    say(&mut container.packlight("1000:1000", &args)).fails(
        3,
        &[
            "the seccomp filter around this process (a container's) forbids the sandbox",
            "--security-opt seccomp=unconfined",
        ],
    );
}
