//! Large images over the wire of this machine: into an empty registry, and from a registry into an empty store, each
//! beside what the plainest client and one pass of gzip need for the same bytes.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Figure, large_builder};
use crate::Result;
use crate::beside::{Beside, must_be_equal};
use crate::ground::Ground;
use crate::http::Http;
use crate::stopwatch::{Contestant, interleaved, output, time};

pub(in crate::figures) const FIGURE: Figure = Figure {
    name: "vs-pack-transfer",
    what: "push of an image of 500 MB into an empty registry, and pull of a builder of 500 MB into an empty store",
    aim: "at least 80 % of the speed of a bare upload, and of a bare download | gzip -dc | tar -x",
    measure: |ground| push(ground).and_then(|()| pull(ground)),
};

const MEGABYTES: usize = 500;
const ROUNDS: usize = 3;

/// A registry with nothing in it, at the same address each time.
struct Empty {
    folder: PathBuf,
    host: String,
    running: Option<Child>,
}

impl Empty {
    fn new(beside: &Beside) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self { folder: beside.room.join("empty"), host: format!("localhost:{port}"), running: None })
    }

    fn start(&mut self) -> Result<()> {
        self.stop();
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(&self.folder)?;
        let (folder, host) = (self.folder.display(), &self.host);
        let settings = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: {{addr: \"{host}\"}}\n"
        );
        let file = self.folder.join("settings.yml");
        fs::write(&file, settings)?;
        let mut serve = Command::new("docker-registry");
        serve.arg("serve").arg(file).stdout(Stdio::null()).stderr(Stdio::null());
        self.running = Some(serve.spawn()?);
        let begin = Instant::now();
        while Http::connect(&self.host).is_err() {
            if begin.elapsed() > Duration::from_secs(30) {
                return Err(format!("no registry answers at {}", self.host).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.kill();
            let _ = running.wait();
        }
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The image is built and in its registry; the build that is measured has a further name in an empty one.
#[expect(clippy::print_stdout, reason = "a program")]
fn push(ground: &Ground) -> Result<()> {
    let beside = Beside::prepare()?;
    let app = beside.app("push")?;
    let volume = format!("{}:/data:ro", beside.data(MEGABYTES)?.display());
    let more = ["--volume", &volume, "--env", "BP_DATA=/data", "--output", "registry"];
    let name = format!("{}/bench/pushed", beside.registry);
    output(&mut beside.our_build(ground, &name, &app, &more))?;
    let blobs = blobs(&beside.registry, "bench/pushed")?;
    let bytes: usize = blobs.iter().map(|it| it.1.len()).sum();

    let empty = std::cell::RefCell::new(Empty::new(&beside)?);
    let copy = format!("{}/bench/copy", empty.borrow().host);
    let timings = interleaved(
        ROUNDS,
        vec![
            Contestant::new("packlight build, pushed before", || {
                time(&mut beside.our_build(ground, &name, &app, &more))
            }),
            Contestant::new("the same, with a name in an empty registry", || {
                empty.borrow_mut().start()?;
                time(&mut beside.our_build(ground, &name, &app, &[&more[..], &["--tag", &copy]].concat()))
            }),
            Contestant::new("bare upload", || {
                empty.borrow_mut().start()?;
                upload(&empty.borrow().host, &blobs)
            }),
        ],
    )?;
    empty.borrow_mut().start()?;
    output(&mut beside.our_build(ground, &name, &app, &[&more[..], &["--tag", &copy]].concat()))?;
    for image in [&name, &copy] {
        output(Command::new("docker").args(["pull", "--quiet", image]))?;
    }
    must_be_equal(&name, &copy)?;
    timings.iter().for_each(|it| println!("{it}"));
    let (took, bare) = (timings[1].more_than(&timings[0]), timings[2].median().as_secs_f64() * 1e3);
    println!(
        "   push of {:.0} MB: {took:.0} ms, {:.0} % of the bare upload's speed",
        bytes as f64 / 1e6,
        100.0 * bare / took
    );
    Ok(())
}

fn upload(host: &str, blobs: &[(String, Vec<u8>)]) -> Result<Duration> {
    let begin = Instant::now();
    let mut http = Http::connect(host)?;
    for (digest, bytes) in blobs {
        let uploads = "/v2/bench/copy/blobs/uploads/";
        let begun = http.ask("POST", uploads, ("", b""))?.must_be(&[202], uploads)?;
        let put = format!("{}&digest={digest}", begun.location);
        http.ask("PUT", &put, ("application/octet-stream", bytes))?.must_be(&[201], &put)?;
    }
    Ok(begin.elapsed())
}

/// Digests and bytes of an image's layers.
fn blobs(registry: &str, repository: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mut http = Http::connect(registry)?;
    let mut blobs = Vec::new();
    for digest in layers(&mut http, repository)? {
        let path = format!("/v2/{repository}/blobs/{digest}");
        blobs.push((digest, http.ask("GET", &path, ("", b""))?.must_be(&[200], &path)?.body));
    }
    Ok(blobs)
}

fn layers(http: &mut Http, repository: &str) -> Result<Vec<String>> {
    let path = format!("/v2/{repository}/manifests/latest");
    let manifest: Value =
        serde_json::from_slice(&http.ask("GET", &path, ("", b""))?.must_be(&[200], &path)?.body)?;
    let layers = manifest["layers"].as_array().ok_or("a manifest has layers")?;
    Ok(layers.iter().filter_map(|it| it["digest"].as_str()).map(str::to_owned).collect())
}

/// A build with a builder that must come from its registry and be unpacked.
#[expect(clippy::print_stdout, reason = "a program")]
fn pull(ground: &Ground) -> Result<()> {
    let beside = Beside::prepare()?;
    let app = beside.app("pull")?;
    large_builder(&beside, "half", MEGABYTES)?;
    let builder = format!("{}/bench/builder", beside.registry);
    output(Command::new("docker").args(["tag", "test/builder:half", &builder]))?;
    output(Command::new("docker").args(["push", "--quiet", &builder]))?;
    let build = |store: &str| {
        let arguments = ["--quiet", "build", "pulled", "--builder", &builder];
        let mut build = ground.packlight(store, &arguments);
        build.arg("--path").arg(&app);
        build
    };
    let digests = layers(&mut Http::connect(&beside.registry)?, "bench/builder")?;
    output(&mut build("pull-warm"))?;
    let timings = interleaved(
        ROUNDS,
        vec![
            Contestant::new("packlight build, builder in the store", || time(&mut build("pull-warm"))),
            Contestant::new("packlight build, store empty", || {
                remove(&ground.room.join("pull-cold"))?;
                time(&mut build("pull-cold"))
            }),
            Contestant::new("bare download | gzip -dc | tar -x", || {
                let folder = ground.room.join("pull-bare");
                remove(&folder)?;
                fs::create_dir_all(&folder)?;
                download(&beside.registry, &digests, &folder)
            }),
        ],
    )?;
    timings.iter().for_each(|it| println!("{it}"));
    let (took, bare) = (timings[1].more_than(&timings[0]), timings[2].median().as_secs_f64() * 1e3);
    println!(
        "   pull of a builder of {MEGABYTES} MB: {took:.0} ms, {:.0} % of the bare one's speed",
        100.0 * bare / took
    );
    Ok(())
}

fn download(registry: &str, digests: &[String], folder: &Path) -> Result<Duration> {
    let begin = Instant::now();
    let mut http = Http::connect(registry)?;
    for digest in digests {
        let mut unpack = Command::new("bash");
        unpack
            .args(["-o", "pipefail", "-c", "gzip -dc | tar -x -C \"$0\""])
            .arg(folder)
            .stdin(Stdio::piped());
        // Tar says of every layer that its names begin with a slash.
        let mut unpack = unpack.stderr(Stdio::null()).spawn()?;
        let mut input = unpack.stdin.take().ok_or("bash has no input")?;
        let path = format!("/v2/bench/builder/blobs/{digest}");
        http.copy("GET", &path, ("", b""), &mut input)?.must_be(&[200], &path)?;
        input.flush()?;
        drop(input);
        if !unpack.wait()?.success() {
            return Err(format!("{path} was not unpacked").into());
        }
    }
    Ok(begin.elapsed())
}

fn remove(folder: &Path) -> Result<()> {
    // Directories of a store can have modes that keep their owner out.
    let script = "[ ! -e \"$0\" ] || { chmod -R u+rwX \"$0\" && rm -rf \"$0\"; }";
    output(Command::new("bash").args(["-c", script]).arg(folder)).map(|_| ())
}
