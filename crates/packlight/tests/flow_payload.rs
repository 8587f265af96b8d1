//! The script that lays out Packlight's own programs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::process::{Command, Stdio};
use support::*;

#[test]
fn two_that_lay_out_the_programs_at_the_same_time_leave_all_of_them() {
    let dir = folder(&[]);
    let to = dir.path().join("payload");
    let mut script = Command::new(repository().join("tools/payload.sh"));
    script.arg(&to).current_dir(repository()).stdout(Stdio::null());
    // What cargo tells its tests would have everything compiled anew.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO") && !matches!(&*text, "CARGO_HOME" | "CARGO_TARGET_DIR") {
            script.env_remove(name);
        }
    }
    let running: Vec<_> = (0..3).map(|_| script.spawn().unwrap()).collect();
    for mut it in running {
        assert!(it.wait().unwrap().success());
    }
    for program in ["launcher", "order.toml"] {
        assert!(to.join(program).is_file(), "{program}");
    }
    let count = |of: &str| std::fs::read_dir(to.join(of)).unwrap().count();
    assert_eq!((count("buildpacks"), count("extensions")), (4, 1));
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "besides the folder and the lock: {left:?}");
}
