//! Which Python, and where it comes from.

use buildpack::UserError;

pub(crate) fn not_a_python_version(from: &str, text: &str) -> UserError {
    let found = match text {
        "" => format!("{from} is empty."),
        text => format!("{from} says `{text}`."),
    };
    UserError::new(
        format!("{from} does not name a version of Python"),
        format!("{found} Only CPython's releases are known."),
    )
    .cure("Write a version such as 3.13, or a range such as >=3.11,<3.14.")
}

pub(crate) fn versions_disagree(one: &(String, String), two: &(String, String)) -> UserError {
    UserError::new(
        format!("{} and {} ask for different Pythons", one.0, two.0),
        format!("{} says {}\n{} says {}\nNo version of Python is both.", one.0, one.1, two.0, two.1),
    )
    .cure(format!("Let both say the same, or delete one of them ({} is read first).", one.0))
    .cure("Or overrule both for a build with PACKLIGHT_PYTHON_VERSION.")
}

pub(crate) fn no_such_python(from: &str, wanted: &str, known: &[String]) -> UserError {
    let nearest = known.first().map_or("3.13", String::as_str);
    UserError::new(
        format!("Python {wanted} cannot be had"),
        format!("{from} asks for {wanted}. These can be had: {}.", known.join(", ")),
    )
    .cure(format!("Ask for one of them, in {from}. With `>=` the app takes the newest:\n\n  >={nearest}"))
    .cure("Or list a standalone build in a file of your own, and name it in PACKLIGHT_PYTHON_INVENTORY, and its mirror in PACKLIGHT_PYTHON_MIRROR.")
}

pub(crate) fn no_inventory(file: &str) -> UserError {
    UserError::new(
        format!("PACKLIGHT_PYTHON_INVENTORY names `{file}`, which is not there"),
        "The name is relative to the app's folder.",
    )
    .cure("Correct the name, or unset the variable.")
}

pub(crate) fn bad_inventory(file: &str, why: &str) -> UserError {
    UserError::new(format!("{file} is not an inventory of Pythons"), why.to_owned())
        .cure("An entry looks like this:\n\n  [[standalone]]\n  version = \"3.12.13\"\n  path = \"20261110/cpython-3.12.13+20261110-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz\"\n  sha256 = \"...\"")
}

pub(crate) fn python_not_fetched(version: &str, url: &str, why: &str) -> UserError {
    UserError::new(format!("Python {version} could not be fetched"), format!("{url}\n{why}"))
        .cure("Set PACKLIGHT_PYTHON_MIRROR to a mirror of python-build-standalone's releases that this machine reaches (https:// or file://).")
        .cure("Or ask for 3.13 or 3.11, which come from Debian.")
}

pub(crate) fn python_wrong_digest(url: &str, wanted: &str, found: &str) -> UserError {
    UserError::new(
        "the standalone Python is not the one that the inventory names",
        format!("{url}\nsha256 expected: {wanted}\nsha256 found:    {found}"),
    )
    .cure("Do not use that mirror until it is known why: the file is damaged, or was replaced.")
}

pub(crate) fn no_interpreter(path: &str, minor: &str) -> UserError {
    UserError::new(
        format!("the build image has no Python {minor}"),
        format!("{path} is not there. This buildpack asks for it as Debian package `python{minor}` in its build plan."),
    )
    .cure("Build with Packlight's own builder, or with one that has the extension packlight/debian.")
}

// uv and pip
