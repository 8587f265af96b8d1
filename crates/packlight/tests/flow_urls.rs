//! Buildpacks from the web: a package and a folder in a tar, kept in the store.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use support::*;

/// A folder's files on a port of this machine, and the status of every answer. A file has its length as its `ETag`.
struct Web {
    base: String,
    answers: Arc<Mutex<Vec<u16>>>,
    dir: tempfile::TempDir,
}

impl Web {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (dir, answers) = (folder(&[]), Arc::new(Mutex::new(Vec::new())));
        let (root, told) = (dir.path().to_owned(), Arc::clone(&answers));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(status) = answer(&stream, &root) {
                    told.lock().unwrap().push(status);
                }
            }
        });
        Self { base, answers, dir }
    }

    fn url(&self, file: &str) -> String {
        format!("{}/{file}", self.base)
    }

    fn answers(&self) -> Vec<u16> {
        std::mem::take(&mut self.answers.lock().unwrap())
    }
}

fn answer(mut stream: &TcpStream, root: &Path) -> Option<u16> {
    let lines: Vec<String> =
        BufReader::new(stream).lines().map_while(Result::ok).take_while(|it| !it.is_empty()).collect();
    let path = lines.first()?.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    let body = std::fs::read(root.join(path)).ok();
    let etag = body.as_ref().map(|it| format!("\"{}\"", it.len())).unwrap_or_default();
    let same = lines.iter().any(|it| it.eq_ignore_ascii_case(&format!("if-none-match: {etag}")));
    let (status, body) = match body {
        None => (404, Vec::new()),
        Some(_) if same => (304, Vec::new()),
        Some(body) => (200, body),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} x\r\nETag: {etag}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).ok()?;
    Some(status)
}

/// A buildpack that says a word, as a folder.
fn buildpack(word: &str) -> tempfile::TempDir {
    let descriptor =
        "api = \"0.10\"\n[buildpack]\nid = \"test/web\"\nversion = \"1\"\n[[targets]]\nos = \"linux\"\n";
    let build = format!("#!/bin/sh\necho said: {word}\n");
    let dir = folder(&[("buildpack.toml", descriptor), ("bin/detect", "#!/bin/sh\n"), ("bin/build", &build)]);
    for it in ["bin/detect", "bin/build"] {
        std::fs::set_permissions(dir.path().join(it), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    dir
}

fn pack(folder: &Path, to: &Path) {
    say(Command::new("tar").arg("-C").arg(folder).arg("-czf").arg(to).arg(".")).ok();
}

fn build(app: &Path, more: &[&str]) -> Said {
    let mut command = packlight(["build", "flow-urls", "--agent", "none", "-v", "-o", "store", "--path"]);
    say(command.arg(app).args(more))
}

#[test]
fn a_buildpack_of_the_web_is_downloaded_once_and_again_when_it_has_changed() {
    let (web, app) = (Web::start(), plain_app());
    let file = web.dir.path().join("a.tgz");
    pack(buildpack("first").path(), &file);
    let url = web.url("a.tgz");
    let first = build(app.path(), &["--post-buildpack", &url]).ok().both();
    assert!(first.contains("said: first") && first.contains("without TLS"), "{first}");
    assert_eq!(web.answers(), [200]);
    build(app.path(), &["--post-buildpack", &url]).ok();
    assert_eq!(web.answers(), [304]);
    build(app.path(), &["--post-buildpack", &url, "--pull-policy", "if-not-present"]).ok();
    assert_eq!(web.answers(), [] as [u16; 0]);

    pack(buildpack("another-and-longer-word").path(), &file);
    let sum = say(Command::new("sha256sum").arg(&file)).ok().out;
    let again = build(app.path(), &["--post-buildpack", &url]).ok().both();
    assert!(again.contains("said: another-and-longer-word"), "{again}");
    assert_eq!(web.answers(), [200]);
    // A file that is known by its digest is not asked for.
    let pinned = format!("{url}#sha256={}", sum.split(' ').next().unwrap());
    build(app.path(), &["--post-buildpack", &pinned]).ok();
    assert_eq!(web.answers(), [] as [u16; 0]);
    let wrong = format!("{url}#sha256={}", "0".repeat(64));
    build(app.path(), &["--post-buildpack", &wrong]).fails(101, &["the digest", "sha256=000"]);
    build(app.path(), &["--post-buildpack", &web.url("none.tgz?key=s3cret")])
        .fails(101, &["none.tgz: the server answered with status 404"]);
    let never = build(app.path(), &["--post-buildpack", &web.url("b.tgz"), "--pull-policy", "never"]);
    never.fails(101, &["b.tgz is not in the store", "--pull-policy never"]);
}

#[test]
fn a_package_of_the_web_is_named_in_project_toml_and_a_tar_without_a_buildpack_is_refused() {
    let (web, app) = (Web::start(), plain_app());
    let source = buildpack("from a package");
    platform::package::write(source.path(), web.dir.path()).unwrap();
    let project = format!(
        "[_]\nschema-version = \"0.2\"\n[[io.buildpacks.post.group]]\nuri = \"{}\"\n",
        web.url("test_web-1.cnb")
    );
    std::fs::write(app.path().join("project.toml"), project).unwrap();
    let said = build(app.path(), &[]).ok().both();
    assert!(said.contains("test/web@1") && said.contains("said: from a package"), "{said}");

    pack(app.path(), &web.dir.path().join("app.tgz"));
    build(app.path(), &["--post-buildpack", &web.url("app.tgz")])
        .fails(2, &["app.tgz is neither a buildpack package nor a tar with a buildpack.toml"]);
    let local = web.dir.path().join("local.tgz");
    pack(source.path(), &local);
    let said = build(app.path(), &["--post-buildpack", local.to_str().unwrap()]).ok().both();
    assert!(said.contains("said: from a package"), "{said}");
}
