//! Which run image, and by which names it can be found.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#run-image-resolution>

use crate::exit::{Code, Failure, fail};
use crate::place::Place;
use crate::{Site, files, names};
use cnb::labels::RunImageNames;
use cnb::run::{RunToml, StackToml};

/// What the builder says of run images, by the file that this Platform API has for it.
fn known(site: &Site) -> Result<Vec<RunImageNames>, Failure> {
    if site.features.targets {
        let path = site.inputs.path("run");
        return Ok(files::read::<RunToml>(site, &path)?.unwrap_or_default().images);
    }
    let stack: StackToml = files::read(site, &site.inputs.path("stack"))?.unwrap_or_default();
    Ok(vec![stack.run_image])
}

/// The run image for an app image of this name: the one asked for, else the first that can be read, those on the app's
/// own registry first.
pub(crate) fn resolve(site: &Site, place: &dyn Place, app: &str) -> Result<String, Failure> {
    if let Some(asked) = site.inputs.some("run-image") {
        return Ok(asked.to_owned());
    }
    let known = known(site)?.into_iter().next().unwrap_or_default();
    if known.all().next().is_none() {
        let file = if site.features.targets { "run" } else { "stack" };
        let text = format!(
            "no run image: {} names none; give one with -run-image",
            site.inputs.path(file).display()
        );
        return Err(fail(Code::Arguments, text));
    }
    nearest(place, app, &known)
}

/// The name by which a run image can be read, nearest to an app image.
pub(crate) fn nearest(place: &dyn Place, app: &str, known: &RunImageNames) -> Result<String, Failure> {
    let registry = names::parse(app)?.registry;
    let is_near = |it: &&str| names::parse(it).is_ok_and(|name| name.registry == registry);
    let (near, far): (Vec<&str>, Vec<&str>) = known.all().partition(is_near);
    let mut tried = Vec::new();
    for name in near.into_iter().chain(far) {
        match place.can_read(&names::parse(name)?) {
            Ok(true) => return Ok(name.to_owned()),
            Ok(false) => tried.push(format!("{name} is not there")),
            Err(reason) => tried.push(format!("{name}: {reason}")),
        }
    }
    Err(fail(Code::Arguments, format!("no run image can be read: {}", tried.join("; "))))
}

/// The names that a rebase may go by later: those of the entry that has this run image, else of the first.
pub(crate) fn for_label(site: &Site, asked: &str) -> Result<RunImageNames, Failure> {
    let known = known(site)?;
    let wanted = names::same(asked);
    let listed = known.iter().find(|it| it.all().any(|name| names::same(name) == wanted));
    Ok(listed.or(known.first()).cloned().unwrap_or_default())
}
