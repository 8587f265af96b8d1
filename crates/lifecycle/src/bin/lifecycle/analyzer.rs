//! `analyzer`: what is known of the previous image and of the run image.

use crate::exit::{Code, Failure, OrFail as _, fail};
use crate::images::{self, PlacedImages, Workbench};
use crate::place::{Found, Place, Places};
use crate::{Site, cache, files, names, privileges, run_image};
use cnb::analyzed::{Analyzed, RunImage};
use lifecycle::beneath::Beneath;
use lifecycle::{AnalyzeRequest, Dir, Previous};
use oci::ImageName;
use std::path::Path;

pub(crate) fn run(site: &Site) -> Result<(), Failure> {
    let [image] = site.inputs.arguments.as_slice() else {
        let text = format!("one image is wanted, and {} were given", site.inputs.arguments.len());
        return Err(fail(Code::Arguments, text));
    };
    let places = Places::open(site)?;
    let asked = Asked::of(site, places.images()?, image)?;
    privileges::drop(site, &["layers", "cache-dir", "launch-cache"])?;
    cache::check_access(site, &places)?;
    let analysis = analyze(site, places.images()?, &asked)?;
    files::write(&site.inputs.path("analyzed"), &analysis.analyzed)
}

/// Images by their names.
pub(crate) struct Asked {
    pub(crate) output: Vec<ImageName>,
    pub(crate) previous: String,
    pub(crate) run_image: String,
}

impl Asked {
    pub(crate) fn of(site: &Site, place: &dyn Place, image: &str) -> Result<Self, Failure> {
        let inputs = &site.inputs;
        let output = output_names(site, image, inputs.list("tag"))?;
        if !inputs.switch("daemon") {
            if let Some(previous) = inputs.some("previous-image") {
                names::parse(previous)?;
            }
            if let Some(launch_cache) = inputs.some("launch-cache") {
                site.log.warning(&format!("the launch cache {launch_cache} is only used with -daemon"));
            }
        }
        let previous = inputs.some("previous-image").unwrap_or(image).to_owned();
        let run_image = run_image::resolve(site, place, image)?;
        Ok(Self { output, previous, run_image })
    }
}

/// All names that an image is written under.
pub(crate) fn output_names(site: &Site, image: &str, more: &[String]) -> Result<Vec<ImageName>, Failure> {
    let all = std::iter::once(image).chain(more.iter().map(String::as_str));
    let all: Vec<ImageName> = all.map(names::parse).collect::<Result<_, _>>()?;
    if let Some(digest) = all.iter().find(|it| it.digest.is_some()) {
        let text = format!("{digest} has a digest, which an image gets when it is made; leave it out");
        return Err(fail(Code::Arguments, text));
    }
    if !site.inputs.switch("daemon") {
        names::in_one_registry(&all)?;
    }
    Ok(all)
}

/// What later phases want to know.
pub(crate) struct Analysis {
    pub(crate) analyzed: Analyzed,
    pub(crate) previous: Previous,
    /// The previous image itself.
    pub(crate) previous_image: Option<Found>,
    pub(crate) base: Found,
}

pub(crate) fn analyze(site: &Site, place: &dyn Place, asked: &Asked) -> Result<Analysis, Failure> {
    check_access(place, asked)?;
    let found = place.find(&asked.previous);
    let previous_image = found.map_err(|it| fail(Code::Analyze, format!("{}: {it}", asked.previous)))?;
    let base = images::need(place, "the run image", &asked.run_image, Code::Analyze)?;
    let bench = Workbench::new()?;
    let images =
        PlacedImages { bench: &bench, previous: previous_image.as_ref(), kept: None, takes_tars: false };
    let exec_env = exec_env(site);
    let request = AnalyzeRequest { run_image: Some(described(site, asked, &base)?), exec_env };
    let (analyzed, previous) = lifecycle::analyze(request, &images).or_fail(Code::Analyze)?;
    match &analyzed.image {
        Some(it) => site.log.debug(&format!("the previous image is {}", it.reference)),
        None => site.log.info(&format!("Image with name {:?} not found", asked.previous)),
    }
    if site.features.sbom_layers && !site.inputs.skips_layers() {
        restore_bills(site, place, previous_image.as_ref(), &previous)?;
    }
    Ok(Analysis { analyzed, previous, previous_image, base })
}

/// The execution environment; platforms from before there were any have the usual one.
pub(crate) fn exec_env(site: &Site) -> &str {
    if site.features.exec_env { site.inputs.text("exec-env") } else { "production" }
}

fn described(site: &Site, asked: &Asked, base: &Found) -> Result<RunImage, Failure> {
    let mut described = RunImage { reference: base.reference.clone(), ..RunImage::default() };
    if site.features.targets {
        let target = lifecycle::target_of(&base.image);
        if target.os.is_empty() {
            let text = format!("the run image {} does not say its operating system", asked.run_image);
            return Err(fail(Code::Analyze, text));
        }
        described.image.clone_from(&asked.run_image);
        described.target = Some(target);
    }
    Ok(described)
}

/// A build that could not be saved in the end is not begun.
fn check_access(place: &dyn Place, asked: &Asked) -> Result<(), Failure> {
    let refused = |reason: String| fail(Code::Analyze, reason);
    for name in &asked.output {
        place.can_write(name).map_err(refused)?;
    }
    if asked.output.iter().all(|it| names::same(&it.to_string()) != names::same(&asked.previous))
        && let Ok(name) = names::parse(&asked.previous)
    {
        place.can_read(&name).map_err(refused)?;
    }
    Ok(())
}

/// The launch layers' bills of materials are a layer of the previous image.
fn restore_bills(
    site: &Site,
    place: &dyn Place,
    previous_image: Option<&Found>,
    previous: &Previous,
) -> Result<(), Failure> {
    let sha = previous.metadata.sbom.as_ref().and_then(|it| it.sha.parse().ok());
    let (Some(image), Some(sha)) = (previous_image, sha) else { return Ok(()) };
    let layers = site.inputs.path("layers");
    let bills =
        Beneath::open(&Dir::same(&layers)).and_then(|it| it.make_dir("sbom", None)).or_fail(Code::Analyze)?;
    bills.remove("launch").or_fail(Code::Analyze)?;
    bills.make_dir("launch", None).or_fail(Code::Analyze)?;
    let at = Path::new(&layers).join("sbom/launch");
    if let Err(reason) = place.unpack(image, &sha, &at, &at) {
        site.log.warning(&format!("the previous image's bills of materials are not restored: {reason}"));
        bills.remove("launch").or_fail(Code::Analyze)?;
    }
    Ok(())
}
