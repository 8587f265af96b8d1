//! What index is believed, and what each refusal says.

use crate::common::{self, Mirror, NOW, Package, Publish, Signer, package};
use debian::{ArchiveError, Event, SignatureError, TransferError};

const DAY: i64 = 86_400;

fn tiny() -> [Package<'static>; 1] {
    [package("base", "", &[])]
}

#[test]
fn a_signed_index_is_read_and_an_unchanged_one_is_not_downloaded_again() {
    let mirror = Mirror::new(&tiny());
    let cache = tempfile::tempdir().unwrap();
    let events = common::Events::default();
    let report = |event| events.0.borrow_mut().push(event);
    debian::refresh(&mirror.archive(cache.path()), &report).unwrap();
    let downloads = |events: &[Event]| {
        events
            .iter()
            .filter(|it| matches!(it, Event::Finished { name, .. } if name.ends_with("Packages")))
            .count()
    };
    assert_eq!(downloads(&events.take()), 2);
    let index = debian::refresh(&mirror.archive(cache.path()), &report).unwrap();
    let again = events.take();
    assert_eq!(downloads(&again), 0, "{again:?}");
    assert_eq!(again.iter().filter(|it| matches!(it, Event::Cached { .. })).count(), 2);
    assert_eq!(debian::resolve(&index, &["base"], &[]).unwrap().len(), 1);
    // A cache that was cut short is not believed.
    for file in std::fs::read_dir(cache.path()).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, &text[..text.len() / 2]).unwrap();
    }
    let index = debian::refresh(&mirror.archive(cache.path()), &report).unwrap();
    assert_eq!(downloads(&events.take()), 2);
    assert_eq!(debian::resolve(&index, &["base"], &[]).unwrap().len(), 1);
}

#[test]
fn a_changed_byte_is_a_bad_signature() {
    let mirror = Mirror::new(&tiny());
    let text = std::fs::read_to_string(mirror.in_release()).unwrap();
    std::fs::write(mirror.in_release(), text.replace("Origin: Tests", "Origin: Thefts")).unwrap();
    let error = mirror.refresh().unwrap_err();
    assert!(matches!(error, ArchiveError::Signature { source: SignatureError::Bad { .. }, .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "the index of tiny was refused: bad signature: it claims to be by the test archive's key, but the content is \
         not what was signed"
    );
}

#[test]
fn text_around_the_signed_part_is_refused() {
    let mirror = Mirror::new(&tiny());
    let text = std::fs::read_to_string(mirror.in_release()).unwrap();
    for changed in
        [format!("Codename: tiny\n\n{text}"), format!("{text}\nCodename: evil\n"), "no signature".to_owned()]
    {
        std::fs::write(mirror.in_release(), changed).unwrap();
        let error = mirror.refresh().unwrap_err();
        assert!(
            matches!(error, ArchiveError::Signature { source: SignatureError::Malformed(_), .. }),
            "{error}"
        );
    }
}

#[test]
fn a_key_that_is_not_pinned_is_named() {
    let mut mirror = Mirror::new(&tiny());
    mirror.signer = Signer::new();
    mirror.publish("tiny", &Publish::default());
    let error = mirror.refresh().unwrap_err();
    let fingerprint = mirror.signer.pinned().fingerprint;
    assert_eq!(
        error.to_string(),
        format!(
            "the index of tiny was refused: signed by no key that is pinned for this release (signed by {fingerprint})"
        )
    );
}

#[test]
fn a_pinned_key_with_another_fingerprint_is_refused() {
    let mirror = Mirror::new(&tiny());
    let mut key = mirror.signer.pinned();
    key.fingerprint = "0000000000000000000000000000000000000000";
    let release: &'static debian::Release =
        Box::leak(Box::new(debian::Release { keys: vec![key].leak(), ..*mirror.release }));
    let cache = tempfile::tempdir().unwrap();
    let archive = debian::Archive { release, ..mirror.archive(cache.path()) };
    let error = debian::refresh(&archive, &|_| {}).unwrap_err();
    assert!(
        matches!(error, ArchiveError::Signature { source: SignatureError::PinnedKey { .. }, .. }),
        "{error}"
    );
}

fn refused(signer: Signer, why: &str) {
    let mirror = Mirror::signed_by(signer, &tiny());
    let error = mirror.refresh().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the index of tiny was refused: no signature that may be relied on: the test archive's key: {why}"
        )
    );
}

#[test]
fn what_is_expired_revoked_weak_or_from_the_future_does_not_count() {
    refused(Signer { lasts: Some(3600), ..Signer::new() }, "the signature has expired");
    refused(Signer { created: NOW + 3 * DAY, ..Signer::new() }, "the signature is dated in the future");
    refused(Signer::new().expiring(3600), "the key has expired");
    refused(Signer::new().revoked(), "the key is revoked");
    let long = u32::try_from(400 * DAY).unwrap();
    Mirror::signed_by(Signer { lasts: Some(long), ..Signer::new() }.expiring(long), &tiny())
        .refresh()
        .unwrap();
}

