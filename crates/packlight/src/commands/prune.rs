//! `packlight prune`.

use super::Here;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render::bytes;
use clap::Args;
use platform::housekeeping;

/// Free what nothing uses any more
#[derive(Debug, Args)]
#[command(after_help = "\
What has a name stays, with its layers, its bases and what its next build takes over. The caches of an app go when
no image has its name any more. Downloads go that nobody has used for 30 days, and the oldest beyond 2 GiB.")]
pub(crate) struct Arguments {}

pub(super) fn run(here: &Here<'_>, _: &Arguments) -> Result<ExitCode, Failure> {
    let (store, _) = here.open_store()?;
    let pruned = housekeeping::prune(&store)?;
    let value = serde_json::json!({
        "bytes": pruned.bytes, "blobs": pruned.blobs, "layers": pruned.layers, "apps": pruned.apps,
        "downloads": pruned.downloads,
    });
    let text = format!(
        "freed {}: {} blobs, {} unpacked layers, caches of {} apps, {} downloads\n",
        bytes(pruned.bytes),
        pruned.blobs,
        pruned.layers,
        pruned.apps,
        pruned.downloads
    );
    here.screen.result("pruned", &value, |_| text.clone(), &pruned.bytes.to_string());
    Ok(ExitCode::OK)
}
