//! Manifests and other documents: read, believed only by their digests, and written.

use serde::Deserialize;
use ureq::http::Method;

use super::{
    Error,
    auth::locked,
    client::{Client, MAX_DOCUMENT, Request, Task, To},
    error::Problem,
    transport::{Answer, Body},
};
use crate::{Descriptor, Digest, Image, ImageName, Index, Manifest, Platform, media_type};

/// Every form that is understood.
const ACCEPT: [&str; 4] =
    [media_type::MANIFEST, media_type::INDEX, media_type::DOCKER_MANIFEST, media_type::DOCKER_INDEX];

/// What says of which form a document is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    schema_version: u32,
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
}

impl Client {
    /// What a name stands for now: the type, digest and size of a manifest or an index, which is not fetched.
    ///
    /// # Errors
    /// When there is no such image, or the registry can't be asked.
    pub fn resolve(&self, name: &ImageName) -> Result<Descriptor, Error> {
        let asked = format!("look up {}", reference(name));
        self.first(&self.sources(name, &asked), |task| {
            let path = task.path(&format!("manifests/{}", reference(name)));
            let answer = self.ask(task, &accepting(Request::head(path)))?;
            let digest =
                answer.header("docker-content-digest").and_then(|it| it.parse().ok()).or(name.digest);
            let size = answer.header("content-length").and_then(|it| it.parse().ok());
            match (answer.status, digest, size, content_type(&answer)) {
                (200, Some(digest), Some(size), Some(kind)) if name.digest.is_none_or(|it| it == digest) => {
                    Ok(Descriptor::new(&kind, digest, size))
                }
                // Not every registry says so much without sending the whole, and no answer to HEAD says why not.
                _ => Ok(self.manifest_at(task, name)?.0),
            }
        })
    }

    /// Whether a name stands for this very manifest where images are pushed to (a mirror is not asked). Then there is
    /// nothing to push: a registry takes no manifest whose blobs it lacks. One that can't say so has it not.
    ///
    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#checking-if-content-exists-in-the-registry>
    #[must_use]
    pub fn stands(&self, name: &ImageName, manifest: &Digest) -> bool {
        let task = self.task(name, "pull,push", format!("look up {}", reference(name)));
        let path = task.path(&format!("manifests/{}", reference(name)));
        let Ok(answer) = self.ask(&task, &accepting(Request::head(path))) else { return false };
        let said = answer.header("docker-content-digest").and_then(|it| it.parse().ok());
        answer.status == 200 && said == Some(*manifest)
    }

    /// The manifest or index that a name stands for, byte for byte.
    ///
    /// # Errors
    /// When there is none, it is not what its digest says, or is in a form that is not read.
    pub fn manifest(&self, name: &ImageName) -> Result<(Descriptor, Vec<u8>), Error> {
        let asked = format!("read the manifest {}", reference(name));
        self.first(&self.sources(name, &asked), |task| self.manifest_at(task, name))
    }

    /// An image without its layers; of an index, the image for `platform`.
    ///
    /// # Errors
    /// When there is none, or it is not what its digests say.
    pub fn image(&self, name: &ImageName, platform: &Platform) -> Result<Image, Error> {
        self.image_with(name, platform, |_| None)
    }

    /// The same, with a configuration that the caller has already.
    pub(super) fn image_with(
        &self,
        name: &ImageName,
        platform: &Platform,
        kept: impl FnOnce(&Descriptor) -> Option<Vec<u8>>,
    ) -> Result<Image, Error> {
        let manifest_json = self.image_manifest(name, platform)?;
        let task = self.task(name, "pull", format!("read the image {}", reference(name)));
        let manifest: Manifest = parse(&task, "its manifest", &manifest_json)?;
        let config_json = match kept(&manifest.config) {
            Some(json) => json,
            None => self.blob(name, &manifest.config)?,
        };
        let image = Image::of_documents(manifest_json, config_json).map_err(|error| {
            task.error(Problem::BadAnswer(format!("what it sends is no image to work with: {error}")))
        })?;
        self.note(&task, &manifest);
        Ok(image)
    }

    /// The manifest of an image for a platform.
    fn image_manifest(&self, name: &ImageName, platform: &Platform) -> Result<Vec<u8>, Error> {
        let (descriptor, json) = self.manifest(name)?;
        if !is_index(&descriptor.media_type) {
            return Ok(json);
        }
        let task = self.task(name, "pull", format!("choose an image of {}", reference(name)));
        let index: Index = parse(&task, "its index", &json)?;
        let chosen = choose(&index, platform).map_err(|problem| task.error(problem))?;
        let child = ImageName { tag: None, digest: Some(chosen.digest), ..name.clone() };
        let (found, json) = self.manifest(&child)?;
        if is_index(&found.media_type) {
            return Err(task.error(Problem::BadAnswer("an index has another index in it".to_owned())));
        }
        check_size(&task, "the manifest", chosen.size, json.len() as u64)?;
        Ok(json)
    }

