//! Whether a clear-signed `InRelease` file was signed by one of the keys that we pinned, and what it says then.
//!
//! The cryptography is the `pgp` crate's; the policy is here, because that crate has none: pinned fingerprints, key
//! and signature expiry, revocation, no SHA-1. As with apt, signatures of unknown keys do not count, and a signature
//! of a known key that does not verify spoils the file.

use jiff::Timestamp;
use pgp::composed::{CleartextSignedMessage, Deserializable, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{Duration, KeyDetails, VerifyingKey};

use crate::release::ArchiveKey;

/// Clocks that differ by less than this many seconds are forgiven.
pub(crate) const CLOCK_SKEW: i64 = 24 * 60 * 60;

/// Why a signed index was not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Not a clear-signed message, or there is something around it.
    #[error("not a clear-signed file: {0}")]
    Malformed(String),
    /// A key that we know made a signature over other bytes.
    #[error("bad signature: it claims to be by {signer}, but the content is not what was signed")]
    Bad {
        /// Name of the pinned key.
        signer: &'static str,
    },
    /// No signature is by a key that is pinned for this release.
    #[error("signed by no key that is pinned for this release (signed by {})", .signers.join(", "))]
    UnknownKey {
        /// Key ids or fingerprints as the signatures name them.
        signers: Vec<String>,
    },
    /// Signatures verify, but none may be relied on: expired, revoked, or too weak.
    #[error("no signature that may be relied on: {}", .reasons.join("; "))]
    Refused {
        /// One reason per signature.
        reasons: Vec<String>,
    },
    /// One of our own pinned keys cannot be read: a mistake in this program.
    #[error("the pinned key {name} is not usable: {reason}")]
    PinnedKey {
        /// Name of the pinned key.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// The signed text (and nothing that stood around it) if at least one pinned key signed it.
pub(crate) fn verify(message: &str, keys: &[ArchiveKey], now: Timestamp) -> Result<String, SignatureError> {
    let (message, _) = CleartextSignedMessage::from_string(message)
        .map_err(|error| SignatureError::Malformed(error.to_string()))?;
    let text = message.signed_text();
    let certificates = keys.iter().map(load).collect::<Result<Vec<_>, _>>()?;
    let mut good = false;
    let (mut unknown, mut reasons) = (Vec::new(), Vec::new());
    for signature in message.signatures() {
        let Some((pinned, certificate, subkey)) = find_signer(keys, &certificates, signature) else {
            unknown.push(issuer(signature));
            continue;
        };
        let verified = match subkey {
            Some(subkey) => check(signature, &subkey.key, &text),
            None => check(signature, &certificate.primary_key, &text),
        };
        if !verified {
            return Err(SignatureError::Bad { signer: pinned.name });
        }
        match refusal(signature, certificate, subkey, now) {
            Some(reason) => reasons.push(format!("{}: {reason}", pinned.name)),
            None => good = true,
        }
    }
    if good {
        Ok(text.replace("\r\n", "\n"))
    } else if reasons.is_empty() {
        Err(SignatureError::UnknownKey { signers: unknown })
    } else {
        Err(SignatureError::Refused { reasons })
    }
}

fn load(key: &ArchiveKey) -> Result<SignedPublicKey, SignatureError> {
    let bad = |reason: String| SignatureError::PinnedKey { name: key.name, reason };
    let certificate = SignedPublicKey::from_bytes(key.bytes).map_err(|error| bad(error.to_string()))?;
    let found = certificate.primary_key.fingerprint().to_string().to_uppercase();
    if found != key.fingerprint {
        return Err(bad(format!("its fingerprint is {found}, not {}", key.fingerprint)));
    }
    Ok(certificate)
}

fn issuer(signature: &Signature) -> String {
    match (signature.issuer_fingerprint().first(), signature.issuer_key_id().first()) {
        (Some(fingerprint), _) => fingerprint.to_string().to_uppercase(),
        (None, Some(id)) => id.to_string().to_uppercase(),
        (None, None) => "nobody".to_owned(),
    }
}

/// Names `key` as its maker? A fingerprint, where there is one, decides; an id is only 64 bits of it.
fn issued_by(signature: &Signature, key: &impl KeyDetails) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    if fingerprints.is_empty() {
        signature.issuer_key_id().contains(&&key.legacy_key_id())
    } else {
        fingerprints.contains(&&key.fingerprint())
    }
}

type Signer<'a> = (&'a ArchiveKey, &'a SignedPublicKey, Option<&'a SignedPublicSubKey>);

