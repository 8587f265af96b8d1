//! How the programs are called, and how they end.

use crate::platform::{APP, BASE, Platform, say};

#[test]
fn the_platform_api_is_judged_before_anything_else() {
    let platform = Platform::new();
    for (api, words) in [("", "is not set"), ("0.6", "0.6 is not spoken"), ("x", "is not an API version")] {
        for program in
            ["analyzer", "detector", "restorer", "builder", "exporter", "creator", "rebaser", "extender"]
        {
            let said = say(platform.command(program).env("CNB_PLATFORM_API", api).arg("-nonsense"));
            said.fails(11, words);
        }
    }
}

#[test]
fn arguments_that_cant_be_end_with_3_and_unknown_flags_with_2() {
    let platform = Platform::new();
    platform.run_image(BASE, "one");
    for (program, args) in [
        ("analyzer", &[][..]),
        ("analyzer", &["a", "b"]),
        ("detector", &["x"]),
        ("restorer", &["x"]),
        ("builder", &["x"]),
        ("exporter", &[]),
        ("creator", &[]),
        ("rebaser", &[]),
        ("analyzer", &["Not A Name"]),
        ("creator", &["-tag", "other.example/app", APP]),
    ] {
        let said = platform.call(program, args);
        assert_eq!(said.code, Some(3), "{program} {args:?}: {said:?}");
    }
    platform.call("detector", &["-daemon"]).fails(2, "-daemon");
    platform.call("extender", &[]).fails(102, "not there yet");
}

#[test]
fn a_subcommand_is_the_program_of_its_phase() {
    let platform = Platform::new();
    let lifecycle = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lifecycle"));
        command.env_clear().env("CNB_PLATFORM_API", "0.12");
        command
    };
    say(lifecycle().arg("nonsense")).fails(3, "analyze, detect");
    say(lifecycle().args(["rebase"])).fails(3, "name of an image");
    for version in [say(lifecycle().arg("-version")), say(platform.command("creator").arg("-version"))] {
        let own = concat!("-packlight.", env!("CARGO_PKG_VERSION"));
        assert!(version.out.trim().ends_with(own), "{version:?}");
    }
}

#[test]
fn programs_of_buildpacks_are_never_run_as_root() {
    if !rustix::process::geteuid().is_root() {
        return; // an ordinary user has no root to refuse
    }
    let platform = Platform::new();
    for program in ["detector", "builder"] {
        let mut command = std::process::Command::new(platform.path("bin").join(program));
        say(command.env("CNB_PLATFORM_API", "0.12")).fails(1, "as root");
    }
}

#[test]
fn experimental_places_want_to_be_asked_for() {
    let platform = Platform::new();
    platform.run_image(BASE, "one");
    let call = |mode: &str| {
        let mut command = platform.command("analyzer");
        let layouts = platform.path("layouts").display().to_string();
        let layers = platform.path("layers").display().to_string();
        command.env("CNB_EXPERIMENTAL_MODE", mode);
        say(command.args(["-layout", "-layout-dir", &layouts, "-layers", &layers, "-run-image", BASE, APP]))
    };
    call("error").fails(1, "experimental");
    let warned = call("warn").ok();
    assert!(warned.err.contains("experimental"), "{warned:?}");
    assert!(!call("silent").ok().err.contains("experimental"));
}
