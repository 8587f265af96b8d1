//! `packlight images`.

use super::Here;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render::{bytes, table};
use clap::Args;
use platform::housekeeping;
use serde::Serialize;

/// List the images of the store
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
      packlight images
  For a script: names only, or everything.
      packlight images --quiet
      packlight images --format json")]
pub(crate) struct Arguments {}

#[derive(Serialize)]
struct Line {
    name: String,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
}

pub(super) fn run(here: &Here<'_>, _: &Arguments) -> Result<ExitCode, Failure> {
    let (store, _) = here.open_store()?;
    let images: Vec<Line> = housekeeping::images(&store)?
        .into_iter()
        .map(|it| Line {
            name: it.name.short(),
            digest: it.image.to_string(),
            size: it.size,
            created: it.created,
        })
        .collect();
    let names = images.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join("\n");
    here.screen.result("images", &serde_json::json!({"images": images}), |_| text(&images), &names);
    Ok(ExitCode::OK)
}

/// The time of creation is no column: it is the same in every image, so that the same input gives the same digest.
fn text(images: &[Line]) -> String {
    if images.is_empty() {
        return "no images yet; in an app's folder, `packlight build NAME` makes one\n".to_owned();
    }
    let mut rows = vec![["NAME".to_owned(), "DIGEST".to_owned(), "SIZE".to_owned()]];
    let short = |digest: &str| digest.chars().take("sha256:".len() + 12).collect::<String>();
    rows.extend(images.iter().map(|it| [it.name.clone(), short(&it.digest), bytes(it.size)]));
    table(&rows)
}
