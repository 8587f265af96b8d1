//! Rebase: an app image on a newer run image, without a build.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#rebaser>

use cnb::analyzed::TargetData;
use cnb::api::{self, ApiVersion, PlatformFeatures};
use cnb::buildpack_toml::Distro;
use cnb::labels::{self, RunImageNames};
use oci::{Image, ImageConfig, LayerRef};
use serde_json::Value;
use std::collections::BTreeSet;

/// What rebase is asked.
#[derive(Debug)]
pub struct RebaseRequest<'a> {
    /// The app image.
    pub app: &'a Image,
    /// The new run image.
    pub base: &'a Image,
    /// A digest reference or an image id of the new run image.
    pub base_reference: &'a str,
    /// The name that it was asked for by.
    pub base_name: &'a str,
    /// Makes one spelling of each name, so that names can be compared.
    pub same_name: fn(&str) -> String,
    /// What the platform expects.
    pub features: PlatformFeatures,
    /// Whether what does not fit is a warning and no error.
    pub force: Force,
}

/// Whether a rebase is done although something does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// It is done, with warnings.
    Yes,
    /// It is an error.
    No,
}

/// The new image's parts, for [`crate::Images::put`].
#[derive(Debug, Clone, PartialEq)]
pub struct Rebased {
    /// Its configuration.
    pub config: ImageConfig,
    /// Its layers, base first.
    pub layers: Vec<LayerRef>,
    /// What did not fit.
    pub warnings: Vec<String>,
}

/// Why an image is not rebased.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebaseError {
    /// Something does not fit, and nobody forced it.
    #[error("{0}; use -force to do it all the same")]
    Unsafe(String),
    /// Something does not fit.
    #[error("{0}")]
    Stack(String),
    /// The label that says where the run image ends is missing or not understood.
    #[error("the image has no label io.buildpacks.lifecycle.metadata that can be understood: {0}")]
    Metadata(String),
    /// The layer at which the run image ends is not there.
    #[error("the image has no layer {0}, at which its run image ends")]
    TopLayer(String),
}

/// Puts the app's layers on another run image.
///
/// # Errors
/// When they don't fit together.
pub fn rebase(request: &RebaseRequest<'_>) -> Result<Rebased, RebaseError> {
    let mut checked = Checked { force: request.force, warnings: Vec::new() };
    if made_for(request.app).targets {
        rebasable(request, &mut checked)?;
    } else {
        same_stack(request)?;
    }
    let mut metadata = metadata(request.app)?;
    let top = metadata["runImage"]["topLayer"].as_str().unwrap_or_default().to_owned();
    let app_layers = request.app.layers();
    let end = app_layers.iter().position(|it| it.diff_id.to_string() == top);
    let end = end.ok_or(RebaseError::TopLayer(top))?;
    let mut layers = request.base.layers();
    let new_top = layers.last().map(|it| it.diff_id.to_string()).unwrap_or_default();
    layers.extend(app_layers.into_iter().skip(end + 1));
    metadata["runImage"]["topLayer"] = new_top.into();
    metadata["runImage"]["reference"] = request.base_reference.into();
    if request.features.targets {
        known_name(request, &mut metadata, &mut checked)?;
    }
    let config = config(request, &metadata);
    Ok(Rebased { config, layers, warnings: checked.warnings })
}

struct Checked {
    force: Force,
    warnings: Vec<String>,
}

impl Checked {
    fn or_forced(&mut self, problem: String) -> Result<(), RebaseError> {
        match self.force {
            Force::No => Err(RebaseError::Unsafe(problem)),
            Force::Yes => {
                self.warnings.push(problem);
                Ok(())
            }
        }
    }
}

/// The Platform API that the app image was made for decides what is compared.
fn made_for(app: &Image) -> PlatformFeatures {
    let env = &app.config().config.env;
    let said = env.iter().find_map(|it| it.strip_prefix("CNB_PLATFORM_API="));
    said.and_then(|it| it.parse::<ApiVersion>().ok()).map(api::image_features).unwrap_or_default()
}

fn label<'a>(image: &'a Image, name: &str) -> &'a str {
    image.config().config.labels.get(name).map_or("", String::as_str)
}

fn metadata(app: &Image) -> Result<Value, RebaseError> {
    let json: Value = serde_json::from_str(label(app, labels::LIFECYCLE_METADATA))
        .map_err(|error| RebaseError::Metadata(error.to_string()))?;
    match json["runImage"]["topLayer"].is_string() {
        true => Ok(json),
        false => Err(RebaseError::Metadata("it names no top layer of the run image".to_owned())),
    }
}

fn rebasable(request: &RebaseRequest<'_>, checked: &mut Checked) -> Result<(), RebaseError> {
    if label(request.app, labels::REBASABLE) == "false" {
        checked.or_forced("the image says that it can't be rebased".to_owned())?;
    }
    let (old, new) = (target_of(request.app), target_of(request.base));
    if !fits(&new, &old) {
        let problem =
            format!("the new run image is for {}, and the image is for {}", describe(&new), describe(&old));
        checked.or_forced(problem)?;
    }
    Ok(())
}