    /// A small blob, such as a configuration, byte for byte.
    ///
    /// # Errors
    /// When there is none, it is larger than 4 MiB, or not what its digest says.
    pub fn blob(&self, name: &ImageName, blob: &Descriptor) -> Result<Vec<u8>, Error> {
        let what = format!("the blob {}", blob.digest);
        self.first(&self.sources(name, &format!("read {what}")), |task| {
            if blob.size > MAX_DOCUMENT {
                return Err(task.error(Problem::TooLarge { what: what.clone(), limit: MAX_DOCUMENT }));
            }
            let path = task.path(&format!("blobs/{}", blob.digest));
            let bytes = self.document(task, || Request::get(path.clone()), &what)?.1;
            check_size(task, &what, blob.size, bytes.len() as u64)?;
            check_digest(task, &what, &blob.digest, &bytes)?;
            Ok(bytes)
        })
    }

    /// Writes a manifest or an index under the name's tag, or, without one, under its digest. What it refers to must
    /// be there.
    ///
    /// # Errors
    /// When the registry refuses, or has understood something else.
    pub fn put_manifest(&self, name: &ImageName, media_type: &str, manifest: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(manifest);
        let at = name.tag.clone().unwrap_or_else(|| digest.to_string());
        let task = self.task(name, "pull,push", format!("write the manifest {at}"));
        let mut request = Request::upload(
            Method::PUT,
            To::Path(task.path(&format!("manifests/{at}"))),
            Body::Bytes(manifest),
        );
        request.headers.push(("Content-Type", media_type.to_owned()));
        let answer = self.ask(&task, &request)?;
        if !matches!(answer.status, 200..=204) {
            return Err(task.refused(answer));
        }
        let knows_referrers = answer.header("oci-subject").is_some();
        let found = answer.header("docker-content-digest").and_then(|it| it.parse::<Digest>().ok());
        if let Some(found) = found.filter(|found| *found != digest) {
            let what = "the manifest that the registry has kept".to_owned();
            return Err(task.error(Problem::WrongContent { what, expected: digest, found }));
        }
        if !knows_referrers {
            self.list_referrer(name, media_type, manifest)?;
        }
        Ok(digest)
    }

    pub(super) fn manifest_at(&self, task: &Task, name: &ImageName) -> Result<(Descriptor, Vec<u8>), Error> {
        let what = format!("the manifest {}", reference(name));
        let path = task.path(&format!("manifests/{}", reference(name)));
        let (answer, bytes) = self.document(task, || accepting(Request::get(path.clone())), &what)?;
        let found = Digest::of(&bytes);
        let said = answer.digest.and_then(|it| it.parse::<Digest>().ok());
        for expected in [name.digest, said].into_iter().flatten() {
            check_digest(task, &what, &expected, &bytes)?;
        }
        let kind = kind_of(&bytes, answer.kind).map_err(|problem| task.error(problem))?;
        Ok((Descriptor::new(&kind, found, bytes.len() as u64), bytes))
    }

    /// Reads a document; a connection that breaks in the middle of it is tried again.
    pub(super) fn document<'a>(
        &self,
        task: &Task,
        request: impl Fn() -> Request<'a>,
        what: &str,
    ) -> Result<(Heads, Vec<u8>), Error> {
        let mut tried = 0;
        loop {
            let answer = self.ask(task, &request())?;
            if answer.status != 200 {
                return Err(task.refused(answer));
            }
            let own = |name: &str| answer.header(name).map(str::to_owned);
            let heads = Heads {
                digest: own("docker-content-digest"),
                kind: content_type(&answer),
                link: own("link"),
                url: answer.url.clone(),
            };
            match answer.document(MAX_DOCUMENT) {
                Ok(Some(bytes)) => return Ok((heads, bytes)),
                Ok(None) => {
                    let what = what.to_owned();
                    return Err(task.error(Problem::TooLarge { what, limit: MAX_DOCUMENT }));
                }
                Err(fault) => {
                    tried += 1;
                    if tried >= self.settings.retry.tries {
                        return Err(task.error(super::client::problem_of(fault, tried)));
                    }
                    std::thread::sleep(self.settings.retry.pause(tried));
                }
            }
        }
    }

    /// Remembers that a repository has an image's blobs.
    pub(super) fn note(&self, task: &Task, manifest: &Manifest) {
        let mut seen = locked(&self.seen);
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            let key = (task.site.registry.clone(), blob.digest);
            seen.entry(key).or_default().insert(task.repository.clone());
        }
    }
}

/// What of a document's headers is looked at.
pub(super) struct Heads {
    digest: Option<String>,
    kind: Option<String>,
    pub(super) link: Option<String>,
    pub(super) url: url::Url,
}

