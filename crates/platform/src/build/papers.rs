//! What a build writes beside the image: its bills of materials and `report.toml`, where the user asks for them.

use super::{BuildError, BuildRequest};
use crate::event::{Event, Events};
use crate::files::{self, FilesError};
use crate::output::{self, Written};
use crate::room::inside;
use lifecycle::Dir;
use lifecycle::beneath::Beneath;
use oci::{AppDir, Image};

/// Where the lifecycle collects bills of materials, in the layers directory.
const SBOM: &str = "sbom";

pub(super) fn write(
    image: &Image,
    app_dir: &AppDir,
    request: &BuildRequest,
    events: Events<'_>,
) -> Result<Vec<Written>, BuildError> {
    let mut written = Vec::new();
    if let Some(dir) = &request.papers.sbom {
        // `build/`, `cache/` and `launch/`: the last build of this app left them here.
        let layers = Dir::new(app_dir.layers(), inside::LAYERS);
        let bills = Beneath::open(&layers)?.dir(SBOM)?;
        let files = bills.map(|it| files::spread(&it, dir)).transpose()?.unwrap_or_default();
        if files.is_empty() {
            let text = "no buildpack of this build wrote a bill of materials".to_owned();
            events(Event::Warning { text });
        }
        written.push(output::file(SBOM, dir));
    }
    if let Some(dir) = &request.papers.report {
        let tags: Vec<String> = request.names().map(ToString::to_string).collect();
        let text = toml::to_string(&lifecycle::report(image, &tags)).map_err(std::io::Error::other)?;
        let file = dir.join("report.toml");
        fs_err::create_dir_all(dir)
            .and_then(|()| files::write(&file, &mut text.as_bytes()))
            .map_err(|source| FilesError::Write { path: file.clone(), source })?;
        written.push(output::file("report", &file));
    }
    Ok(written)
}
