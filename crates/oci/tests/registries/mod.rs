//! A real registry for a test: Debian's, on a port of this machine, with a directory of its own.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod proxy;

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use oci::{
    Image, ImageConfig, ImageName, LayerSpec, Owner, Platform, Store,
    registry::{Client, Retry, Settings, Timeouts},
};
use tempfile::TempDir;

#[allow(unused_imports, reason = "each test program uses a part")]
pub(crate) use proxy::{Fault, Proxy, Rule};
#[allow(unused_imports, reason = "each test program uses a part")]
pub(crate) use testing::server;

/// A registry that is running until it is dropped.
pub(crate) struct Registry {
    pub(crate) dir: TempDir,
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Registry {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// With more lines of its configuration; `{dir}` in them is the registry's directory.
    pub(crate) fn start_with(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(dir, more)
    }

    pub(crate) fn start_in(dir: TempDir, more: &str) -> Self {
        let root = dir.path().display();
        // Another process may take the port between its choice and its use.
        for _ in 0..5 {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let config = format!(
                "version: 0.1\nlog:\n  level: warn\n  accesslog:\n    disabled: true\nstorage:\n  delete:\n    enabled: \
                 true\n  filesystem:\n    rootdirectory: {root}/data\nhttp:\n  addr: {address}\n{}",
                more.replace("{dir}", &root.to_string())
            );
            std::fs::write(dir.path().join("config.yml"), config).unwrap();
            let log = std::fs::File::create(dir.path().join("log")).unwrap();
            let mut child = Command::new("docker-registry")
                .arg("serve")
                .arg(dir.path().join("config.yml"))
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .stdin(Stdio::null())
                .spawn()
                .expect("Debian's package docker-registry");
            if answers(&mut child, address) {
                return Self { dir, address, child };
            }
        }
        panic!("{}", std::fs::read_to_string(dir.path().join("log")).unwrap());
    }

    pub(crate) fn name(&self, rest: &str) -> ImageName {
        name_at(self.address, rest)
    }

    /// The files in which the registry keeps what it has.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data/docker/registry/v2")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until it listens; false when it has ended instead.
fn answers(child: &mut Child, address: SocketAddr) -> bool {
    loop {
        if TcpStream::connect(address).is_ok() {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn name_at(address: SocketAddr, rest: &str) -> ImageName {
    ImageName::parse(&format!("{address}/{rest}"), "docker.io").unwrap()
}

/// Settings under which nothing waits long.
pub(crate) fn quick() -> Settings {
    Settings {
        retry: Retry {
            first: Duration::from_millis(5),
            longest: Duration::from_millis(40),
            ..Retry::default()
        },
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(20),
            upload: Duration::from_secs(60),
        },
        ..Settings::default()
    }
}

pub(crate) fn client(settings: Settings) -> Client {
    Client::new(settings).unwrap()
}

pub(crate) fn amd64() -> Platform {
    Platform { architecture: "amd64".into(), os: "linux".into(), variant: None, extra: Default::default() }
}

/// An image of layers that each hold one file of these many bytes which no compression makes fewer.
pub(crate) fn image_of(store: &Store, sizes: &[usize]) -> Image {
    let layers: Vec<_> = sizes
        .iter()
        .enumerate()
        .map(|(at, size)| {
            let mut contents = noise(*size);
            contents.extend((at as u64).to_le_bytes());
            let spec = LayerSpec::new("a file").file(format!("file-{at}"), 0o644, Owner::ROOT, contents);
            store.add_layer(&spec, None).unwrap().record.layer_ref()
        })
        .collect();
    store.put_image(ImageConfig::default(), &layers).unwrap()
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = length as u64 | 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(next).collect()
}

/// A store in this directory.
pub(crate) fn store(dir: &Path, name: &str) -> Store {
    Store::open(&dir.join(name)).unwrap()
}

/// What `skopeo` prints.
pub(crate) fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo").arg("--insecure-policy").args(arguments).output().expect("skopeo");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "skopeo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
