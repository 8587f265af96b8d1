//! Names of images, spelled as the reference spells them in files and labels.

use crate::exit::{Code, Failure, fail};
use oci::ImageName;
use std::path::PathBuf;

/// Docker Hub, as platforms know it from `analyzed.toml`.
const HUB: &str = "index.docker.io";

pub(crate) fn parse(text: &str) -> Result<ImageName, Failure> {
    ImageName::parse(text, "docker.io").map_err(|error| fail(Code::Arguments, error))
}

/// The registry, as it is written in references.
pub(crate) fn registry(name: &ImageName) -> &str {
    if name.registry == "docker.io" { HUB } else { &name.registry }
}

/// Registry and repository.
pub(crate) fn repository(name: &ImageName) -> String {
    format!("{}/{}", registry(name), name.repository)
}

/// One spelling for all names of the same image; a digest beside a name does not make it another one.
pub(crate) fn same(text: &str) -> String {
    let plain = text.split_once('@').map_or(text, |(plain, _)| plain);
    match ImageName::parse(plain, "docker.io") {
        Ok(name) => format!("{}:{}", repository(&name), name.tag.as_deref().unwrap_or("latest")),
        Err(_) => text.to_owned(),
    }
}

/// Where an image lies in a directory of layouts.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#map-an-image-reference-to-a-path-in-the-layout-directory>
pub(crate) fn layout_path(name: &ImageName) -> PathBuf {
    let path = PathBuf::from(repository(name));
    match &name.digest {
        Some(digest) => path.join("sha256").join(digest.hex()),
        None => path.join(name.tag.as_deref().unwrap_or("latest")),
    }
}

/// All names in one registry, where there is no daemon that has them all.
pub(crate) fn in_one_registry(names: &[ImageName]) -> Result<(), Failure> {
    match names.iter().find(|it| it.registry != names[0].registry) {
        None => Ok(()),
        Some(other) => {
            let (one, two) = (registry(&names[0]), registry(other));
            let text = format!("the image's names are in two registries, {one} and {two}; choose one");
            Err(fail(Code::Arguments, text))
        }
    }
}

/// The registries of two images, where they are not the same one. What is no name, as the path of a layout, is in none.
pub(crate) fn in_two_registries(one: &str, other: &str) -> Option<(String, String)> {
    let of = |text: &str| ImageName::parse(text, "docker.io").ok().map(|it| registry(&it).to_owned());
    let (one, other) = (of(one)?, of(other)?);
    (one != other).then_some((one, other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths_and_one_spelling() {
        let path = |text: &str| layout_path(&parse(text).unwrap()).display().to_string();
        assert_eq!(path("busybox"), "index.docker.io/library/busybox/latest");
        assert_eq!(path("r.example:5000/a/b:c"), "r.example:5000/a/b/c");
        let digest = oci::Digest::of("");
        assert_eq!(path(&format!("r.example/a@{digest}")), format!("r.example/a/sha256/{}", digest.hex()));
        assert_eq!(same("busybox"), same("docker.io/library/busybox:latest"));
        assert_eq!(same(&format!("r.example/a:b@{digest}")), "r.example/a:b");
    }

    #[test]
    fn images_in_two_registries_are_told_apart() {
        let digest = oci::Digest::of("");
        let found = in_two_registries("r.example/app:1", &format!("busybox@{digest}"));
        assert_eq!(found, Some(("r.example".to_owned(), "index.docker.io".to_owned())));
        assert_eq!(in_two_registries("r.example/app:1", &format!("r.example/run@{digest}")), None);
        assert_eq!(in_two_registries("busybox", "docker.io/library/debian"), None);
        assert_eq!(in_two_registries("r.example/app:1", "/layouts/r.example/run/1"), None);
    }

    #[test]
    fn names_in_two_registries_are_refused() {
        let names = |all: &[&str]| all.iter().map(|it| parse(it).unwrap()).collect::<Vec<_>>();
        assert!(in_one_registry(&names(&["a", "b:c"])).is_ok());
        let failure = in_one_registry(&names(&["a", "r.example/b"])).unwrap_err();
        assert!(failure.text.contains("index.docker.io and r.example"), "{}", failure.text);
    }
}
