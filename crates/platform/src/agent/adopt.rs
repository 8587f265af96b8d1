//! An image that no buildpack made, such as a Dockerfile's: what it needs besides an agent, so that one is woken at launch.
//! The launcher is put in front of the program that the image starts; when the last agent goes, so does the launcher.

use super::Refusal;
use crate::world::World;
use cnb::api::OWN_PLATFORM_API;
use cnb::labels::{BUILD_METADATA, LIFECYCLE_METADATA, REBASABLE};
use oci::{Image, ImageConfig, LayerSpec, Owner};
use std::path::Path;

/// Marks an image that was made by others and has an agent of ours.
const ADOPTED: &str = "io.packlight.adopted";
const LAUNCHER: &str = "/cnb/lifecycle/launcher";
/// What the launcher is called by, so that agents take what it starts for the serving process. There is no process type of
/// that name for the launcher: what it starts are its arguments.
const STARTED_AS: &str = "/cnb/process/web";
const LAYERS_DIR: &str = "/layers";
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"];

/// The image with a launcher before its program: `ENTRYPOINT` and `CMD` mean what they meant.
///
/// # Errors
/// When it starts nothing, or a shell: who knows what that will start.
pub(super) fn adopt(world: &World, image: &Image) -> Result<Image, Refusal> {
    let mut config = image.config().clone();
    let container = &mut config.config;
    let argv: Vec<&String> = container.entrypoint.iter().chain(&container.cmd).collect();
    let refused = |reason: &str| Err(Refusal::Other(format!("no buildpack made it, and {reason}")));
    let Some(program) = argv.first() else { return refused("it has no ENTRYPOINT and no CMD") };
    let name = Path::new(program).file_name().and_then(|it| it.to_str()).unwrap_or_default();
    if SHELLS.contains(&name) {
        return refused(&format!(
            "it starts `{program}`, which starts something else: write ENTRYPOINT or CMD in the exec form, \
             [\"python\", \"app.py\"]"
        ));
    }
    let before = [STARTED_AS.to_owned(), "--".to_owned()];
    container.entrypoint = before.into_iter().chain(std::mem::take(&mut container.entrypoint)).collect();
    let app = if container.working_dir.is_empty() { "/" } else { &container.working_dir };
    container.env.extend(environment(app));
    let layers_dir = Path::new(LAYERS_DIR);
    let launcher = LayerSpec::new("Buildpacks Application Launcher").program(
        LAUNCHER,
        0o755,
        Owner::ROOT,
        world.payload_dir.join("launcher"),
    );
    let launcher =
        launcher.dir("/cnb/process", 0o755, Owner::ROOT).symlink(STARTED_AS, LAUNCHER, Owner::ROOT);
    let metadata = lifecycle::config_layer("processes = []\n".to_owned(), layers_dir, Owner::ROOT);
    let mut layers = image.layers();
    let mut shas = Vec::new();
    for spec in [launcher, metadata] {
        let layer = world.store.add_layer(&spec, None)?.record.layer_ref();
        shas.push(layer.diff_id.to_string());
        layers.push(layer);
    }
    let said = serde_json::json!({"launcher": {"sha": shas[0]}, "config": {"sha": shas[1]}});
    for (label, text) in [(ADOPTED, "true"), (REBASABLE, "false"), (LIFECYCLE_METADATA, &said.to_string())] {
        config.config.labels.insert(label.to_owned(), text.to_owned());
    }
    Ok(world.store.put_image(config, &layers)?)
}

fn environment(app: &str) -> [String; 4] {
    [
        format!("CNB_LAYERS_DIR={LAYERS_DIR}"),
        format!("CNB_APP_DIR={app}"),
        format!("CNB_PLATFORM_API={OWN_PLATFORM_API}"),
        "CNB_DEPRECATION_MODE=quiet".to_owned(),
    ]
}

/// Whether the launcher was put before its program here.
pub(super) fn is_adopted(image: &Image) -> bool {
    image.config().config.labels.contains_key(ADOPTED)
}

/// The image as it was.
pub(super) fn release(image: &Image) -> Result<Image, Refusal> {
    let mut config: ImageConfig = image.config().clone();
    let label = config.config.labels.get(LIFECYCLE_METADATA).cloned().unwrap_or_default();
    let said: serde_json::Value = serde_json::from_str(&label).unwrap_or_default();
    let ours = ["launcher", "config"].map(|it| said[it]["sha"].as_str().unwrap_or_default().to_owned());
    let mut layers = image.layers();
    layers.retain(|it| !ours.contains(&it.diff_id.to_string()));
    let container = &mut config.config;
    if container.entrypoint.first().is_some_and(|it| it == STARTED_AS) {
        container.entrypoint.drain(..2);
    }
    let ours = environment("").map(|it| it.split_once('=').map(|it| it.0.to_owned()));
    container.env.retain(|it| !ours.contains(&it.split_once('=').map(|it| it.0.to_owned())));
    for label in [ADOPTED, REBASABLE, LIFECYCLE_METADATA, BUILD_METADATA] {
        container.labels.remove(label);
    }
    Ok(Image::new(config, &layers)?)
}
