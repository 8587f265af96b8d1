//! Signatures and attestations: they name the image that was, and do not follow it.

use super::Refusal;
use crate::event::{Event, Events};
use oci::registry::Client;
use oci::{Image, ImageName};
use std::process::{Command, Stdio};

/// Where cosign keeps a signature, an attestation and a list of materials of a manifest.
/// <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>
const TAGS: &[&str] = &["sig", "att", "sbom"];

/// Says what refers to the image as it was.
pub(super) fn tell(client: &Client, name: &ImageName, old: &Image, events: Events<'_>) {
    let digest = old.digest();
    // A registry that does not tell has nobody who could verify against it either.
    let mut found = client.referrers(name, &digest, None).map_or(0, |it| it.len());
    for kind in TAGS {
        let tag = Some(format!("sha256-{}.{kind}", digest.hex()));
        found += usize::from(client.resolve(&ImageName { tag, digest: None, ..name.clone() }).is_ok());
    }
    if found > 0 {
        let text = format!(
            "{}: {found} signatures or attestations are of the image as it was, {digest}; the new one has none until it \
             is signed (--sign COMMAND)",
            name.short()
        );
        events(Event::Warning { text });
    }
}

/// Runs the user's command with `name@digest` as its last argument.
pub(super) fn sign(command: &str, name: &ImageName, new: &Image) -> Result<(), Refusal> {
    let exact = ImageName { tag: None, digest: Some(new.digest()), ..name.clone() }.to_string();
    let status = Command::new("/bin/sh")
        .args(["-c", &format!("{command} \"$@\""), "sh", &exact])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(Refusal::Other(format!(
            "it is written, as {exact}, and not signed: `{command}` ended with {status}"
        ))),
    }
}
