//! Images in registries.

use super::{Found, Parts, Place, Saved};
use crate::Site;
use crate::exit::{Code, Failure, OrFail as _};
use crate::images::Workbench;
use crate::names;
use oci::registry::{
    Client, Credentials, Error, Layers, Problem, Proxies, Secret, Settings, helper_programs,
};
use oci::{Descriptor, Digest, Image, ImageName, Platform};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where Docker Hub answers, whatever image names say.
const HUB_API: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// Registries, with the credentials that the platform gave.
pub(crate) struct Registries {
    client: Client,
    /// Layers that are looked into. Made when the first one is: by then this program's user is the build's.
    bench: OnceLock<Workbench>,
}

impl Registries {
    /// Reads credentials, which may be readable now and not later.
    pub(crate) fn open(site: &Site) -> Result<Self, Failure> {
        let variable = |names: [&str; 2]| {
            let said = names.iter().find_map(|it| std::env::var(it).ok().filter(|it| !it.is_empty()));
            said.map(Secret::new)
        };
        let except = ["NO_PROXY", "no_proxy"].iter().find_map(|it| std::env::var(it).ok());
        let proxies = Proxies {
            https: variable(["HTTPS_PROXY", "https_proxy"]),
            http: variable(["HTTP_PROXY", "http_proxy"]),
            except: except.unwrap_or_default(),
        };
        let hosts = site.inputs.list("insecure-registry").iter();
        let insecure = hosts.map(|it| it.split_once("://").map_or(it.as_str(), |(_, it)| it).to_owned());
        let (hub, api) = HUB_API;
        let settings = Settings {
            api_hosts: [(hub.to_owned(), api.to_owned())].into(),
            insecure: insecure.collect(),
            proxies,
            credentials: credentials()?,
            ..Settings::default()
        };
        Ok(Self { client: Client::new(settings).or_fail(Code::Failed)?, bench: OnceLock::new() })
    }

    fn bench(&self) -> Result<&Workbench, String> {
        if let Some(bench) = self.bench.get() {
            return Ok(bench);
        }
        let bench = Workbench::new().map_err(|it| it.text)?;
        Ok(self.bench.get_or_init(|| bench))
    }

    fn image(&self, name: &ImageName) -> Result<Option<Image>, String> {
        match self.client.image(name, &here()) {
            Ok(image) => Ok(Some(image)),
            Err(Error { problem: Problem::NotFound { .. }, .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// `CNB_REGISTRY_AUTH`, then Docker's own file.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#registry-authentication>
fn credentials() -> Result<Credentials, Failure> {
    let mut credentials = Credentials::default().with_helper(helper_programs());
    if let Some(value) = std::env::var("CNB_REGISTRY_AUTH").ok().filter(|it| !it.trim().is_empty()) {
        credentials = credentials.with_registry_auth(&value).or_fail(Code::Failed)?;
    }
    let home = || std::env::var_os("HOME").map(|it| Path::new(&it).join(".docker"));
    let dir = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(home);
    if let Some(file) = dir.map(|it| it.join("config.json"))
        && let Ok(text) = fs_err::read_to_string(&file)
    {
        credentials = credentials.with_config(&file.display().to_string(), &text).or_fail(Code::Failed)?;
    }
    Ok(credentials)
}

/// Of an image for several platforms, the one for this.
fn here() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let (os, architecture) = ("linux".to_owned(), architecture.to_owned());
    Platform { architecture, os, variant: None, extra: Default::default() }
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn parse(name: &str) -> Result<ImageName, String> {
    ImageName::parse(name, "docker.io").map_err(said)
}

impl Place for Registries {
    fn find(&self, name: &str) -> Result<Option<Found>, String> {
        let name = parse(name)?;
        let reference = |image: &Image| format!("{}@{}", names::repository(&name), image.digest());
        Ok(self.image(&name)?.map(|image| Found { reference: reference(&image), image }))
    }

    fn unpack(&self, found: &Found, diff_id: &Digest, at: &Path, into: &Path) -> Result<(), String> {
        let layer = found.image.layers().into_iter().find(|it| it.diff_id == *diff_id);
        let layer = layer.ok_or_else(|| format!("{} has no layer {diff_id}", found.reference))?;
        let blob = Descriptor::new(&layer.media_type, layer.digest, layer.size);
        let store = &self.bench()?.store;
        self.client.fetch(&parse(&found.reference)?, store, &[blob], &|_| {}).map_err(said)?;
        let file = fs_err::File::open(store.blob_path(&layer.digest)).map_err(said)?;
        oci::unpack_part(BufReader::with_capacity(1 << 16, file), diff_id, at, into).map_err(said)
    }

    fn save(&self, image: &Image, parts: &Parts<'_>, names: &[ImageName]) -> Result<Saved, String> {
        let repositories: Vec<ImageName> =
            parts.images.iter().map(|it| parse(&it.reference)).collect::<Result<_, _>>()?;
        let layers = Layers { store: Some(parts.store), repositories: &repositories };
        let pushed = self.client.push(image, layers, names, &|_| {}).map_err(said)?;
        Ok(Saved { digest: pushed.digest.to_string(), image_id: String::new() })
    }

    fn can_read(&self, name: &ImageName) -> Result<bool, String> {
        match self.client.resolve(name) {
            Ok(_) => Ok(true),
            Err(Error { problem: Problem::NotFound { .. }, .. }) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    fn can_write(&self, name: &ImageName) -> Result<(), String> {
        self.client.may_push(name).map_err(said)
    }
}
