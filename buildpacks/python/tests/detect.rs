//! What detection says of an app, without any interpreter: plans, and errors that name the file and the cure.

#[expect(dead_code, reason = "each test program uses its part")]
mod support;

use support::Room;

/// Names and texts.
type Files<'a> = &'a [(&'a str, &'a str)];

/// The text of a detection that must end with `code`.
fn said(files: &[(&str, &str)], code: i32) -> String {
    let room = Room::new(files);
    let ran = room.detect();
    assert_eq!(ran.code, code, "{}", ran.text);
    ran.text
}

fn plan(files: &[(&str, &str)]) -> String {
    let room = Room::new(files);
    let ran = room.detect();
    assert_eq!(ran.code, 0, "{}", ran.text);
    room.plan()
}

#[test]
fn an_app_with_requirements_asks_the_base_for_its_interpreter() {
    let plan = plan(&[("requirements.txt", "flask\n"), (".python-version", "3.13\n")]);
    insta::assert_snapshot!(plan, @r#"
    [[provides]]
    name = "python"

    [[requires]]
    name = "python"

    [requires.metadata]
    version = "3.13"

    [[requires]]
    name = "debian"

    [requires.metadata]
    build = ["libpython3.13-stdlib", "python3.13-minimal", "python3-pip-whl"]
    release = "trixie"
    run = ["libpython3.13-stdlib", "python3.13-minimal"]
    "#);
}

#[test]
fn python_3_11_comes_from_bookworm_and_git_is_there_for_packages_from_git() {
    let plan =
        plan(&[("requirements.txt", "x @ git+https://example.com/x@1\n"), (".python-version", "3.11\n")]);
    assert!(plan.contains("bookworm"), "{plan}");
    assert!(plan.contains("\"git\""), "{plan}");
}

#[test]
fn the_sources_of_a_version_are_asked_in_their_order() {
    let files = [("requirements.txt", ""), (".python-version", "3.11\n"), ("runtime.txt", "python-3.11.9\n")];
    let mut room = Room::new(&files);
    assert_eq!(room.detect().code, 0);
    assert!(room.plan().contains("bookworm"));
    room.set("BP_CPYTHON_VERSION", "3.13.*");
    assert_eq!(room.detect().code, 0);
    assert!(room.plan().contains("trixie"));
    room.set("PACKLIGHT_PYTHON_VERSION", "3.11");
    assert_eq!(room.detect().code, 0);
    assert!(room.plan().contains("bookworm"));
}

#[test]
fn requires_python_decides_where_nothing_else_does_and_the_default_is_the_newest() {
    let project = "[project]\nname = \"x\"\nversion = \"1\"\nrequires-python = \"<3.12\"\n";
    let room = Room::new(&[("pyproject.toml", project)]);
    std::fs::remove_file(room.app().join(".python-version")).unwrap();
    assert_eq!(room.detect().code, 0);
    assert!(room.plan().contains("bookworm"), "{}", room.plan());
    room.write("pyproject.toml", "[project]\nname = \"x\"\nversion = \"1\"\n");
    assert_eq!(room.detect().code, 0);
    assert!(room.plan().contains("trixie"), "{}", room.plan());
}

#[test]
fn what_is_not_python_is_left_to_others() {
    let text = said(&[("go.mod", "module x\n"), ("pyproject.toml", "[tool.ruff]\n")], 100);
    assert!(text.contains("no requirements.txt"), "{text}");
}

#[test]
fn each_app_that_cannot_be_built_is_told_why() {
    let project = "[project]\nname = \"x\"\nversion = \"1\"\ndependencies = [\"flask\", \"redis\"]\n";
    let cases: &[(&str, Files<'_>, &str)] = &[
        ("a script alone", &[("app.py", "print(1)\n")], "no requirements.txt, uv.lock or pyproject.toml"),
        ("misspelt", &[("requirments.txt", ""), ("app.py", "")], "mv 'requirments.txt' requirements.txt"),
        ("doubled ending", &[("requirements.txt.txt", "")], "`requirements.txt.txt` is not requirements.txt"),
        (
            "Poetry",
            &[("pyproject.toml", "[tool.poetry]\nname = \"x\"\n"), ("poetry.lock", "")],
            "Poetry is not supported yet",
        ),
        (
            "Poetry without a lock",
            &[("pyproject.toml", "[tool.poetry]\nname = \"x\"\n")],
            "Poetry is not supported yet",
        ),
        ("PDM", &[("pyproject.toml", project), ("pdm.lock", "")], "PDM is not supported yet"),
        ("Pipenv", &[("Pipfile", "")], "Pipenv is not supported yet"),
        ("conda", &[("environment.yml", "")], "conda is not supported yet"),
        (
            "two lists",
            &[("requirements.txt", "flask\n"), ("uv.lock", "version = 1\n")],
            "both requirements.txt and uv.lock",
        ),
        (
            "lists that disagree",
            &[("requirements.txt", "flask\n"), ("pyproject.toml", project)],
            "lacks: redis",
        ),
        (
            "two versions",
            &[("requirements.txt", ""), (".python-version", "3.13"), ("runtime.txt", "python-3.11.2")],
            ".python-version and runtime.txt ask for different Pythons",
        ),
        (
            "a version nobody has",
            &[("requirements.txt", ""), (".python-version", "3.9")],
            "These can be had: 3.13, 3.11, 3.14",
        ),
        (
            "another interpreter",
            &[("requirements.txt", ""), (".python-version", "pypy3.10")],
            "does not name a version of Python",
        ),
        (
            "a missing include",
            &[("requirements.txt", "flask\n-r base.txt\n")],
            "requirements.txt:2: `base.txt` is not there",
        ),
    ];
    for (name, files, words) in cases {
        let room = Room::new(files);
        if !files.iter().any(|(file, _)| *file == ".python-version") {
            std::fs::remove_file(room.app().join(".python-version")).unwrap();
        }
        let ran = room.detect();
        assert_eq!(ran.code, 1, "{name}: {}", ran.text);
        assert!(ran.text.contains(words), "{name}: {}", ran.text);
        assert!(ran.text.contains("What to do:"), "{name}: {}", ran.text);
    }
}

#[test]
fn a_requirements_file_beside_poetry_or_exported_from_uv_is_used() {
    let room = Room::new(&[("requirements.txt", "flask\n"), ("poetry.lock", "")]);
    let ran = room.detect();
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(ran.text.contains("poetry.lock (Poetry) is not read"), "{}", ran.text);
    let exported = "# This file was autogenerated by uv via the following command:\n#    uv export -o requirements.txt\nflask\n";
    let room = Room::new(&[
        ("requirements.txt", exported),
        ("uv.lock", "version = 1\n"),
        ("pyproject.toml", "[project]\nname = \"x\"\nversion = \"1\"\n"),
    ]);
    let ran = room.detect();
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(ran.text.contains("uv.lock is used"), "{}", ran.text);
}
