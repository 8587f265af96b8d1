//! `creator`: a whole build in one process.

use crate::analyzer::{self, Analysis, Asked};
use crate::cache::Cache;
use crate::exit::{Code, Failure, fail};
use crate::exporter::{self, Made};
use crate::place::Places;
use crate::{Site, builder, cache, detector, files, privileges, restorer};

pub(crate) fn run(site: &Site) -> Result<(), Failure> {
    let [image] = site.inputs.arguments.as_slice() else {
        let text = format!("one image is wanted, and {} were given", site.inputs.arguments.len());
        return Err(fail(Code::Arguments, text));
    };
    let places = Places::open(site)?;
    let asked = Asked::of(site, places.images()?, image)?;
    privileges::drop(site, &["cache-dir", "launch-cache", "layers"])?;
    cache::check_access(site, &places)?;
    let (place, cache) = (places.images()?, Cache::open(site, &places)?);
    let mut env = detector::environment();
    if let Some(home) = privileges::home() {
        env.insert("HOME".into(), home.into());
    }

    site.log.phase("ANALYZING");
    let Analysis { analyzed, previous, previous_image, base } = analyzer::analyze(site, place, &asked)?;
    files::write(&site.inputs.path("analyzed"), &analyzed)?;

    site.log.phase("DETECTING");
    let detected = detector::detect(site, &analyzed, &env)?;
    if let Some(extension) = detected.group.group_extensions.first() {
        let text = format!(
            "the image extension {} is wanted, and creator extends no images; call the phases one by one",
            extension.full_name()
        );
        return Err(fail(Code::Detect, text));
    }

    if !site.inputs.skips_layers() || site.features.store_is_always_restored {
        site.log.phase("RESTORING");
        restorer::restore(site, &detected.group, &previous, &cache)?;
    }

    site.log.phase("BUILDING");
    builder::build(site, &analyzed, (&detected.group, &detected.plan), &env)?;

    site.log.phase("EXPORTING");
    exporter::warn_of_another_registry(site, image, &asked.run_image);
    let made = Made {
        group: &detected.group,
        analyzed: &analyzed,
        previous: &previous,
        previous_image: previous_image.as_ref(),
        base: &base,
    };
    exporter::export(site, place, &made, (&asked.output, &cache))
}
