//! `bin/detect` as a platform runs it: a program under another name, two arguments, one variable.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::{env, fs};

/// A directory of this test, with the program in it as `bin/<name>`.
fn room(test: &str, name: &str) -> (PathBuf, PathBuf) {
    let room = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&room);
    fs::create_dir_all(room.join("bin")).unwrap();
    let program = room.join("bin").join(name);
    symlink(env!("CARGO_BIN_EXE_extension-debian"), &program).unwrap();
    (room, program)
}

fn run(command: &mut Command) -> Output {
    command.env_remove("CNB_BUILD_PLAN_PATH").output().unwrap()
}

#[test]
fn detect_provides_debian_in_the_file_that_the_variable_names() {
    let (room, program) = room("variable", "detect");
    let output = Command::new(program).env("CNB_BUILD_PLAN_PATH", room.join("plan.toml")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read_to_string(room.join("plan.toml")).unwrap(), "[[provides]]\nname = \"debian\"\n");
    assert!(!room.join("plan.toml.new").exists(), "the temporary file stayed");
}

#[test]
fn detect_falls_back_to_its_second_argument() {
    let (room, program) = room("argument", "detect");
    let output = run(Command::new(program).arg("/platform").arg(room.join("plan.toml")));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read_to_string(room.join("plan.toml")).unwrap(), "[[provides]]\nname = \"debian\"\n");
}

#[test]
fn detect_without_a_plan_path_says_what_it_needs() {
    let (_, program) = room("neither", "detect");
    let output = run(&mut Command::new(program));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "packlight/debian: detect needs CNB_BUILD_PLAN_PATH or the plan's path as argument 2\n"
    );
}

#[test]
fn there_is_no_bin_build_and_it_says_so() {
    let (_, program) = room("build", "build");
    let output = run(&mut Command::new(program));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "packlight/debian has bin/detect alone, and was started as `build`\n"
    );
}
