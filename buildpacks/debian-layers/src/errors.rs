//! What this buildpack says to a user when it cannot go on.

use buildpack::UserError;

pub(crate) fn several_releases(names: &[&String]) -> UserError {
    let names: Vec<&str> = names.iter().map(|it| it.as_str()).collect();
    UserError::new(
        format!("the buildpacks ask for several releases of Debian: {}", names.join(", ")),
        "An image has packages of one.",
    )
}

pub(crate) fn unknown_release(name: &str) -> UserError {
    let known: Vec<&str> = debian::RELEASES.iter().map(|it| it.name).collect();
    UserError::new(format!("Debian {name} is not known"), format!("Known are: {}.", known.join(", ")))
}

pub(crate) fn not_names(key: &str) -> UserError {
    UserError::new(
        format!("a buildpack asks for Debian packages with a `{key}` that is not a list of names"),
        "That is the mistake of the buildpack which requires `debian`.",
    )
}

pub(crate) fn compiler(package: &str) -> UserError {
    UserError::new(
        format!("{package} cannot be put into a layer"),
        "A compiler looks for its headers and libraries in /usr, which belongs to the builder's base.",
    )
    .cure("Take a builder whose build image has a compiler, or build with `packlight build`.")
}

pub(crate) fn no_mirror() -> UserError {
    UserError::new(
        "no mirror of Debian's archive is known here",
        "Neither PACKLIGHT_DEBIAN_MIRROR is set, nor does /etc/apt name one, nor does this buildpack's package.",
    )
    .cure("Set PACKLIGHT_DEBIAN_MIRROR and PACKLIGHT_DEBIAN_SECURITY_MIRROR for the build.")
}

pub(crate) fn not_had(error: &dyn std::error::Error) -> UserError {
    UserError::new("the Debian packages cannot be had", chain(error)).cure(
        "Other mirrors can be named in PACKLIGHT_DEBIAN_MIRROR and PACKLIGHT_DEBIAN_SECURITY_MIRROR (separated by spaces).",
    )
}

pub(crate) fn not_unpacked(error: &dyn std::error::Error) -> UserError {
    UserError::new("the Debian packages cannot be unpacked", chain(error))
}

pub(crate) fn not_finished(what: &str, said: &str) -> UserError {
    UserError::new(format!("{what} could not be made"), said)
}

pub(crate) fn no_glibc(release: &str) -> UserError {
    UserError::new(
        format!("packages of Debian {release} do not run on this base"),
        "It has no GNU C library (/lib/x86_64-linux-gnu/libc.so.6): it is Alpine's, or one of static programs alone.",
    )
    .cure("Take a builder on Debian or Ubuntu.")
}

pub(crate) fn old_glibc(release: &str, (file, needs): (&str, &str), has: &str) -> UserError {
    UserError::new(
        format!("packages of Debian {release} do not run on this base"),
        format!("{file} needs version {needs} of the GNU C library; the base has {has}."),
    )
    .cure(
        "Take a newer builder, or a version of the language that an older Debian has \
         (Python 3.11 is bookworm's: BP_CPYTHON_VERSION=3.11).",
    )
}

/// An error with its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(it) = source {
        let more = it.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = it.source();
    }
    text
}
