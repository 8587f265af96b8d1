//! After a failure: what the buildpacks had finished is recorded, so that the next build does not fetch it again.

use super::BuildError;
use super::handover::CACHE_FILE;
use super::site::Site;
use crate::event::{Event, Events};
use lifecycle::{Detected, FailedRequest, after_failure};
use oci::AppDir;

/// Records it; when that fails too, the failure of the build is still the one to tell.
pub(super) fn keep(
    site: &Site<'_>,
    app_dir: &AppDir,
    detected: &Detected,
    error: &BuildError,
    events: Events<'_>,
) {
    let failure = match error {
        BuildError::Build(failure) => Some(failure),
        BuildError::Export(_) => None,
        _ => return,
    };
    let request = FailedRequest {
        dirs: &site.dirs,
        catalogue: site.catalogue(),
        group: &detected.group,
        cache: &site.cache,
        exec_env: site.exec_env(),
        failure,
    };
    let kept = after_failure(&request)
        .map_err(std::io::Error::other)
        .and_then(|cache| cache.print().map_err(std::io::Error::other))
        .and_then(|text| app_dir.write(CACHE_FILE, &text).map_err(std::io::Error::other));
    if let Err(error) = kept {
        let text = format!("what was finished could not be kept for the next build: {error}");
        events(Event::Warning { text });
    }
}
