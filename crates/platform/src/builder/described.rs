//! What `project.toml` says of the builder: it counts where the command line says nothing.

use super::{Added, AddedError, BuilderError, Choice};
use crate::event::{Event, Events};
use crate::images::{ImageError, Source};
use crate::source::Source as App;
use cnb::project::{Script, Wanted};
use oci::{Scratch, Store};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

impl Choice {
    /// The choice with what the project says, as `pack` adds it up.
    pub(crate) fn with_project(
        &self,
        app: &App,
        default_registry: &str,
        events: Events<'_>,
    ) -> Result<Self, BuilderError> {
        let mut choice = self.clone();
        let project = &app.project;
        if let (Named::Nothing, Some(builder)) = (self.named, &project.builder) {
            let text = format!(
                "project.toml asks for the builder {builder}; `--builder packlight` takes Packlight's own all the same"
            );
            events(Event::Notice { text });
            let source = Source::parse(builder, default_registry).map_err(ImageError::from);
            choice.builder = Some(source.map_err(BuilderError::Builder)?);
        }
        let read = |list: &[Wanted]| -> Result<Vec<Added>, AddedError> {
            list.iter().map(|it| added(it, &app.project_dir, default_registry)).collect()
        };
        if choice.buildpacks.is_empty() {
            choice.buildpacks = read(&project.group)?;
        }
        if choice.pre.is_empty() {
            choice.pre = read(&project.pre)?;
        }
        if choice.post.is_empty() {
            choice.post = read(&project.post)?;
        }
        Ok(choice)
    }
}

/// Whether the command line says which builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Named {
    /// No: the project may.
    #[default]
    Nothing,
    /// Yes.
    Builder,
}

fn added(wanted: &Wanted, project: &Path, default_registry: &str) -> Result<Added, AddedError> {
    let (id, version) = (wanted.id.clone().unwrap_or_default(), wanted.version.clone().unwrap_or_default());
    if let Some(script) = &wanted.script {
        return Ok(Added::Inline { id, version, script: script.clone() });
    }
    let Some(uri) = &wanted.uri else { return Ok(Added::InBuilder(id, version)) };
    // A relative path is one in the project.
    let path = project.join(uri.strip_prefix("file://").unwrap_or(uri));
    match path.exists() {
        true => Added::parse(&path.display().to_string(), default_registry),
        false => Added::parse(uri, default_registry),
    }
}

/// An inline buildpack as a folder, which is gone with the build.
pub(super) fn written(
    store: &Store,
    (id, version): (&str, &str),
    script: &Script,
) -> Result<(Scratch, PathBuf), AddedError> {
    let scratch = store.scratch()?;
    let dir = scratch.path().join("buildpack");
    fs_err::create_dir_all(dir.join("bin"))?;
    let about = toml::toml! {
        [buildpack]
        id = id
        version = version
        [[targets]]
        os = "linux"
    };
    let api = toml::Value::String(script.api.clone());
    fs_err::write(dir.join("buildpack.toml"), format!("api = {api}\n{about}"))?;
    let shell = script.shell.as_deref().unwrap_or("/bin/sh");
    for (name, text) in
        [("detect", "#!/bin/sh\n".to_owned()), ("build", format!("#!{shell}\n{}\n", script.inline))]
    {
        fs_err::write(dir.join("bin").join(name), text)?;
    }
    for path in [scratch.path(), &dir, &dir.join("bin"), &dir.join("bin/detect"), &dir.join("bin/build")] {
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok((scratch, dir))
}
