//! Builds with the interpreter, pip and index of this machine: what is installed, what is kept, what is never written.

#![expect(clippy::unwrap_used, reason = "a test ends when its world is not so")]

#[expect(dead_code, reason = "each test program uses its part")]
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use support::{Room, contents, stamps};

const FLASK: &str = "from flask import Flask\n\napi = Flask(__name__)\n";

fn flask() -> Room {
    Room::new(&[("requirements.txt", "flask\ngunicorn\n"), ("server.py", FLASK)]).with_uv()
}

fn python(room: &Room, code: &str, env: &[(&str, &str)]) -> String {
    let output = Command::new(room.python()).args(["-c", code]).envs(env.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// An executable that leaves a mark when it is started.
fn trap(path: &Path, mark: &Path) {
    testing::program(path, format!("#!/bin/sh\necho \"$0 $@\" >> {}\nexit 1\n", mark.display())).unwrap();
}

#[test]
fn a_flask_app_is_installed_and_started_by_its_real_name() {
    let room = flask();
    let text = room.built();
    assert!(text.contains("Start command: gunicorn server:api"), "{text}");
    assert!(!text.contains("is added"), "{text}");
    let launch = room.read_layers("launch.toml");
    assert!(launch.contains("command = [\"gunicorn\", \"server:api\"]"), "{launch}");
    assert!(launch.contains("default = true"), "{launch}");
    assert_eq!(
        python(&room, "import flask, sys; print(sys.prefix)", &[]),
        room.layers().join("venv").display().to_string()
    );
    assert_eq!(room.read_layers("venv/env.launch/PORT.default"), "8000");
    assert!(room.read_layers("lock/packlight.lock").contains("requirement = \"flask=="));
    assert!(room.read_layers("venv.sbom.cdx.json").contains("pkg:pypi/flask@"));
}

#[test]
fn an_unchanged_build_writes_no_file_of_a_layer_and_starts_no_program() {
    let room = flask();
    let root = room.path("root");
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::create_dir_all(root.join("usr/share")).unwrap();
    let interpreter = root.join(format!("usr/bin/python{}", room.minor));
    std::os::unix::fs::symlink(format!("/usr/bin/python{}", room.minor), &interpreter).unwrap();
    std::os::unix::fs::symlink("/usr/share/python-wheels", root.join("usr/share/python-wheels")).unwrap();
    let mut room = room;
    room.set("PACKLIGHT_DEBIAN_ROOTS", root.display().to_string());
    room.built();

    let mark = room.path("started");
    trap(&interpreter, &mark);
    trap(&room.layers().join("uv/bin/uv"), &mark);
    let before = stamps(&room.layers().join("venv"));
    let text = room.built();
    assert!(!mark.exists(), "{}", fs::read_to_string(&mark).unwrap());
    assert_eq!(stamps(&room.layers().join("venv")), before);
    assert!(text.contains("layer venv: kept, unchanged"), "{text}");
}

#[test]
fn two_installs_have_the_same_bytes_and_bytecode_without_times() {
    let room = flask();
    room.built();
    let first = contents(&room.layers().join("venv"));
    fs::remove_dir_all(room.layers().join("venv")).unwrap();
    fs::remove_dir_all(room.layers().join("uv-cache")).unwrap();
    let text = room.built();
    assert!(text.contains("made anew, its contents were not restored"), "{text}");
    let second = contents(&room.layers().join("venv"));
    let differing: Vec<_> =
        first.iter().filter(|(path, it)| second.get(*path) != Some(it)).map(|(path, _)| path).collect();
    assert!(differing.is_empty(), "{differing:?}");
    assert_eq!(first.len(), second.len());
    let compiled: Vec<_> =
        first.iter().filter(|(path, _)| path.extension().is_some_and(|it| it == "pyc")).collect();
    assert!(compiled.iter().any(|(path, _)| path.to_string_lossy().contains("flask/__pycache__/app.")));
    for (path, (_, bytes)) in compiled {
        // PEP 552: bit 0, by hash; bit 1 unset, the source is not looked at.
        assert_eq!(bytes[4..8], [1, 0, 0, 0], "{}", path.display());
    }
}

#[test]
fn a_lock_decides_until_the_list_changes_and_then_keeps_what_still_fits() {
    let room = Room::new(&[("requirements.txt", "itsdangerous<2.2\n"), ("main.py", "print()\n")]).with_uv();
    room.built();
    let lock = room.read_layers("lock/packlight.lock");
    assert!(lock.contains("itsdangerous==2.1."), "{lock}");
    fs::remove_dir_all(room.layers().join("lock")).unwrap();

    // The binding that the platform hands over.
    let binding = room.path("platform/bindings/packlight-lock");
    fs::create_dir_all(&binding).unwrap();
    fs::write(binding.join("type"), "packlight-lock").unwrap();
    fs::write(binding.join("packlight.lock"), &lock).unwrap();
    let text = room.built();
    assert!(text.contains("as packlight.lock has it (1 package)"), "{text}");
    assert_eq!(room.read_layers("lock/packlight.lock"), lock);

    room.write("requirements.txt", "itsdangerous\nsix\n");
    let text = room.built();
    assert!(text.contains("Resolving requirements.txt, which has changed"), "{text}");
    let new = room.read_layers("lock/packlight.lock");
    assert!(new.contains("itsdangerous==2.1.") && new.contains("six=="), "{new}");
    assert!(text.contains("layer venv: made anew, the packages have changed"), "{text}");
}

#[test]
fn settings_that_decide_which_packages_are_taken_are_part_of_the_key() {
    let mut room = Room::new(&[("requirements.txt", "six\n"), ("main.py", "print()\n")]).with_uv();
    let home = room.path("home");
    fs::create_dir_all(home.join(".config/pip")).unwrap();
    room.set("HOME", home.display().to_string());
    room.built();
    assert!(room.built().contains("layer venv: kept, unchanged"));

    fs::write(home.join(".config/pip/pip.conf"), "[install]\nonly-binary = six\n").unwrap();
    let text = room.built();
    assert!(text.contains("settings that decide which packages are taken have changed"), "{text}");
    assert!(text.contains("Resolving"), "{text}");
    assert!(room.built().contains("layer venv: kept, unchanged"));

    fs::write(home.join(".config/pip/pip.conf"), "[global]\nbroken\n").unwrap();
    let ran = room.build();
    assert!(ran.text.contains("error: pip cannot read its own configuration"), "{}", ran.text);
    assert!(ran.text.contains("pip.conf:2 "), "{}", ran.text);
}

#[test]
fn a_wheel_is_preferred_where_pip_is_told_to_and_said_where_there_is_none() {
    let mut room = Room::new(&[("requirements.txt", "six\n"), ("main.py", "print()\n")]).with_uv();
    room.set("PIP_PREFER_BINARY", "1");
    assert!(!room.built().contains("not every package has a wheel"));
    room.write("noisy/pyproject.toml", "[project]\nname = \"noisy\"\nversion = \"1\"\n");
    room.write("requirements.txt", "six\n./noisy\n");
    let text = room.built();
    assert!(text.contains("six==") || room.read_layers("lock/packlight.lock").contains("six=="), "{text}");
    // Of docopt there has never been a wheel.
    room.write("requirements.txt", "docopt\n");
    let text = room.built();
    assert!(text.contains("not every package has a wheel that fits"), "{text}");
}

#[test]
fn a_package_with_another_hash_than_the_lock_says_is_refused() {
    let room = Room::new(&[("main.py", "print()\n")]).with_uv();
    room.write("requirements.txt", &format!("six==1.17.0 --hash=sha256:{}\n", "0".repeat(64)));
    let ran = room.build();
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(ran.text.contains("error: "), "{}", ran.text);
    assert!(ran.text.to_lowercase().contains("hash"), "{}", ran.text);
}

#[test]
fn an_unknown_package_a_conflict_and_a_syntax_error_name_their_line_or_their_reason() {
    let room = Room::new(&[("main.py", "print()\n")]).with_uv();
    for (list, words) in [
        (
            "six\nno-such-package-of-packlight\n",
            "requirements.txt:2: there is no package `no-such-package-of-packlight`",
        ),
        ("flask==3.1.2\nwerkzeug<1\n", "flask==3.1.2 depends on werkzeug"),
        ("six\nfla sk\n", "requirements.txt:2: this line is not a requirement"),
    ] {
        room.write("requirements.txt", list);
        let ran = room.build();
        assert_eq!(ran.code, 1, "{}", ran.text);
        assert!(ran.text.contains(words), "{}", ran.text);
    }
}

#[test]
fn an_index_that_cannot_be_reached_is_named() {
    let mut room = Room::new(&[("requirements.txt", "six\n"), ("main.py", "print()\n")]).with_uv();
    room.set("PIP_INDEX_URL", "http://127.0.0.1:9/simple");
    room.set("PIP_RETRIES", "0");
    let ran = room.build();
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(ran.text.contains("127.0.0.1:9 cannot be reached"), "{}", ran.text);
}

#[test]
fn the_hook_is_dormant_without_an_agent_and_wakes_it_once_with_one() {
    let room = Room::new(&[("requirements.txt", ""), ("main.py", "print()\n")]).with_uv();
    room.built();
    assert_eq!(python(&room, "import sys; print('_packlight_hook' in sys.modules)", &[]), "False");

    let agent = room.path("agent");
    fs::create_dir_all(&agent).unwrap();
    fs::write(agent.join("packlight_start.py"), "def start():\n    print('awake')\n").unwrap();
    let agent = agent.display().to_string();
    let set = [("PACKLIGHT_PYTHON_AGENT", agent.as_str())];
    assert_eq!(python(&room, "import _packlight_hook as it; it.start(); print('app')", &set), "awake\napp");

    // An agent that fails, or is not there, does not keep the app from starting.
    fs::write(Path::new(&agent).join("packlight_start.py"), "def start():\n    raise SystemExit('no')\n")
        .unwrap();
    assert_eq!(python(&room, "print('app')", &set), "app");
    assert_eq!(python(&room, "print('app')", &[("PACKLIGHT_PYTHON_AGENT", "/no/such")]), "app");
}

#[test]
fn a_uv_lock_and_a_bare_pyproject_are_installed() {
    let project = "[project]\nname = \"shop\"\nversion = \"1\"\nrequires-python = \">=3.11\"\ndependencies = [\"six\"]\n";
    let room = Room::new(&[("pyproject.toml", project), ("main.py", "print()\n")]).with_uv();
    room.built();
    assert_eq!(python(&room, "import six; print(six.__name__)", &[]), "six");

    let status = Command::new(room.layers().join("uv/bin/uv"))
        .args(["lock", "--quiet", "--cache-dir"])
        .arg(room.layers().join("uv-cache"))
        .args(["--python", &format!("/usr/bin/python{}", room.minor)])
        .current_dir(room.app())
        .status()
        .unwrap();
    assert!(status.success());
    let text = room.built();
    assert!(text.contains("Resolving uv.lock"), "{text}");
    assert!(room.read_layers("lock/packlight.lock").contains("source = \"uv.lock\""));
    assert_eq!(python(&room, "import six; print(six.__name__)", &[]), "six");
}

#[test]
fn a_uv_lock_that_pyproject_has_outgrown_is_refused() {
    let project = "[project]\nname = \"shop\"\nversion = \"1\"\nrequires-python = \">=3.11\"\ndependencies = [\"six\"]\n";
    let lock = "version = 1\nrevision = 3\nrequires-python = \">=3.11\"\n\n[[package]]\nname = \"shop\"\nversion = \"1\"\nsource = { virtual = \".\" }\n";
    let room =
        Room::new(&[("pyproject.toml", project), ("uv.lock", lock), ("main.py", "print()\n")]).with_uv();
    let ran = room.build();
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(ran.text.contains("uv.lock and pyproject.toml disagree"), "{}", ran.text);
}

#[test]
fn what_a_build_backend_leaves_in_the_apps_folder_is_removed() {
    let setup = "from setuptools import setup\nsetup(name='mine', version='1', py_modules=['mine'])\n";
    let room = Room::new(&[
        ("requirements.txt", "./libs/mine\n-e libs/other\n"),
        ("libs/mine/setup.py", setup),
        ("libs/mine/mine.py", ""),
        ("libs/other/setup.py", &setup.replace("mine", "other")),
        ("libs/other/other.py", ""),
        ("main.py", "print()\n"),
    ])
    .with_uv();
    let before: Vec<_> = contents(&room.app()).into_keys().collect();
    room.built();
    assert_eq!(contents(&room.app()).into_keys().collect::<Vec<_>>(), before);
    assert_eq!(python(&room, "import mine, other; print('both')", &[]), "both");
}

#[test]
fn a_folder_of_the_app_is_installed_and_a_change_in_it_is_seen() {
    let project = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n[project]\nname = \"mine\"\nversion = \"1\"\n";
    // The smallest build backend: one that needs nothing from an index.
    let backend = r#"
import zipfile, os
def build_wheel(out, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(os.path.join(out, "mine-1-py3-none-any.whl"), "w") as it:
        it.write("mine.py")
        it.writestr("mine-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
        it.writestr("mine-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        it.writestr("mine-1.dist-info/RECORD", "")
    return "mine-1-py3-none-any.whl"
"#;
    let room = Room::new(&[
        ("requirements.txt", "./libs/mine\n"),
        ("libs/mine/pyproject.toml", project),
        ("libs/mine/backend.py", backend),
        ("libs/mine/mine.py", "value = 1\n"),
        ("main.py", "print()\n"),
    ])
    .with_uv();
    room.built();
    assert_eq!(python(&room, "import mine; print(mine.value)", &[]), "1");
    let infos: Vec<_> = contents(&room.layers().join("venv"))
        .into_keys()
        .filter(|it| it.ends_with("uv_cache.json"))
        .collect();
    assert!(infos.is_empty(), "{infos:?}");
    room.write("libs/mine/mine.py", "value = 22\n");
    room.built();
    assert_eq!(python(&room, "import mine; print(mine.value)", &[]), "22");
}
