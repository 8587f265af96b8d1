//! Files of other servers, by the way that registries are reached.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod registries;

use oci::registry::{Fetched, FileError, FileRequest};
use registries::{client, quick, server};
use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server with one file that changes by its name.
fn serve() -> String {
    static LOST: AtomicUsize = AtomicUsize::new(0);
    let address = server::serve(|asked| match asked.path.as_str() {
        "/a.cnb?key=secret" if asked.header("if-none-match") == Some("\"1\"") => (304, vec![], vec![]),
        "/a.cnb?key=secret" => (200, vec!["ETag: \"1\"".to_owned()], vec![b'x'; 3 << 20]),
        "/moved" => (302, vec!["Location: /a.cnb?key=secret".to_owned()], vec![]),
        "/login" => match asked.header("authorization") {
            // me:p@ss
            Some("Basic bWU6cEBzcw==") => (200, vec![], b"in".to_vec()),
            _ => (401, vec![], vec![]),
        },
        "/sometimes" if LOST.fetch_add(1, Ordering::Relaxed) == 0 => (503, vec![], vec![]),
        "/sometimes" => (200, vec![], b"at last".to_vec()),
        _ => (404, vec![], vec![]),
    });
    format!("http://{address}")
}

fn fetch(url: &str, etag: Option<&str>, limit: u64) -> Result<(Fetched, usize), FileError> {
    let mut file = tempfile::tempfile().unwrap();
    let fetched = client(quick()).file(FileRequest { url, etag, limit }, &mut file, &|_, _| {})?;
    std::io::Seek::rewind(&mut file).unwrap();
    let mut all = Vec::new();
    file.read_to_end(&mut all).unwrap();
    Ok((fetched, all.len()))
}

#[test]
fn a_file_is_fetched_once_and_followed_where_it_moved() {
    let base = serve();
    let written = Fetched::Written { etag: Some("\"1\"".to_owned()) };
    let url = format!("{base}/a.cnb?key=secret");
    assert_eq!(fetch(&url, None, 4 << 20).unwrap(), (written.clone(), 3 << 20));
    assert_eq!(fetch(&url, Some("\"1\""), 4 << 20).unwrap(), (Fetched::Unchanged, 0));
    assert_eq!(fetch(&format!("{base}/moved"), None, 4 << 20).unwrap(), (written, 3 << 20));
    assert_eq!(fetch(&format!("{base}/sometimes"), None, 9).unwrap().1, 7);
}

#[test]
fn a_file_that_cannot_be_had_is_told_without_secrets() {
    let base = serve();
    let say = |url: String, limit| fetch(&url, None, limit).unwrap_err().to_string();
    let too_large = say(format!("{base}/a.cnb?key=secret"), 2 << 20);
    assert_eq!(too_large, format!("{base}/a.cnb: it has more than 2 MiB, which is more than is taken"));
    assert!(
        say(format!("{base}/none?key=secret"), 9)
            .ends_with("/none: the server answered with status 404; check the address")
    );
    let login = base.replace("http://", "http://me:p%40ss@");
    assert_eq!(fetch(&format!("{login}/login"), None, 9).unwrap().1, 2);
    let wrong = say(base.replace("http://", "http://me:wr0ng@") + "/login", 9);
    assert!(wrong.contains("401") && !wrong.contains("wr0ng"), "{wrong}");
    assert!(say("ftp://me:wr0ng@host/x".to_owned(), 9).contains("ftp://host/x is no address"));
    let nobody = say("http://127.0.0.1:1/x".to_owned(), 9);
    assert!(nobody.starts_with("http://127.0.0.1:1/x: "), "{nobody}");
}