#[test]
fn a_networks_login_page_is_told_apart_from_a_wrong_signature() {
    let mirror = Mirror::new(&tiny());
    std::fs::write(mirror.in_release(), "\n<!DOCTYPE html><title>Welcome to the hotel</title>").unwrap();
    let error = mirror.refresh().unwrap_err().to_string();
    assert!(error.contains("a web page came in its place; does this network want a login"), "{error}");
}

#[test]
fn a_signature_by_sha1_does_not_count() {
    let mirror = Mirror::new(&tiny());
    std::fs::write(mirror.in_release(), include_bytes!("data/sha1-InRelease")).unwrap();
    let key = debian::ArchiveKey {
        name: "the old key",
        fingerprint: "D1308C7E776CA2AC5A67D003D34A3A8B63DA4ED9",
        bytes: include_bytes!("data/sha1-key.gpg"),
    };
    let release = Box::leak(Box::new(debian::Release { keys: vec![key].leak(), ..*mirror.release }));
    let cache = tempfile::tempdir().unwrap();
    let archive = debian::Archive {
        release,
        now: jiff::Timestamp::from_second(NOW + 200 * DAY).unwrap(),
        ..mirror.archive(cache.path())
    };
    assert_eq!(
        debian::refresh(&archive, &|_| {}).unwrap_err().to_string(),
        "the index of tiny was refused: no signature that may be relied on: the old key: signed with the weak hash SHA1"
    );
}

#[test]
fn an_expired_index_is_refused_unless_it_is_allowed_aloud() {
    let mirror = Mirror::new(&tiny());
    mirror.publish("tiny", &Publish { valid_until: Some(NOW - 60), ..Publish::default() });
    let error = mirror.refresh().unwrap_err();
    assert!(matches!(error, ArchiveError::Expired { .. }));
    assert!(error.to_string().starts_with("the index of tiny expired on 2026-05-31T23:59:00Z: "), "{error}");
    let cache = tempfile::tempdir().unwrap();
    let archive = debian::Archive { allow_expired: true, ..mirror.archive(cache.path()) };
    let events = common::Events::default();
    debian::refresh(&archive, &|event| events.0.borrow_mut().push(event)).unwrap();
    assert!(events.take().iter().any(|it| matches!(it, Event::Warning(text) if text.contains("expired"))));
}

#[test]
fn an_index_from_the_future_or_of_another_suite_is_refused() {
    let mirror = Mirror::new(&tiny());
    mirror.publish("tiny", &Publish { date: NOW + 3 * DAY, ..Publish::default() });
    assert!(matches!(mirror.refresh().unwrap_err(), ArchiveError::FromTheFuture { .. }));
    mirror.publish("tiny", &Publish { codename: Some("old"), ..Publish::default() });
    assert_eq!(mirror.refresh().unwrap_err().to_string(), "the mirror's index of tiny is that of old");
}

#[test]
fn a_list_of_packages_that_is_not_the_signed_one_is_refused() {
    let mirror = Mirror::new(&tiny());
    let other = Mirror::new(&[package("evil", "", &[])]);
    let from = other.folder.path().join("dists/tiny/main/binary-amd64/Packages.xz");
    let folder = mirror.folder.path().join("dists/tiny/main/binary-amd64");
    for file in std::fs::read_dir(folder.join("by-hash/SHA256")).unwrap() {
        std::fs::copy(&from, file.unwrap().path()).unwrap();
    }
    // The plain name still has the good one; without it there is nothing left to try.
    mirror.refresh().unwrap();
    std::fs::copy(&from, folder.join("Packages.xz")).unwrap();
    let error = mirror.refresh().unwrap_err();
    assert!(
        matches!(error, ArchiveError::Transfer { source: TransferError::WrongContent { .. }, .. }),
        "{error:?}"
    );
}

#[test]
fn an_absent_index_and_an_unreachable_mirror_are_told_apart() {
    let mirror = Mirror::new(&tiny());
    std::fs::remove_file(mirror.in_release()).unwrap();
    let error = mirror.refresh().unwrap_err();
    assert!(
        matches!(error, ArchiveError::Transfer { source: TransferError::NotFound { .. }, .. }),
        "{error}"
    );
    let cache = tempfile::tempdir().unwrap();
    let mut archive = mirror.archive(cache.path());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    archive.mirrors.archive = vec![format!("http://{nobody}/debian")];
    let error = debian::refresh(&archive, &|_| {}).unwrap_err();
    assert!(matches!(error, ArchiveError::Transfer { source: TransferError::Network { .. }, .. }), "{error}");
    archive.mirrors.archive.clear();
    let error = debian::refresh(&archive, &|_| {}).unwrap_err();
    assert_eq!(error.to_string(), "the index of tiny cannot be had: no mirror is set for tiny InRelease");
}
