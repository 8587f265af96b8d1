//! The Software Bills of Materials that a buildpack left, checked against what it declares and collected.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#software-bill-of-materials>

use crate::beneath::{Beneath, BeneathError};
use crate::catalogue::Known;
use crate::layers::{LayersError, OnDisk};
use rustix::fs::FileType;

/// File extensions and their media types.
pub(crate) const FORMATS: &[(&str, &str)] = &[
    ("cdx.json", "application/vnd.cyclonedx+json"),
    ("spdx.json", "application/spdx+json"),
    ("syft.json", "application/vnd.syft+json"),
];

/// One file: `<name>.sbom.<extension>`.
struct Found {
    file: String,
    name: String,
    extension: &'static str,
}

/// Copies every file beneath `<layers>/sbom`: `launch/`, `build/` or `cache/`, then the buildpack, then the layer.
///
/// The error is in words for the buildpack's author.
pub(crate) fn collect(
    layers_dir: &Beneath,
    bp_dir: &Beneath,
    known: &Known,
    layers: &[OnDisk],
) -> Result<Vec<String>, LayersError> {
    let mut warnings = Vec::new();
    for found in find(bp_dir, known)? {
        let kinds: Vec<&str> = match &*found.name {
            "launch" => vec!["launch"],
            "build" => vec!["build"],
            name => match layers.iter().find(|it| it.name == name) {
                Some(layer) => {
                    let types = layer.toml.types;
                    // As in the reference: whatever is not for launch is of the build.
                    [(types.launch, "launch"), (!types.launch, "build"), (types.cache, "cache")]
                        .into_iter()
                        .filter_map(|(is, kind)| is.then_some(kind))
                        .collect()
                }
                None => {
                    warnings.push(format!(
                        "{}: {} belongs to no layer and is left out",
                        known.full_name(),
                        found.file
                    ));
                    Vec::new()
                }
            },
        };
        for kind in kinds {
            copy(layers_dir, bp_dir, known, &found, kind)?;
        }
    }
    Ok(warnings)
}

fn find(bp_dir: &Beneath, known: &Known) -> Result<Vec<Found>, LayersError> {
    let mut all = Vec::new();
    for entry in bp_dir.entries()? {
        let Some((name, extension)) = entry.name.to_str().and_then(|it| it.rsplit_once(".sbom.")) else {
            continue;
        };
        if entry.kind == FileType::Directory {
            continue;
        }
        let path = bp_dir.name().join(&entry.name);
        let Some((extension, media_type)) = FORMATS.iter().find(|(it, _)| *it == extension) else {
            return Err(LayersError::Other(format!(
                "{} is in a format that is not known; a bill of materials ends in cdx.json, spdx.json or syft.json",
                path.display()
            )));
        };
        if !known.about.sbom_formats.iter().any(|it| it == media_type) {
            return Err(LayersError::Other(format!(
                "{} is written, but buildpack.toml does not declare it; add \"{media_type}\" to `sbom-formats`",
                path.display()
            )));
        }
        let (file, name) = (entry.name.to_string_lossy().into_owned(), name.to_owned());
        all.push(Found { file, name, extension });
    }
    Ok(all)
}

fn copy(
    layers_dir: &Beneath,
    bp_dir: &Beneath,
    known: &Known,
    found: &Found,
    kind: &str,
) -> Result<(), BeneathError> {
    let mut to = layers_dir.make_dir("sbom", None)?.make_dir(kind, None)?;
    to = to.make_dir(cnb::id::escape(&known.about.id), None)?;
    if !matches!(&*found.name, "launch" | "build") {
        to = to.make_dir(&found.name, None)?;
    }
    bp_dir.copy(&found.file, &to, &format!("sbom.{}", found.extension))
}
