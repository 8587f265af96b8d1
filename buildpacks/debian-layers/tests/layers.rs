//! The buildpack as a platform starts it, with Debian's real archive: at the mirror of this machine's own apt sources.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A platform's directories around one build of the buildpack.
struct Site(tempfile::TempDir);

impl Site {
    fn new(metadata: &str) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        for dir in ["app", "layers", "platform/env", "buildpack/bin"] {
            fs_err::create_dir_all(site.path(dir)).unwrap();
        }
        let program = env!("CARGO_BIN_EXE_buildpack-debian-layers");
        std::os::unix::fs::symlink(program, site.path("buildpack/bin/build")).unwrap();
        let descriptor = Path::new(env!("CARGO_MANIFEST_DIR")).join("buildpack.toml");
        fs_err::copy(descriptor, site.path("buildpack/buildpack.toml")).unwrap();
        let plan = format!("[[entries]]\nname = \"debian\"\nmetadata = {{ {metadata} }}\n");
        fs_err::write(site.path("plan.toml"), plan).unwrap();
        site
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside)
    }

    fn build(&self) -> Output {
        Command::new(self.path("buildpack/bin/build"))
            .current_dir(self.path("app"))
            .env("CNB_BUILDPACK_DIR", self.path("buildpack"))
            .env("CNB_PLATFORM_DIR", self.path("platform"))
            .env("CNB_LAYERS_DIR", self.path("layers"))
            .env("CNB_BP_PLAN_PATH", self.path("plan.toml"))
            .output()
            .unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const PYTHON: &str = r#"release = "bookworm", run = ["libpython3.11-stdlib", "python3.11-minimal"], build = ["python3-pip-whl"]"#;

#[test]
fn an_interpreter_runs_from_a_layer_and_is_kept_by_the_next_build() {
    let site = Site::new(PYTHON);
    let out = site.build();
    assert!(out.status.success(), "{}", text(&out.stdout));
    let run = site.path("layers/packages");
    let python = Command::new(run.join("usr/bin/python3.11"))
        .args([
            "-I",
            "-c",
            "import json, os, ssl, sqlite3, ctypes, lzma; it = json.__cached__; print(it, os.path.exists(it))",
        ])
        .env("LD_LIBRARY_PATH", run.join("usr/lib/x86_64-linux-gnu"))
        .output()
        .unwrap();
    let bytecode =
        format!("{}/usr/lib/python3.11/json/__pycache__/__init__.cpython-311.pyc True\n", run.display());
    assert_eq!((text(&python.stdout), text(&python.stderr)), (bytecode, String::new()));
    // The base's own: no C library of Debian's beside it, and nothing but packages' files.
    assert!(!run.join("usr/lib/x86_64-linux-gnu/libc.so.6").exists());
    let mut names: Vec<_> = fs_err::read_dir(&run).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["env", "env.build", "usr"]);
    assert!(site.path("layers/build-packages/usr/share/python-wheels").exists());
    let sbom = fs_err::read_to_string(site.path("layers/packages.sbom.cdx.json")).unwrap();
    assert!(sbom.contains("pkg:deb/debian/python3.11-minimal@3.11."), "{sbom}");

    let again = site.build();
    let said = text(&again.stdout);
    assert!(said.contains("layer packages: kept") && said.contains("layer build-packages: kept"), "{said}");
    assert!(!said.contains("Fetching"), "{said}");
}

#[test]
fn what_cannot_be_is_said_and_no_layer_is_left() {
    for (metadata, words) in [
        (r#"release = "trixie", run = ["pyhton3"]"#, "pyhton3"),
        (r#"build = ["gcc"]"#, "cannot be put into a layer"),
        (r#"release = "buzz""#, "Debian buzz is not known"),
    ] {
        let site = Site::new(metadata);
        let out = site.build();
        let said = text(&out.stdout);
        assert!(!out.status.success() && said.contains(words), "{said}");
        assert!(!site.path("layers/packages.toml").exists());
        assert!(!site.path("layers/.packlight-debian").exists());
    }
}
