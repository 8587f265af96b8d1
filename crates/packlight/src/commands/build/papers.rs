//! The flags of `packlight build` that ask for files about the image.

use clap::Args;
use platform::build::Papers;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(next_help_heading = "Files about the image")]
pub(super) struct PapersArguments {
    /// Write the build's Software Bills of Materials beneath this folder: build/, cache/ and launch/
    #[arg(long, value_name = "DIR")]
    sbom_output_dir: Option<PathBuf>,
    /// Write report.toml, which has the image's names and digest, into this folder
    #[arg(long, value_name = "DIR")]
    report_output_dir: Option<PathBuf>,
}

impl PapersArguments {
    pub(super) fn papers(&self) -> Papers {
        Papers { sbom: self.sbom_output_dir.clone(), report: self.report_output_dir.clone() }
    }
}
