//! What the flows share: the real program, a store for all of them, applications made on the spot.
//!
//! `make test` gives `PACKLIGHT_BIN` (the release as a user has it) and `PACKLIGHT_PAYLOAD`; by hand, `make payload`
//! and `PACKLIGHT_PAYLOAD=target/payload` are enough.
#![allow(dead_code, reason = "each flow uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

pub(crate) mod registry;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("PACKLIGHT_BIN").map_or_else(|| env!("CARGO_BIN_EXE_packlight").into(), PathBuf::from)
}

/// The repository's root.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// A store that all flows share, so that bases and downloads are made once.
pub(crate) fn shared_store() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("store");
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// `packlight ARGS` on the shared store.
pub(crate) fn packlight<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(args: I) -> Command {
    packlight_on(&shared_store(), args)
}

/// `packlight ARGS` on a store.
pub(crate) fn packlight_on<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(store: &Path, args: I) -> Command {
    let mut command = Command::new(program());
    command.arg("--store").arg(store).args(args).env("NO_COLOR", "1").stdin(Stdio::null());
    if std::env::var_os("PACKLIGHT_BIN").is_none() {
        let payload = std::env::var_os("PACKLIGHT_PAYLOAD").map(PathBuf::from);
        let payload = payload.unwrap_or_else(|| repository().join("target/payload"));
        assert!(payload.join("launcher").exists(), "no payload in {}: run `make payload`", payload.display());
        command.env("PACKLIGHT_PAYLOAD", payload);
    }
    command
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn both(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// The same, when the command succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// The same, when it failed with this code and said all this.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) -> Self {
        let all = self.both();
        assert_eq!(self.code, Some(code), "{all}");
        for word in words {
            assert!(all.contains(word), "missing {word:?} in:\n{all}");
        }
        for bad in ["panicked", "RUST_BACKTRACE", "unwrap()"] {
            assert!(!all.contains(bad), "{all}");
        }
        self
    }
}

/// Runs a command to its end.
pub(crate) fn say(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Said {
        code: status.code(),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// `packlight build NAME` of a folder, which succeeds, to the store only; the image's digest.
#[track_caller]
pub(crate) fn build(name: &str, path: &Path) -> String {
    build_with(name, path, &[])
}

/// The same with more arguments.
#[track_caller]
pub(crate) fn build_with(name: &str, path: &Path, more: &[&str]) -> String {
    let mut command = packlight(["--quiet", "build", name, "--output", "store", "--path"]);
    let said = say(command.arg(path).args(more)).ok();
    let digest = said.out.trim().to_owned();
    assert!(digest.starts_with("sha256:"), "{}", said.both());
    digest
}

/// A folder with these files.
pub(crate) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

/// The smallest app: no dependency, a Procfile.
pub(crate) fn plain_app() -> tempfile::TempDir {
    folder(&[
        ("requirements.txt", ""),
        ("Procfile", "web: python3 server.py\n"),
        (
            "server.py",
            "import http.server, os\n\
             class H(http.server.BaseHTTPRequestHandler):\n\
             \x20   def do_GET(self):\n\
             \x20       self.send_response(200)\n\
             \x20       self.end_headers()\n\
             \x20       self.wfile.write(b'plain')\n\
             http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()\n",
        ),
    ])
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks over HTTP until there is an answer; the whole response.
#[track_caller]
pub(crate) fn get(port: u16, path: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Ok(text) = try_get(port, path)
            && !text.is_empty()
        {
            return text;
        }
        assert!(Instant::now() < deadline, "no answer on port {port}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn try_get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// A program that runs until it is stopped; what it prints is gathered.
pub(crate) struct Running {
    child: Child,
    out: std::sync::Arc<std::sync::Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let pipes: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        let readers = pipes
            .into_iter()
            .map(|pipe| {
                let out = out.clone();
                std::thread::spawn(move || {
                    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                        let mut out = out.lock().unwrap();
                        out.push_str(&line);
                        out.push('\n');
                    }
                })
            })
            .collect();
        Self { child, out, readers }
    }

    /// What it printed so far.
    pub(crate) fn printed(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    /// Waits until it printed these words.
    #[track_caller]
    pub(crate) fn until(&self, words: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let printed = self.printed();
            if printed.contains(words) {
                return printed;
            }
            assert!(Instant::now() < deadline, "no {words:?} in:\n{printed}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal by name and waits for the end.
    pub(crate) fn stop(self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        self.ended()
    }

    /// Waits for the end.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        (status.code(), self.printed())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
