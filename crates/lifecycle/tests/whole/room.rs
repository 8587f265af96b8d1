//! A place for whole builds: buildpacks as shell scripts, plain processes, a real store.

use cnb::env::Environment;
use lifecycle::{
    AppSource, AppTree, Cache, Catalogue, Detected, Dir, Dirs, Event, Events, ExitStatus, Images,
    ImagesError, Invocation, Kind, RunError, Runner, Semantics, Stream,
};
use oci::{Added, Digest, Image, ImageConfig, ImageName, LayerRecord, LayerRef, LayerSpec, Owner, Store};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

pub const USER: Owner = Owner::new(1000, 1000);

pub struct Room {
    pub dir: tempfile::TempDir,
    pub store: Store,
    pub name: ImageName,
    pub cache: Cache,
    pub order: String,
    pub target: Option<cnb::analyzed::TargetData>,
    pub exec_env: String,
    pub process_type: Option<String>,
    pub heard: Heard,
}

/// Keeps what is worth looking at.
#[derive(Default)]
pub struct Heard(pub Mutex<Vec<String>>);

impl Events for Heard {
    fn event(&self, event: &Event<'_>) {
        let line = match event {
            Event::Warning(text) => format!("warning: {text}"),
            Event::LayerRestored { buildpack, layer, with_files } => {
                format!("restored {buildpack}:{layer}{}", if *with_files { "" } else { " (metadata)" })
            }
            Event::LayerDiscarded { buildpack, layer, reason } => {
                format!("discarded {buildpack}:{layer}: {reason}")
            }
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

struct Plain;

impl Runner for Plain {
    fn run(
        &self,
        invocation: &Invocation,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<ExitStatus, RunError> {
        let result = Command::new(&invocation.program)
            .args(&invocation.args)
            .env_clear()
            .envs(&invocation.env)
            .current_dir(&invocation.cwd)
            .stdin(Stdio::null())
            .output()
            .map_err(|it| RunError(it.to_string()))?;
        output(Stream::Out, &result.stdout);
        output(Stream::Err, &result.stderr);
        Ok(result.status.code().map_or(ExitStatus::Signal(9), ExitStatus::Code))
    }
}

struct InStore<'a>(&'a Room);

fn boxed(error: impl std::error::Error + Send + Sync + 'static) -> ImagesError {
    ImagesError(Box::new(error))
}

impl Images for InStore<'_> {
    fn previous(&self) -> Result<Option<(String, Image)>, ImagesError> {
        let image = self.0.store.image(&self.0.name).map_err(boxed)?;
        Ok(image.map(|it| (it.digest().to_string(), it)))
    }

    fn previous_layer(&self, diff_id: &Digest) -> Result<Option<LayerRef>, ImagesError> {
        let image = self.0.store.image(&self.0.name).map_err(boxed)?;
        Ok(image.and_then(|it| it.layers().into_iter().find(|it| it.diff_id == *diff_id)))
    }

    fn add_layer(&self, spec: &LayerSpec, known: Option<&LayerRecord>) -> Result<Added, ImagesError> {
        self.0.store.add_layer(spec, known).map_err(boxed)
    }

    fn put(&self, config: &ImageConfig, layers: &[LayerRef]) -> Result<Image, ImagesError> {
        self.0.store.put_image(config.clone(), layers).map_err(boxed)
    }
}

impl Room {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["app", "layers", "platform/env", "work", "buildpacks", "extensions"] {
            fs_err::create_dir_all(dir.path().join(name)).unwrap();
        }
        fs_err::write(dir.path().join("app/main.py"), "print()\n").unwrap();
        fs_err::write(dir.path().join("launcher"), "the launcher").unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        Self {
            store,
            name: ImageName::parse("test-app", "registry.example").unwrap(),
            cache: Cache::default(),
            order: String::new(),
            target: None,
            exec_env: "production".to_owned(),
            process_type: None,
            heard: Heard::default(),
            dir,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A buildpack in a group of its own with those before it; `more` goes into `[buildpack]` of its descriptor.
    pub fn buildpack(&mut self, id: &str, detect: &str, build: &str) -> &mut Self {
        self.described(id, "", detect, build);
        if self.order.is_empty() {
            self.order = "[[order]]\n".to_owned();
        }
        self.order += &format!("[[order.group]]\nid = \"{id}\"\nversion = \"1\"\n");
        self
    }

    pub fn described(&self, id: &str, more: &str, detect: &str, build: &str) {
        let toml = format!("api = \"0.10\"\n[buildpack]\nid = \"{id}\"\nversion = \"1\"\n{more}");
        let dir = self.path("buildpacks").join(id.replace('/', "_")).join("1");
        fs_err::create_dir_all(dir.join("bin")).unwrap();
        fs_err::write(dir.join("buildpack.toml"), toml).unwrap();
        script(&dir.join("bin/detect"), detect);
        script(&dir.join("bin/build"), build);
    }

    pub fn dirs(&self) -> Dirs {
        Dirs {
            app: Dir::same(self.path("app")),
            layers: Dir::same(self.path("layers")),
            platform: Dir::same(self.path("platform")),
            build_config: None,
            work: Dir::same(self.path("work")),
            owner: None,
        }
    }

    pub fn catalogue(&self) -> Catalogue {
        let mut catalogue = Catalogue::new();
        catalogue.add_all(Kind::Buildpack, &Dir::same(self.path("buildpacks"))).unwrap();
        catalogue.add_all(Kind::Extension, &Dir::same(self.path("extensions"))).unwrap();
        catalogue
    }

    pub fn env() -> Environment {
        [("PATH", "/usr/bin:/bin"), ("SECRET", "of the host"), ("HOME", "/home/cnb")]
            .map(|(name, value)| (name.into(), value.into()))
            .into()
    }

    pub fn detect(&self) -> Result<Detected, lifecycle::DetectError> {
        let request = lifecycle::DetectRequest {
            dirs: &self.dirs(),
            catalogue: &self.catalogue(),
            order: &cnb::parse("order.toml", &self.order).unwrap(),
            target: self.target.as_ref(),
            exec_env: &self.exec_env,
            env: &Self::env(),
            semantics: Semantics::SPECIFICATION,
        };
        lifecycle::detect(&request, &Plain, &self.heard)
    }

    pub fn build(&self, detected: &Detected) -> Result<lifecycle::Built, lifecycle::BuildError> {
        let request = lifecycle::BuildRequest {
            dirs: &self.dirs(),
            catalogue: &self.catalogue(),
            group: &detected.group,
            plan: &detected.plan,
            target: self.target.as_ref(),
            exec_env: &self.exec_env,
            env: &Self::env(),
            semantics: Semantics::SPECIFICATION,
        };
        lifecycle::build(&request, &Plain, &self.heard)
    }

    /// Detection and build alone.
    pub fn built(&self) -> Result<lifecycle::Built, lifecycle::BuildError> {
        self.build(&self.detect().unwrap())
    }

    fn base(&self) -> Image {
        let spec = LayerSpec::new("base").file("/etc/os-release", 0o644, Owner::ROOT, "ID=debian\n");
        let layer = self.store.add_layer(&spec, None).unwrap().record.layer_ref();
        let mut config =
            ImageConfig { os: "linux".into(), architecture: "amd64".into(), ..ImageConfig::default() };
        config.config.env = vec!["PATH=/usr/bin".into(), "LANG=C.UTF-8".into()];
        config.config.cmd = vec!["sh".into()];
        config.config.user = "1001:1000".into();
        config.config.labels.insert("io.buildpacks.base.id".into(), "packlight/debian".into());
        self.store.put_image(config, &[layer]).unwrap()
    }

    /// All phases; the image gets its name and the record is kept, as the platform does it.
    pub fn whole(&mut self) -> Result<lifecycle::Exported, Box<dyn std::error::Error>> {
        self.heard.0.lock().unwrap().clear();
        let images = InStore(self);
        let exec_env = &self.exec_env;
        let (_, previous) =
            lifecycle::analyze(lifecycle::AnalyzeRequest { run_image: None, exec_env }, &images)?;
        let detected = self.detect()?;
        let (dirs, group, cache) = (self.dirs(), &detected.group, &self.cache);
        let request = lifecycle::RestoreRequest { dirs: &dirs, group, cache, previous: &previous, exec_env };
        lifecycle::restore(&request, &self.heard)?;
        let built = match self.build(&detected) {
            Ok(built) => built,
            Err(failure) => {
                let kept = self.after_failure(&detected, &failure);
                self.cache = Cache::parse(&kept.print()?);
                return Err(failure.into());
            }
        };
        let app = AppSource {
            trees: vec![AppTree { host: self.path("app"), skip: BTreeSet::new() }],
            modes: oci::Modes::Normalise,
            root: None,
        };
        let base = self.base();
        let request = lifecycle::ExportRequest {
            // what is on this machine and what is in the image have different paths
            dirs: &Dirs {
                app: Dir::new(self.path("app"), "/workspace"),
                layers: Dir::new(self.path("layers"), "/layers"),
                ..dirs
            },
            group,
            metadata: &built.metadata,
            app: &app,
            launcher: &lifecycle::Launcher {
                program: self.path("launcher"),
                metadata: cnb::labels::LauncherMetadata { version: "1.2.3".into(), ..Default::default() },
            },
            base: &lifecycle::RunBase {
                image: &base,
                reference: base.digest().to_string(),
                name: String::new(),
                mirrors: Vec::new(),
            },
            previous: &previous,
            cache,
            process_type: self.process_type.as_deref(),
            project: &serde_json::json!({}),
            owner: USER,
            exec_env,
            api: cnb::api::OWN_PLATFORM_API,
            created: None,
            tags: &["test-app".to_owned()],
        };
        let exported = lifecycle::export(&request, &images, &self.heard)?;
        self.store.tag(&self.name, &exported.image)?;
        self.cache = Cache::parse(&exported.cache.print()?);
        Ok(exported)
    }

    fn after_failure(&self, detected: &Detected, failure: &lifecycle::BuildError) -> Cache {
        let request = lifecycle::FailedRequest {
            dirs: &self.dirs(),
            catalogue: &self.catalogue(),
            group: &detected.group,
            cache: &self.cache,
            exec_env: &self.exec_env,
            failure: Some(failure),
        };
        lifecycle::after_failure(&request).unwrap()
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.0.lock().unwrap().clone()
    }
}

fn script(path: &Path, body: &str) {
    testing::program(path, format!("#!/bin/sh\nset -e\n{body}\n")).unwrap();
}