fn find_signer<'a>(
    keys: &'a [ArchiveKey],
    certificates: &'a [SignedPublicKey],
    signature: &Signature,
) -> Option<Signer<'a>> {
    keys.iter().zip(certificates).find_map(|(key, certificate)| {
        if issued_by(signature, &certificate.primary_key) {
            return Some((key, certificate, None));
        }
        let subkey = certificate.public_subkeys.iter().find(|subkey| issued_by(signature, &subkey.key))?;
        Some((key, certificate, Some(subkey)))
    })
}

fn check(signature: &Signature, key: &impl VerifyingKey, text: &str) -> bool {
    matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text))
        && signature.verify(key, text.as_bytes()).is_ok()
}

/// Why a signature that verifies does not count all the same.
fn refusal(
    signature: &Signature,
    certificate: &SignedPublicKey,
    subkey: Option<&SignedPublicSubKey>,
    now: Timestamp,
) -> Option<String> {
    if !strong(signature) {
        let hash = signature.hash_alg().map(|hash| hash.to_string()).unwrap_or_default();
        return Some(format!("signed with the weak hash {hash}"));
    }
    let now = now.as_second();
    let Some(created) = signature.created().map(|created| i64::from(created.as_secs())) else {
        return Some("the signature has no date".to_owned());
    };
    if created > now + CLOCK_SKEW {
        return Some("the signature is dated in the future".to_owned());
    }
    if over(created, signature.signature_expiration_time(), now) {
        return Some("the signature has expired".to_owned());
    }
    primary_refusal(certificate, now)
        .or_else(|| subkey.and_then(|subkey| subkey_refusal(certificate, subkey, now)))
}

fn strong(signature: &Signature) -> bool {
    matches!(
        signature.hash_alg(),
        Some(
            HashAlgorithm::Sha256
                | HashAlgorithm::Sha384
                | HashAlgorithm::Sha512
                | HashAlgorithm::Sha3_256
                | HashAlgorithm::Sha3_512
        )
    )
}

fn over(start: i64, lasts: Option<Duration>, now: i64) -> bool {
    lasts.is_some_and(|lasts| lasts.as_secs() != 0 && start + i64::from(lasts.as_secs()) < now)
}

fn primary_refusal(certificate: &SignedPublicKey, now: i64) -> Option<String> {
    let key = &certificate.primary_key;
    if certificate.details.revocation_signatures.iter().any(|signature| issued_by(signature, key)) {
        return Some("the key is revoked".to_owned());
    }
    let direct =
        certificate.details.direct_signatures.iter().filter(|signature| signature.verify_key(key).is_ok());
    let by_user = certificate.details.users.iter().flat_map(|user| {
        user.signatures.iter().filter(|signature| {
            signature.is_certification()
                && issued_by(signature, key)
                && signature.verify_certification(key, pgp::types::Tag::UserId, &user.id).is_ok()
        })
    });
    let newest = direct
        .chain(by_user)
        .filter(|signature| strong(signature))
        .max_by_key(|signature| signature.created());
    let Some(newest) = newest else {
        return Some("the key has no self-signature".to_owned());
    };
    over(i64::from(key.created_at().as_secs()), newest.key_expiration_time(), now)
        .then(|| "the key has expired".to_owned())
}

fn subkey_refusal(certificate: &SignedPublicKey, subkey: &SignedPublicSubKey, now: i64) -> Option<String> {
    let revoked = |signature: &&Signature| signature.typ() == Some(SignatureType::SubkeyRevocation);
    if subkey.signatures.iter().any(|signature| revoked(&signature)) {
        return Some("the signing subkey is revoked".to_owned());
    }
    let bound = |signature: &&Signature| {
        strong(signature)
            && signature.key_flags().sign()
            && signature.verify_subkey_binding(&certificate.primary_key, &subkey.key).is_ok()
            && signature.embedded_signature().is_some_and(|back| {
                back.verify_primary_key_binding(&subkey.key, &certificate.primary_key).is_ok()
            })
    };
    let Some(newest) = subkey.signatures.iter().filter(bound).max_by_key(|signature| signature.created())
    else {
        return Some("the signing subkey is not bound to its key".to_owned());
    };
    over(i64::from(subkey.key.created_at().as_secs()), newest.key_expiration_time(), now)
        .then(|| "the signing subkey has expired".to_owned())
}
