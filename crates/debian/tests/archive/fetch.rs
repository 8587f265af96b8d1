//! Packages from mirrors that are good, gone, lying or broken.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{self, Mirror, package};
use debian::{Event, FetchError, Kind, LockedPackage, Mirrors};

/// A web server on a folder that ends every answer after so many bytes; counts its answers.
struct Breaking {
    url: String,
    answers: Arc<AtomicUsize>,
}

#[derive(Clone, Copy)]
struct Manners {
    /// Bytes of a body after which the connection is closed.
    at_most: usize,
    /// Whether it understands `Range`.
    resumes: bool,
}

fn serve(folder: &Path, manners: Manners) -> Breaking {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers = Arc::new(AtomicUsize::new(0));
    let (folder, counted) = (folder.to_owned(), Arc::clone(&answers));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (folder, counted) = (folder.clone(), Arc::clone(&counted));
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                let path = first.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
                let mut from = 0;
                for line in lines.by_ref().take_while(|line| !line.is_empty()) {
                    if let Some(range) = line.to_lowercase().strip_prefix("range: bytes=") {
                        from = range.trim_end_matches('-').parse().unwrap();
                    }
                }
                counted.fetch_add(1, Ordering::SeqCst);
                let Ok(body) = std::fs::read(folder.join(path)) else {
                    let _ = stream.write_all(
                        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    );
                    return;
                };
                let from = if manners.resumes { from } else { 0 };
                let rest = &body[from..];
                let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    rest.len()
                );
                let _ = stream.write_all(&rest[..rest.len().min(manners.at_most)]);
                let _ = stream.flush();
            });
        }
    });
    Breaking { url, answers }
}

fn big() -> (Mirror, Vec<LockedPackage>) {
    let noise: String =
        (0..20_000_u32).map(|at| char::from(b'a' + u8::try_from(at * at % 23).unwrap())).collect();
    let items = [common::Item::File("./usr/share/noise", 0o644, &noise)];
    let mirror = Mirror::new(&[
        common::Package { compression: "", ..package("big", "", &items) },
        package("small", "", &[]),
    ]);
    let packages = debian::resolve(&mirror.refresh().unwrap(), &["big", "small"], &[]).unwrap();
    (mirror, packages)
}

fn from(url: &str) -> Mirrors {
    Mirrors { archive: vec![url.to_owned()], security: vec![] }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn packages_are_fetched_once_and_bytes_are_told_by_kind() {
    let (mirror, packages) = big();
    let cache = tempfile::tempdir().unwrap();
    let events = common::Events::default();
    let report = |event| events.0.borrow_mut().push(event);
    let paths = debian::fetch(&mirror.mirrors(), cache.path(), &packages, &report).unwrap();
    let received: u64 = events
        .take()
        .iter()
        .map(|event| match event {
            Event::Received { kind: Kind::Deb, bytes, .. } => *bytes,
            _ => 0,
        })
        .sum();
    assert_eq!(received, packages.iter().map(|package| package.size).sum::<u64>());
    for (path, package) in paths.iter().zip(&packages) {
        assert_eq!(common::sha256(&std::fs::read(path).unwrap()), package.sha256);
    }
    debian::fetch(&Mirrors::default(), cache.path(), &packages, &report).unwrap();
    assert!(events.take().iter().all(|event| matches!(event, Event::Cached { .. })));
    // A damaged file in the cache is fetched again.
    std::fs::write(&paths[0], "damaged").unwrap();
    debian::fetch(&mirror.mirrors(), cache.path(), &packages, &report).unwrap();
    assert_eq!(common::sha256(&std::fs::read(&paths[0]).unwrap()), packages[0].sha256);
}

#[test]
fn a_wrong_sha256_is_refused_and_nothing_is_kept() {
    let (mirror, packages) = big();
    let pool = mirror.folder.path().join(&packages[0].filename);
    let mut bytes = std::fs::read(&pool).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&pool, bytes).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let error = debian::fetch(&mirror.mirrors(), cache.path(), &packages[..1], &|_| {}).unwrap_err();
    assert!(matches!(error, FetchError::WrongContent { .. }), "{error}");
    assert!(error.to_string().contains(&packages[0].sha256), "{error}");
    assert_eq!(files(cache.path()), Vec::<PathBuf>::new());
    // Another mirror that has the right one makes it good.
    let (good, _) = big();
    let mut mirrors = mirror.mirrors();
    mirrors.archive.push(good.url());
    debian::fetch(&mirrors, cache.path(), &packages[..1], &|_| {}).unwrap();
}

#[test]
fn a_version_that_no_mirror_has_any_more_is_named() {
    let (mirror, mut packages) = big();
    packages[1].filename = "pool/main/small_0.9_amd64.deb".to_owned();
    packages[1].version = "0.9".to_owned();
    let cache = tempfile::tempdir().unwrap();
    let (first, second) =
        (mirror.url(), serve(mirror.folder.path(), Manners { at_most: usize::MAX, resumes: true }).url);
    let mirrors = Mirrors { archive: vec![first.clone(), second.clone()], security: vec![] };
    let error = debian::fetch(&mirrors, cache.path(), &packages, &|_| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "no mirror has small 0.9 any more ({first}/pool/main/small_0.9_amd64.deb, \
             {second}/pool/main/small_0.9_amd64.deb); take newer versions (`--update`), or add a mirror that keeps old ones"
        )
    );
}

#[test]
fn a_download_that_breaks_off_is_resumed() {
    let (mirror, packages) = big();
    let server = serve(mirror.folder.path(), Manners { at_most: 8_000, resumes: true });
    let cache = tempfile::tempdir().unwrap();
    debian::fetch(&from(&server.url), cache.path(), &packages, &|_| {}).unwrap();
    let answers =
        usize::try_from(packages[0].size.div_ceil(8_000) + packages[1].size.div_ceil(8_000)).unwrap();
    assert_eq!(server.answers.load(Ordering::SeqCst), answers);
}

#[test]
fn a_mirror_that_goes_away_half_way_is_an_error_or_the_next_ones_turn() {
    let (mirror, packages) = big();
    let server = serve(mirror.folder.path(), Manners { at_most: 8_000, resumes: false });
    let cache = tempfile::tempdir().unwrap();
    let error = debian::fetch(&from(&server.url), cache.path(), &packages[..1], &|_| {}).unwrap_err();
    assert!(matches!(error, FetchError::Network { .. }), "{error}");
    assert!(
        error.to_string().starts_with("cannot download big 1.0-1: cannot download http://127.0.0.1:"),
        "{error}"
    );
    assert_eq!(files(cache.path()), Vec::<PathBuf>::new());
    let mirrors = Mirrors { archive: vec![server.url, mirror.url()], security: vec![] };
    let paths = debian::fetch(&mirrors, cache.path(), &packages[..1], &|_| {}).unwrap();
    assert_eq!(common::sha256(&std::fs::read(&paths[0]).unwrap()), packages[0].sha256);
}

#[test]
fn no_network_is_told_apart_from_a_vanished_version() {
    let (_mirror, packages) = big();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let error =
        debian::fetch(&from(&format!("http://{nobody}")), cache.path(), &packages, &|_| {}).unwrap_err();
    assert!(matches!(error, FetchError::Network { .. }), "{error}");
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let (mirror, packages) = big();
    let error = debian::fetch(&mirror.mirrors(), Path::new("/proc/nowhere"), &packages, &|_| {}).unwrap_err();
    assert!(matches!(error, FetchError::Io { .. }), "{error}");
    assert!(error.to_string().contains("/proc/nowhere"), "{error}");
}