/// The tag or digest by which a manifest is asked for.
pub(super) fn reference(name: &ImageName) -> String {
    match (name.digest, &name.tag) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.clone(),
        (None, None) => "latest".to_owned(),
    }
}

fn accepting(mut request: Request<'_>) -> Request<'_> {
    request.headers.push(("Accept", ACCEPT.join(", ")));
    request
}

fn content_type(answer: &Answer) -> Option<String> {
    let value = answer.header("content-type")?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

pub(super) fn is_index(media_type: &str) -> bool {
    matches!(media_type, media_type::INDEX | media_type::DOCKER_INDEX)
}

/// A document's type: by itself, else by the header that it came with.
fn kind_of(json: &[u8], header: Option<String>) -> Result<String, Problem> {
    let not_one = || Problem::BadAnswer("what it sends is no manifest".to_owned());
    let form: Form = serde_json::from_slice(json).map_err(|_| not_one())?;
    if form.schema_version == 1 {
        return Err(Problem::Schema1);
    }
    let said = form.media_type.or(header).filter(|it| ACCEPT.contains(&it.as_str()));
    Ok(match (said, form.manifests) {
        (Some(kind), _) => kind,
        (None, Some(_)) => media_type::INDEX.to_owned(),
        (None, None) => media_type::MANIFEST.to_owned(),
    })
}

/// The entry of an index for a platform.
fn choose<'a>(index: &'a Index, wanted: &Platform) -> Result<&'a Descriptor, Problem> {
    let refused = |available| Problem::NoPlatform { wanted: wanted.to_string(), available };
    index.for_platform(wanted).map_err(refused)
}

pub(super) fn parse<T: for<'a> Deserialize<'a>>(task: &Task, what: &str, json: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(json)
        .map_err(|error| task.error(Problem::BadAnswer(format!("{what} can't be understood: {error}"))))
}

pub(super) fn check_digest(task: &Task, what: &str, expected: &Digest, bytes: &[u8]) -> Result<(), Error> {
    let found = Digest::of(bytes);
    if found == *expected {
        return Ok(());
    }
    Err(task.error(Problem::WrongContent { what: what.to_owned(), expected: *expected, found }))
}

pub(super) fn check_size(task: &Task, what: &str, expected: u64, found: u64) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    let found = found.to_string();
    Err(task.error(Problem::WrongSize { what: what.to_owned(), expected, found }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/');
        let mut next = || parts.next().map(str::to_owned);
        let (os, architecture, variant) = (next().unwrap(), next().unwrap(), next());
        Platform { architecture, os, variant, extra: Default::default() }
    }

    fn index(entries: &[&str]) -> Index {
        let entry = |text: &&str| Descriptor {
            platform: Some(platform(text)),
            ..Descriptor::new(media_type::MANIFEST, Digest::of(text), 1)
        };
        Index { manifests: entries.iter().map(entry).collect(), ..Index::default() }
    }

    #[test]
    fn an_index_is_asked_for_the_machine() {
        let all = index(&[
            "unknown/unknown",
            "linux/arm/v6",
            "linux/arm/v7",
            "linux/arm64/v8",
            "linux/amd64",
            "windows/amd64",
        ]);
        for (wanted, found) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/arm64", "linux/arm64/v8"),
            ("linux/arm/v7", "linux/arm/v7"),
            ("linux/arm", "linux/arm/v6"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(choose(&all, &platform(wanted)).unwrap().digest, Digest::of(found), "{wanted}");
        }
        let error = choose(&all, &platform("linux/s390x")).unwrap_err().to_string();
        assert!(
            error.contains("not there for linux/s390x")
                && error.contains("linux/arm/v7")
                && !error.contains("unknown"),
            "{error}"
        );
        assert!(choose(&all, &platform("linux/arm/v5")).is_err());
        assert!(
            choose(&index(&[]), &platform("linux/amd64")).unwrap_err().to_string().contains("no platform")
        );
    }

    #[test]
    fn a_document_says_what_it_is() {
        let kind = |json: &str, header: Option<&str>| kind_of(json.as_bytes(), header.map(str::to_owned));
        assert_eq!(
            kind(
                r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json"}"#,
                None
            )
            .unwrap(),
            media_type::DOCKER_MANIFEST
        );
        assert_eq!(kind(r#"{"schemaVersion":2,"manifests":[]}"#, None).unwrap(), media_type::INDEX);
        assert_eq!(
            kind(r#"{"schemaVersion":2}"#, Some(media_type::DOCKER_INDEX)).unwrap(),
            media_type::DOCKER_INDEX
        );
        assert_eq!(kind(r#"{"schemaVersion":2}"#, Some("text/plain")).unwrap(), media_type::MANIFEST);
        let error = kind(r#"{"schemaVersion":1,"name":"a","fsLayers":[]}"#, None).unwrap_err().to_string();
        assert!(error.contains("schema 1"), "{error}");
        assert!(kind("<html>", None).is_err());
    }
}
