//! Many images of a registry, alike but for a label, made of one without its layers being sent again.

use std::process::Command;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::Result;
use crate::beside::Beside;
use crate::http::Http;
use crate::stopwatch::output;

/// So many connections at a time.
pub(super) const AT_ONCE: usize = 16;

/// Repositories `PREFIX/app-0000` and so on.
pub(super) struct Fleet {
    pub(super) registry: String,
    pub(super) prefix: String,
    count: usize,
}

impl Fleet {
    /// Images like `bench/origin`, each with a label of its own, so that each has its own configuration.
    pub(super) fn launch(beside: &Beside, prefix: &str, count: usize) -> Result<Self> {
        let fleet = Self { registry: beside.registry.clone(), prefix: prefix.to_owned(), count };
        let mut http = Http::connect(&fleet.registry)?;
        let (manifest, config) = image(&mut http, "bench/origin")?;
        each(&fleet, &|http, at| {
            let mut config = config.clone();
            config["config"]["Labels"]["bench.number"] = at.to_string().into();
            place(http, &fleet.repository(at), &manifest, &config)
        })?;
        Ok(fleet)
    }

    /// The same images under another prefix, in the registry's own files: a registry keeps a repository as a folder, and
    /// many small requests would take minutes.
    pub(super) fn copied(&self, beside: &Beside, prefix: &str) -> Result<Self> {
        let folder = |prefix: &str| beside.room.join("registry/docker/registry/v2/repositories").join(prefix);
        output(Command::new("cp").arg("-r").arg(folder(&self.prefix)).arg(folder(prefix)))?;
        Ok(Self { registry: self.registry.clone(), prefix: prefix.to_owned(), count: self.count })
    }

    pub(super) fn repository(&self, at: usize) -> String {
        format!("{}/app-{at:04}", self.prefix)
    }

    pub(super) fn names(&self) -> Vec<String> {
        (0..self.count).map(|at| format!("{}/{}", self.registry, self.repository(at))).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// An error when the first images do not consist of the same layers as those of another fleet, in the same order.
    pub(super) fn must_stand_like(&self, other: &Self, count: usize) -> Result<()> {
        let mut http = Http::connect(&self.registry)?;
        for at in 0..count {
            let (our, our_config) = image(&mut http, &self.repository(at))?;
            let (their, their_config) = image(&mut http, &other.repository(at))?;
            let digests = |it: &Value| {
                let layers = it["layers"].as_array().cloned().unwrap_or_default();
                layers.iter().map(|it| it["digest"].clone()).collect::<Vec<_>>()
            };
            let parts = |config: &Value| (config["rootfs"].clone(), config["config"]["Env"].clone());
            if digests(&our) != digests(&their) || parts(&our_config) != parts(&their_config) {
                let (one, two) = (self.repository(at), other.repository(at));
                return Err(
                    format!("{one} and {two} differ:\n{our}\n{our_config}\n{their}\n{their_config}").into()
                );
            }
        }
        Ok(())
    }
}

/// Manifest and configuration of an image.
pub(super) fn image(http: &mut Http, repository: &str) -> Result<(Value, Value)> {
    let manifest = serde_json::from_slice(&bytes(http, &format!("/v2/{repository}/manifests/latest"))?)?;
    let manifest: Value = manifest;
    let config = manifest["config"]["digest"].as_str().ok_or("a manifest names its configuration")?;
    let config = bytes(http, &format!("/v2/{repository}/blobs/{config}"))?;
    Ok((manifest, serde_json::from_slice(&config)?))
}

pub(super) fn bytes(http: &mut Http, path: &str) -> Result<Vec<u8>> {
    Ok(http.ask("GET", path, ("", b""))?.must_be(&[200], path)?.body)
}

/// Does something with each of a fleet's images, several at a time, each thread on one connection.
pub(super) fn each(fleet: &Fleet, work: &(dyn Fn(&mut Http, usize) -> Result<()> + Sync)) -> Result<()> {
    let failures: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|first| {
                scope.spawn(move || -> std::result::Result<(), String> {
                    let mut http = Http::connect(&fleet.registry).map_err(|it| it.to_string())?;
                    (first..fleet.count)
                        .step_by(AT_ONCE)
                        .try_for_each(|at| work(&mut http, at).map_err(|it| it.to_string()))
                })
            })
            .collect();
        let ended = threads
            .into_iter()
            .map(|it| it.join().unwrap_or_else(|_| Err("a thread ended early".to_owned())));
        ended.filter_map(std::result::Result::err).collect()
    });
    failures.into_iter().next().map_or(Ok(()), |it| Err(it.into()))
}

/// An image in a repository, of layers that `bench/origin` has.
fn place(http: &mut Http, repository: &str, manifest: &Value, config: &Value) -> Result<()> {
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    for layer in manifest["layers"].as_array().into_iter().flatten() {
        let mount =
            format!("{uploads}?mount={}&from=bench/origin", layer["digest"].as_str().unwrap_or_default());
        http.ask("POST", &mount, ("", b""))?.must_be(&[201], &mount)?;
    }
    let config = serde_json::to_vec(config)?;
    let hash = Sha256::digest(&config).iter().map(|it| format!("{it:02x}")).collect::<String>();
    let digest = format!("sha256:{hash}");
    let begun = http.ask("POST", &uploads, ("", b""))?.must_be(&[202], &uploads)?;
    let put = format!("{}&digest={digest}", begun.location);
    http.ask("PUT", &put, ("application/octet-stream", &config))?.must_be(&[201], &put)?;
    let mut manifest = manifest.clone();
    manifest["config"]["digest"] = digest.into();
    manifest["config"]["size"] = config.len().into();
    let kind = manifest["mediaType"].as_str().ok_or("a manifest says its type")?.to_owned();
    let path = format!("/v2/{repository}/manifests/latest");
    http.ask("PUT", &path, (&kind, &serde_json::to_vec(&manifest)?))?.must_be(&[201], &path)?;
    Ok(())
}
