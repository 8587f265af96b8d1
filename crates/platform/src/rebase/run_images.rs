//! The run images of one rebase: each is asked for once, however many app images stand on it, and one that cannot be
//! had has mirrors.

use super::{Place, Refusal};
use crate::event::{Event, Events};
use crate::images::{self, PullPolicy, Source};
use crate::world::World;
use cnb::labels::{LifecycleMetadata, RunImageNames};
use oci::registry::Client;
use oci::{Image, ImageName, NameError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

/// A run image as others are put on it.
pub(super) struct RunImage {
    pub(super) name: ImageName,
    pub(super) image: Image,
}

/// What asking for a name came to; why not is told of every app image that needs it.
type Had = Result<Arc<RunImage>, String>;

/// The run images that were asked for.
pub(super) struct RunImages<'a> {
    pub(super) world: &'a World,
    pub(super) client: &'a Client,
    pub(super) events: Events<'a>,
    pub(super) place: Place,
    /// The map is locked to look a name up; while one is asked for, only those wait who want the same.
    pub(super) known: Mutex<HashMap<ImageName, Arc<OnceLock<Had>>>>,
}

impl RunImages<'_> {
    /// The first of these names that leads to an image.
    pub(super) fn first(&self, names: &[ImageName]) -> Result<Arc<RunImage>, Refusal> {
        let mut reasons = Vec::new();
        for (at, name) in names.iter().enumerate() {
            match self.one(name, names.get(at + 1)) {
                Ok(found) => return Ok(found),
                Err(reason) => reasons.push(reason),
            }
        }
        if reasons.is_empty() { Err(Refusal::Nameless) } else { Err(Refusal::NoRunImage(reasons.join("; "))) }
    }

    fn one(&self, name: &ImageName, next: Option<&ImageName>) -> Had {
        let slot = Arc::clone(crate::at_once::locked(&self.known).entry(name.clone()).or_default());
        let had = slot.get_or_init(|| {
            let image = self.ask(name).map_err(|refusal| crate::error::chain(&refusal));
            if let (Err(reason), Some(next)) = (&image, next) {
                let text = format!("{reason}; the run image's other name {} is tried", next.short());
                (self.events)(Event::Warning { text });
            }
            Ok(Arc::new(RunImage { name: name.clone(), image: image? }))
        });
        had.clone()
    }

    fn ask(&self, name: &ImageName) -> Result<Image, Refusal> {
        Ok(match self.place {
            Place::Registry => self.client.image(name, &images::platform())?,
            Place::Store => {
                let source = Source::Registry(name.clone());
                images::obtain(self.world, &source, PullPolicy::Always, self.events)?.image
            }
        })
    }
}

/// The names of an app's run image, those in the app's own registry first: its name and its mirrors.
pub(super) fn names_of(
    app: &ImageName,
    metadata: &LifecycleMetadata,
    default_registry: &str,
) -> Result<Vec<ImageName>, NameError> {
    let names = known(metadata);
    let all = names.all().filter(|it| !it.is_empty()).map(|it| ImageName::parse(it, default_registry));
    let mut all = all.collect::<Result<Vec<_>, _>>()?;
    all.sort_by_key(|it| it.registry != app.registry);
    let mut distinct = Vec::new();
    for name in all {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    Ok(distinct)
}

fn known(metadata: &LifecycleMetadata) -> RunImageNames {
    let own = &metadata.run_image;
    match own.image.is_empty() {
        false => RunImageNames { image: own.image.clone(), mirrors: own.mirrors.clone() },
        true => metadata.stack.clone().unwrap_or_default().run_image,
    }
}