/// What an image runs on, by its configuration and labels.
#[must_use]
pub fn target_of(image: &Image) -> TargetData {
    let config = image.config();
    let labels = &config.config.labels;
    let text = |name: &str| labels.get(name).cloned().unwrap_or_default();
    let (name, version) = (text(labels::BASE_DISTRO_NAME), text(labels::BASE_DISTRO_VERSION));
    let has_distro = !name.is_empty() || !version.is_empty();
    TargetData {
        id: text(labels::BASE_ID),
        os: config.os.clone(),
        arch: config.architecture.clone(),
        arch_variant: config.extra.get("variant").and_then(Value::as_str).unwrap_or_default().to_owned(),
        distro: has_distro.then_some(Distro { name, version }),
    }
}

fn fits(new: &TargetData, old: &TargetData) -> bool {
    let open = |a: &str, b: &str| a.is_empty() || b.is_empty() || a == b;
    let distro = match (&new.distro, &old.distro) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(new), Some(old)) => {
            (new.name.is_empty() || new.name == old.name)
                && (new.version.is_empty() || new.version == old.version)
        }
    };
    new.os == old.os && new.arch == old.arch && open(&new.arch_variant, &old.arch_variant) && distro
}

fn describe(target: &TargetData) -> String {
    let mut text = format!("{}/{}", target.os, target.arch);
    for part in [&target.arch_variant] {
        if !part.is_empty() {
            text = format!("{text}/{part}");
        }
    }
    match &target.distro {
        Some(it) => format!("{text} ({} {})", it.name, it.version),
        None => text,
    }
}

/// Images from before targets: the same stack, with all the packages that the app's had.
fn same_stack(request: &RebaseRequest<'_>) -> Result<(), RebaseError> {
    let (app, base) = (label(request.app, labels::STACK_ID), label(request.base, labels::STACK_ID));
    if app.is_empty() || base.is_empty() {
        let who = if app.is_empty() { "the image" } else { "the new run image" };
        return Err(RebaseError::Stack(format!("{who} names no stack ({})", labels::STACK_ID)));
    }
    if app != base {
        return Err(RebaseError::Stack(format!(
            "the new run image has the stack {base}, and the image {app}"
        )));
    }
    let mixins = |image: &Image| -> BTreeSet<String> {
        let list: Vec<String> = serde_json::from_str(label(image, labels::STACK_MIXINS)).unwrap_or_default();
        let plain = |it: String| it.split_once(':').map_or(it.clone(), |(_, name)| name.to_owned());
        list.into_iter().map(plain).collect()
    };
    let there = mixins(request.base);
    let missing: Vec<String> = mixins(request.app).difference(&there).cloned().collect();
    match missing.is_empty() {
        true => Ok(()),
        false => {
            Err(RebaseError::Stack(format!("the new run image lacks the mixins {}", missing.join(", "))))
        }
    }
}

/// The new run image is one of those that the image names; forced, it becomes the one.
fn known_name(
    request: &RebaseRequest<'_>,
    metadata: &mut Value,
    checked: &mut Checked,
) -> Result<(), RebaseError> {
    let names = |at: &Value| serde_json::from_value::<RunImageNames>(at.clone()).unwrap_or_default();
    let known = [names(&metadata["runImage"]), names(&metadata["stack"]["runImage"])];
    let asked = (request.same_name)(request.base_name);
    let all: Vec<String> = known.iter().flat_map(RunImageNames::all).map(request.same_name).collect();
    if all.contains(&asked) {
        return Ok(());
    }
    let those = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    checked.or_forced(format!("the image knows the run images {those}, and {asked} is not one of them"))?;
    metadata["runImage"]["image"] = request.base_name.into();
    if let Some(run_image) = metadata["runImage"].as_object_mut() {
        run_image.remove("mirrors");
    }
    metadata["stack"] = serde_json::json!({"runImage": {"image": request.base_name}});
    Ok(())
}

fn config(request: &RebaseRequest<'_>, metadata: &Value) -> ImageConfig {
    let base = request.base.config();
    let mut config = request.app.config().clone();
    config.os.clone_from(&base.os);
    config.architecture.clone_from(&base.architecture);
    for key in ["variant", "os.version"] {
        match base.extra.get(key) {
            Some(value) => config.extra.insert(key.to_owned(), value.clone()),
            None => config.extra.remove(key),
        };
    }
    let follows = |name: &str| {
        name.starts_with(labels::STACK_PREFIX)
            || (request.features.targets && name.starts_with(labels::BASE_PREFIX))
    };
    let all = &mut config.config.labels;
    all.retain(|name, _| !follows(name));
    all.extend(base.config.labels.iter().filter(|(it, _)| follows(it)).map(|(k, v)| (k.clone(), v.clone())));
    all.insert(labels::LIFECYCLE_METADATA.to_owned(), metadata.to_string());
    config
}
