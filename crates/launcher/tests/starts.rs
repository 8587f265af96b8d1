//! The launcher as a program: what it starts, with what, and what it says when it starts nothing.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::process::{Command, Output};

struct Image(tempfile::TempDir);

const METADATA: &str = r#"
    [[buildpacks]]
    id = "test/a"
    version = "1"
    api = "0.10"
    [[buildpacks]]
    id = "old/b"
    version = "1"
    api = "0.8"
    [[processes]]
    type = "web"
    command = ["show"]
    args = ["default"]
    direct = true
    buildpack-id = "test/a"
    [[processes]]
    type = "elsewhere"
    command = ["./here"]
    direct = true
    buildpack-id = "test/a"
    working-dir = "sub"
    [[processes]]
    type = "shell"
    command = ["echo \"$PROFILE\"; pwd"]
    buildpack-id = "old/b"
    [[processes]]
    type = "words"
    command = ["printf"]
    args = ["[%s]", "$PROFILE", "a  b", "$(echo no)"]
    buildpack-id = "old/b"
    [[processes]]
    type = "missing"
    command = ["gunicorn"]
    direct = true
    buildpack-id = "test/a"
"#;

impl Image {
    fn new() -> Self {
        let image = Self(tempfile::tempdir().unwrap());
        image.file("layers/config/metadata.toml", METADATA);
        image.program("layers/test_a/tools/bin/show", "echo \"$0 $*\"; env | sort");
        image.file("layers/test_a/tools/profile.d/p.sh", "PROFILE=\"from profile.d\"\nexport PROFILE\n");
        image.program("app/sub/here", "pwd");
        image
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn file(&self, file: &str, contents: &str) {
        std::fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        std::fs::write(self.path(file), contents).unwrap();
    }

    fn program(&self, file: &str, body: &str) {
        testing::program(&self.path(file), format!("#!/bin/sh\n{body}\n")).unwrap();
    }

    fn run(&self, name: &str, args: &[&str]) -> Output {
        let program = self.path("cnb").join(name);
        std::fs::create_dir_all(self.path("cnb")).unwrap();
        let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_launcher"), &program);
        Command::new(program)
            .args(args)
            .env_clear()
            .env("PATH", "/cnb/process:/cnb/lifecycle:/usr/bin:/bin")
            .env("CNB_LAYERS_DIR", self.path("layers"))
            .env("CNB_APP_DIR", self.path("app"))
            .env("CNB_PLATFORM_API", "0.15")
            .output()
            .unwrap()
    }

    fn said(&self, output: &[u8]) -> String {
        String::from_utf8_lossy(output).replace(&*self.0.path().to_string_lossy(), "")
    }

    fn out(&self, name: &str, args: &[&str]) -> String {
        let output = self.run(name, args);
        assert!(output.status.success(), "{}", self.said(&output.stderr));
        self.said(&output.stdout)
    }

    /// What it said when it started nothing, with the exit code of such an end.
    fn refused(&self, name: &str, args: &[&str]) -> String {
        let output = self.run(name, args);
        assert_eq!(output.status.code(), Some(82));
        self.said(&output.stderr)
    }
}

#[test]
fn a_process_starts_with_the_environment_of_its_layers_and_none_of_the_lifecycles() {
    let image = Image::new();
    assert_eq!(
        image.out("web", &[]),
        "/layers/test_a/tools/bin/show default\nPATH=/layers/test_a/tools/bin:/usr/bin:/bin\nPWD=/app\n"
    );
    assert!(image.out("web", &["mine", "too"]).starts_with("/layers/test_a/tools/bin/show mine too\n"));
}

#[test]
fn exec_d_programs_answer_on_descriptor_three_and_see_those_before_them() {
    let image = Image::new();
    image.program(
        "layers/test_a/tools/exec.d/a",
        "echo \"ONE = \\\"1\\\"\" >&3; echo PATH = '\"/only:/bin:/usr/bin\"' >&3",
    );
    image.program("layers/test_a/tools/exec.d/b", "echo \"TWO = \\\"$ONE and 2, in $PWD\\\"\" >&3");
    image.program("layers/test_a/tools/exec.d/words/c", "echo 'WEB = \"never\"' >&3");
    image.program("layers/test_a/tools/exec.d/web/c", "echo 'WEB = \"yes\"' >&3; echo log");
    image.program("layers/old_b/x/exec.d/d", "echo 'ONE = \"later buildpack\"' >&3");
    // what the programs set decides where the process is found
    image.file("layers/config/metadata.toml", &METADATA.replace("\"show\"", "\"env\""));
    let out = image.out("web", &["-u", "NOTHING"]);
    let lines: Vec<&str> = out.lines().collect();
    for line in ["log", "ONE=later buildpack", "TWO=1 and 2, in /app", "WEB=yes", "PATH=/only:/bin:/usr/bin"]
    {
        assert!(lines.contains(&line), "{line} in {out}");
    }
}

#[test]
fn a_descriptor_three_of_who_started_the_image_is_left_to_the_process() {
    let image = Image::new();
    image.program("layers/test_a/tools/exec.d/a", "echo 'ONE = \"1\"' >&3; echo log");
    image.file("given", "from outside");
    image.out("web", &[]);
    let script = format!(
        "exec 3<'{0}/given'; CNB_LAYERS_DIR='{0}/layers' CNB_APP_DIR='{0}/app' '{0}/cnb/web'",
        image.0.path().display()
    );
    image.program("layers/test_a/tools/bin/show", "cat <&3; echo; echo $ONE");
    let output = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
    assert_eq!(image.said(&output.stdout), "from outside\n1\n", "{}", image.said(&output.stderr));
}

#[test]
fn an_exec_d_program_that_fails_or_talks_nonsense_ends_the_launch_and_is_named() {
    let image = Image::new();
    image.program("layers/test_a/tools/exec.d/a", "exit 3");
    assert_eq!(
        image.refused("web", &[]),
        "ERROR: /layers/test_a/tools/exec.d/a failed with exit status: 3\n"
    );
    image.program("layers/test_a/tools/exec.d/a", "echo 'X = 1' >&3");
    let said = image.refused("web", &[]);
    assert!(said.starts_with("ERROR: /layers/test_a/tools/exec.d/a wrote to descriptor 3: "), "{said}");
}

#[test]
fn a_shell_process_sources_the_layers_profiles_and_then_the_applications() {
    let image = Image::new();
    assert_eq!(image.out("shell", &[]), "from profile.d\n/app\n");
    image.file("app/.profile", "PROFILE=\"$PROFILE, then .profile\"\n");
    assert_eq!(image.out("shell", &[]), "from profile.d, then .profile\n/app\n");
    assert_eq!(image.out("launcher", &["echo $PROFILE"]), "from profile.d, then .profile\n");
}

#[test]
fn words_of_a_shell_process_are_expanded_and_stay_one_word() {
    let image = Image::new();
    assert_eq!(image.out("words", &[]), "[from profile.d][a b][no]");
    assert_eq!(image.out("launcher", &["printf", "<%s>", "$PROFILE"]), "<from profile.d>");
}

#[test]
fn after_dashes_nothing_is_expanded() {
    assert_eq!(Image::new().out("launcher", &["--", "printf", "<%s>", "$HOME", "a  b"]), "<$HOME><a  b>");
}

#[test]
fn a_working_directory_is_where_the_process_starts_and_is_looked_for() {
    let image = Image::new();
    assert_eq!(image.out("elsewhere", &[]), "/app/sub\n");
    image.file("layers/config/metadata.toml", &METADATA.replace("\"sub\"", "\"gone\""));
    assert_eq!(
        image.refused("elsewhere", &[]),
        "ERROR: elsewhere: the working directory /app/gone: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_program_that_is_not_there_is_named_with_where_it_was_looked_for() {
    let image = Image::new();
    assert_eq!(
        image.refused("missing", &[]),
        "ERROR: missing: program `gunicorn` was not found in PATH=/layers/test_a/tools/bin:/usr/bin:/bin\n"
    );
    image.file("layers/test_a/tools/bin/gunicorn", "#!/bin/sh\n");
    assert_eq!(
        image.refused("missing", &[]),
        "ERROR: missing: /layers/test_a/tools/bin/gunicorn is not executable; `chmod +x` it before the build\n"
    );
    let said = image.refused("launcher", &["--", "./nothing"]);
    assert_eq!(said, "ERROR: launcher: program `./nothing` was not found in /app\n");
}

#[test]
fn a_process_ends_with_its_own_exit_code() {
    let image = Image::new();
    assert_eq!(image.run("launcher", &["--", "sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(image.run("launcher", &["exit 9"]).status.code(), Some(9));
}

#[test]
fn an_api_that_is_not_spoken_has_its_own_exit_code() {
    let image = Image::new();
    image.file("layers/config/metadata.toml", &METADATA.replace("\"0.10\"", "\"0.99\""));
    let output = image.run("web", &[]);
    assert_eq!(output.status.code(), Some(12));
    assert!(image.said(&output.stderr).contains("buildpack test/a@1 declares Buildpack API 0.99"));
}

#[test]
fn an_image_without_metadata_says_which_file_is_missing() {
    let image = Image::new();
    std::fs::remove_file(image.path("layers/config/metadata.toml")).unwrap();
    std::fs::create_dir_all(image.path("app")).unwrap();
    let said = image.refused("web", &[]);
    assert_eq!(said, "ERROR: /layers/config/metadata.toml: No such file or directory (os error 2)\n");
}
