//! What refers to a manifest: signatures, lists of materials. Registries from before there was such a list leave it to
//! their clients to keep one under a tag
//! (<https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>).

use serde::Deserialize;

use super::{
    Error,
    client::{Client, Task},
    error::Problem,
    manifests::parse,
};
use crate::{Descriptor, Digest, ImageName, Index, media_type};

/// What of a manifest is looked at: whether it refers to another, and what a list says of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

impl Client {
    /// What refers to the manifest with this digest (signatures, lists of materials), of one type or of any
    /// (<https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>).
    ///
    /// # Errors
    /// When the registry can't be asked; that it knows no referrers is no error.
    pub fn referrers(
        &self,
        name: &ImageName,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, Error> {
        let task = self.task(name, "pull", format!("list what refers to {digest}"));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(artifact_type.map(|kind| ("artifactType", kind)));
        let query = query.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        let mut found: Vec<Descriptor> = Vec::new();
        let listed = self.pages(&task, task.path(&format!("referrers/{digest}{mark}{query}")), |page| {
            let page: Index = parse(&task, "the list of referrers", page)?;
            found.extend(page.manifests);
            Ok(())
        });
        match listed {
            Ok(()) => {}
            // A registry from before there was such a list: clients keep it under a tag.
            Err(Error { problem: Problem::NotFound { .. } | Problem::Refused { .. }, .. }) => {
                found = self.referrers_by_tag(&task, name, digest)?;
            }
            Err(error) => return Err(error),
        }
        let fits = |entry: &Descriptor| {
            artifact_type
                .is_none_or(|kind| entry.extra.get("artifactType").and_then(|it| it.as_str()) == Some(kind))
        };
        found.retain(fits);
        Ok(found)
    }

    fn referrers_by_tag(
        &self,
        task: &Task,
        name: &ImageName,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, Error> {
        match self.manifest_at(task, &referrers_tag(name, digest)) {
            Ok((_, json)) => Ok(parse::<Index>(task, "the list of referrers", &json)?.manifests),
            Err(Error { problem: Problem::NotFound { .. }, .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Lists a manifest that was pushed under the tag of what it refers to, when it refers to something.
    pub(super) fn list_referrer(
        &self,
        name: &ImageName,
        media_type: &str,
        manifest: &[u8],
    ) -> Result<(), Error> {
        // A manifest that is none has been refused by now, and an image's seldom refers to anything.
        let Ok(Referrer { subject: Some(subject), artifact_type, config, annotations }) =
            serde_json::from_slice(manifest)
        else {
            return Ok(());
        };
        let digest = Digest::of(manifest);
        let task =
            self.task(name, "pull,push", format!("list {digest} with what refers to {}", subject.digest));
        let mut entry = Descriptor::new(media_type, digest, manifest.len() as u64);
        entry.annotations = annotations;
        if let Some(kind) = artifact_type.or_else(|| config.map(|config| config.media_type)) {
            entry.extra.insert("artifactType".to_owned(), kind.into());
        }
        let mut listed = self.referrers_by_tag(&task, name, &subject.digest)?;
        if listed.iter().any(|other| other.digest == digest) {
            return Ok(());
        }
        listed.push(entry);
        let index = Index { manifests: listed, ..Index::default() };
        let json = index.to_json().map_err(|error| task.error(Problem::Setting(error.to_string())))?;
        self.put_manifest(&referrers_tag(name, &subject.digest), media_type::INDEX, &json)?;
        Ok(())
    }
}

/// The tag that lists what refers to a digest.
fn referrers_tag(name: &ImageName, digest: &Digest) -> ImageName {
    ImageName { tag: Some(format!("sha256-{}", digest.hex())), digest: None, ..name.clone() }
}
