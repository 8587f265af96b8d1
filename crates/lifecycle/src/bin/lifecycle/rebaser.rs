//! `rebaser`: an app image on a newer run image.

use crate::analyzer::output_names;
use crate::exit::{Code, Failure, OrFail as _, fail};
use crate::images::{self, Workbench};
use crate::place::{Found, Parts, Places};
use crate::{Site, exporter, files, names, privileges, run_image};
use cnb::labels::{LIFECYCLE_METADATA, LifecycleMetadata, RunImageNames};
use cnb::report::{Report, ReportImage};
use lifecycle::{Force, RebaseRequest};
use oci::Image;

pub(crate) fn run(site: &Site) -> Result<(), Failure> {
    let Some((image, more)) = site.inputs.arguments.split_first() else {
        return Err(fail(Code::Arguments, "the name of an image is wanted"));
    };
    let asked = asked(site)?;
    let output = output_names(site, image, more)?;
    let places = Places::open(site)?;
    let place = places.images()?;
    privileges::drop(site, &[])?;
    let from = site.inputs.some("previous-image").unwrap_or(image);
    let app = images::need(place, "the image", from, Code::Rebase)?;
    let run_image = match asked {
        Some(asked) => asked,
        None => run_image::nearest(place, from, &known(site, &app)?)?,
    };
    let base = images::need(place, "the run image", &run_image, Code::Failed)?;
    exporter::warn_of_another_registry(site, image, &run_image);
    let request = RebaseRequest {
        app: &app.image,
        base: &base.image,
        base_reference: &base.reference,
        base_name: &run_image,
        same_name: names::same,
        features: site.features,
        force: if site.inputs.switch("force") { Force::Yes } else { Force::No },
    };
    let rebased = lifecycle::rebase(&request).or_fail(Code::Rebase)?;
    rebased.warnings.iter().for_each(|it| site.log.warning(it));
    let new = Image::new(rebased.config, &rebased.layers).or_fail(Code::Rebase)?;
    let bench = Workbench::new()?;
    let parts = Parts { store: &bench.store, images: &[&base, &app], kept: None };
    let saved = place.save(&new, &parts, &output).map_err(|it| fail(Code::Rebase, it))?;
    let id = if saved.digest.is_empty() { &saved.image_id } else { &saved.digest };
    site.log.info(&format!("*** Images ({id}):"));
    site.inputs.arguments.iter().for_each(|it| site.log.info(&format!("      {it}")));
    let manifest_size = (!saved.digest.is_empty()).then_some(new.manifest_json().len() as u64);
    let report = ReportImage {
        tags: site.inputs.arguments.clone(),
        digest: saved.digest,
        image_id: saved.image_id,
        manifest_size,
    };
    write_report(site, &Report { image: report })
}

/// The run image that was asked for, by either of the flag's names.
fn asked(site: &Site) -> Result<Option<String>, Failure> {
    let (new, old) = (site.inputs.some("run-image"), site.inputs.some("image"));
    if old.is_some() && site.inputs.is_given("run-image") {
        return Err(fail(Code::Arguments, "-image is the old name of -run-image; give one of them"));
    }
    Ok(old.or(new).map(str::to_owned))
}

/// The run images that the app image names.
fn known(site: &Site, app: &Found) -> Result<RunImageNames, Failure> {
    let label = app.image.config().config.labels.get(LIFECYCLE_METADATA);
    let metadata: LifecycleMetadata = label.and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
    let own = RunImageNames { image: metadata.run_image.image, mirrors: metadata.run_image.mirrors };
    let of_stack = metadata.stack.unwrap_or_default().run_image;
    let known = if site.features.targets && !own.image.is_empty() { own } else { of_stack };
    match known.image.is_empty() {
        false => Ok(known),
        true => Err(fail(Code::Arguments, "the image names no run image; give one with -run-image")),
    }
}

/// Nobody has to have a layers directory for a rebase: there the report is left out, unless it was asked for.
fn write_report(site: &Site, report: &Report) -> Result<(), Failure> {
    let path = site.inputs.path("report");
    let has_directory = path.parent().is_some_and(std::path::Path::is_dir);
    if !has_directory && !site.inputs.is_given("report") {
        site.log.debug(&format!("no report: {} has no directory", path.display()));
        return Ok(());
    }
    files::write(&path, report).map_err(|it| Failure { code: Code::Rebase, ..it })
}
