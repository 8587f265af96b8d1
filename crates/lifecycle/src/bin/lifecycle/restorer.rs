//! `restorer`: what the last build left for this one.

use crate::cache::Cache;
use crate::detector::{self, Work};
use crate::exit::{Code, Failure, OrFail as _, fail};
use crate::place::{Place, Places};
use crate::{Site, analyzer, builder, exporter, files, images, privileges, tell};
use cnb::analyzed::Analyzed;
use cnb::group::GroupToml;
use lifecycle::{Kept, Previous, RestoreRequest, RestoredRequest};

pub(crate) fn run(site: &Site) -> Result<(), Failure> {
    if !site.inputs.arguments.is_empty() {
        return Err(fail(Code::Arguments, "restorer takes no arguments"));
    }
    if let Some(image) = site.inputs.some("build-image") {
        // Platforms give it to any builder that has image extensions; it is needed when one passed detection.
        site.log.debug(&format!(
            "extending images is not there yet, so the build image {image} is left as it is"
        ));
    }
    let places = Places::open(site)?;
    privileges::drop(site, &["layers", "cache-dir"])?;
    let group: GroupToml = files::need(site, &site.inputs.path("group"), "detector")?;
    builder::known_apis(&group)?;
    let path = site.inputs.path("analyzed");
    let analyzed: Option<Analyzed> = files::read(site, &path)?;
    if analyzed.is_none() {
        site.log.warning(&format!("{} is not there: nothing is known of the last build", path.display()));
    }
    let mut analyzed = analyzed.unwrap_or_default();
    if fill_in_target(site, places.images()?, &mut analyzed)? {
        files::write(&path, &analyzed)?;
    }
    let metadata = analyzed.metadata.clone().unwrap_or_default();
    let previous = Previous { reference: analyzed.image.map(|it| it.reference), metadata };
    restore(site, &group, &previous, &Cache::open(site, &places)?)
}

/// Later phases want to know what the app will run on. True when it was not known before.
fn fill_in_target(site: &Site, place: &dyn Place, analyzed: &mut Analyzed) -> Result<bool, Failure> {
    let Some(run_image) = analyzed.run_image.as_mut() else { return Ok(false) };
    let known = run_image.target.as_ref().is_some_and(|it| !it.os.is_empty());
    if !site.features.targets || known || run_image.image.is_empty() {
        return Ok(false);
    }
    let found = images::need(place, "the run image", &run_image.image, Code::Failed)?;
    run_image.target = Some(lifecycle::target_of(&found.image));
    run_image.reference = found.reference;
    Ok(true)
}

pub(crate) fn restore(
    site: &Site,
    group: &GroupToml,
    previous: &Previous,
    cache: &Cache,
) -> Result<(), Failure> {
    let work = Work::new()?;
    let mut metadata = cache.metadata()?;
    let mut previous = previous.clone();
    if site.inputs.skips_layers() {
        site.log.info("Layers of the last build are left aside");
        metadata = Default::default();
        previous = previous.without_layers();
    }
    let exec_env = analyzer::exec_env(site);
    let request = RestoreRequest {
        dirs: &detector::dirs(site, &work),
        group,
        cache: &lifecycle::cache_record(&metadata, exec_env),
        previous: &previous,
        exec_env,
    };
    let kept = Kept { metadata: &metadata, tars: cache, features: site.features };
    let restored =
        lifecycle::restore_from(&request, &kept, &tell::Events(&site.log)).or_fail(Code::Restore)?;
    if let Some(volume) = cache.volume() {
        let (dirs, owner) = (request.dirs, exporter::owner(site));
        let asked = RestoredRequest { dirs, group, owner, metadata: &metadata, restored: &restored };
        // Without these notes layers are read once more, and that is all.
        if let Err(error) = volume.note_restored(lifecycle::restored_layers(&asked, volume)) {
            site.log.warning(&format!("what was restored could not be noted: {error}"));
        }
    }
    Ok(())
}
