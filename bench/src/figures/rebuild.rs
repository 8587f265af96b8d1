//! Builds of an app that was built before: with nothing changed, and after one changed line.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::Figure;
use crate::Result;
use crate::ground::{APP, Ground, WARM};
use crate::stopwatch::{Contestant, interleaved, output, time};

pub(super) const UNCHANGED: Figure = Figure {
    name: "rebuild",
    what: "rebuild with nothing changed, to the store, against BuildKit's `docker build` of the same app",
    aim: "under 100 ms, and a third of BuildKit's",
    measure: unchanged,
};

pub(super) const CHANGED: Figure = Figure {
    name: "rebuild-changed",
    what: "rebuild after one changed line, to the store; to the Docker engine, against `docker load` of that layer",
    aim: "under 150 ms; at most 1.2 times the bare load",
    measure: changed,
};

const ROUNDS: usize = 11;

/// Every step of it is cached, as in a second `docker build`. It stands on the image that Packlight made, because
/// there must be an interpreter and no other image is needed for that.
const DOCKERFILE: &str = "\
FROM bench-flask
WORKDIR /src
COPY requirements.txt .
RUN [\"/usr/bin/env\", \"true\"]
COPY . .
";

#[expect(clippy::print_stdout, reason = "a program")]
fn unchanged(ground: &Ground) -> Result<()> {
    ground.build(WARM, "rebuild")?;
    let app = ground.app("rebuild")?;
    to_engine(ground, &app)?;
    let dockerfile = ground.room.join("Dockerfile");
    fs::write(&dockerfile, DOCKERFILE)?;
    let docker = docker_with_buildkit();
    let timings = interleaved(
        ROUNDS,
        vec![
            Contestant::new("packlight build, nothing changed", || {
                time(
                    &mut ground
                        .packlight("rebuild", &["--quiet", "build", APP, "--path", &app.to_string_lossy()]),
                )
            }),
            Contestant::new("docker build (BuildKit), nothing changed", || {
                let mut build = Command::new(docker);
                build.args(["build", "--quiet", "--tag", "bench-peer", "--file"]).arg(&dockerfile).arg(&app);
                time(build.env("DOCKER_BUILDKIT", "1"))
            }),
        ],
    )?;
    timings.iter().for_each(|it| println!("{it}"));
    println!("   {:.2} of BuildKit's time", timings[0].times(&timings[1]));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a program")]
fn changed(ground: &Ground) -> Result<()> {
    ground.build(WARM, "changed")?;
    let app = ground.app("changed")?;
    to_engine(ground, &app)?;
    let one_layer = one_layer(ground, &app)?;
    let mut count = 0;
    let mut change = || -> Result<()> {
        count += 1;
        let file = app.join("my-app.py");
        let old = fs::read_to_string(&file)?;
        let kept = old.lines().filter(|line| !line.starts_with("# change ")).collect::<Vec<_>>().join("\n");
        Ok(fs::write(file, format!("{kept}\n# change {count}\n"))?)
    };
    let change = std::cell::RefCell::new(&mut change);
    let timings = interleaved(
        ROUNDS,
        vec![
            Contestant::new("packlight build, one line changed", || {
                (change.borrow_mut())()?;
                time(
                    &mut ground
                        .packlight("changed", &["--quiet", "build", APP, "--path", &app.to_string_lossy()]),
                )
            }),
            Contestant::new("the same, and to the Docker engine", || {
                (change.borrow_mut())()?;
                to_engine(ground, &app)
            }),
            Contestant::new("docker load of a layer like that", || {
                output(Command::new("docker").args(["image", "rm", "--force", "bench-one-layer"]))?;
                time(Command::new("docker").args(["load", "--quiet", "--input"]).arg(&one_layer))
            }),
        ],
    )?;
    timings.iter().for_each(|it| println!("{it}"));
    println!(
        "   the hand-over costs {:.1} ms, {:.2} times the bare load",
        timings[1].more_than(&timings[0]),
        timings[1].more_than(&timings[0]) / (timings[2].median().as_secs_f64() * 1e3)
    );
    Ok(())
}

/// A build whose image goes to the engine that the caller runs.
fn to_engine(ground: &Ground, app: &Path) -> Result<Duration> {
    let engine =
        std::env::var("DOCKER_HOST").map_err(|_| "DOCKER_HOST names no engine; see tools/with-docker.sh")?;
    let path = app.to_string_lossy();
    let mut build = ground.packlight(WARM, &["--quiet", "build", APP, "--path", &path, "--output", "docker"]);
    time(build.env("DOCKER_HOST", engine))
}

/// An archive of an image whose one layer is the app.
fn one_layer(ground: &Ground, app: &Path) -> Result<std::path::PathBuf> {
    let (tar, archive) = (ground.room.join("app.tar"), ground.room.join("one-layer.tar"));
    output(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(app).arg("."))?;
    output(Command::new("docker").arg("import").arg(&tar).arg("bench-one-layer"))?;
    output(Command::new("docker").args(["save", "bench-one-layer", "--output"]).arg(&archive))?;
    Ok(archive)
}

/// Debian's client has BuildKit built in; later ones need a plugin for it.
fn docker_with_buildkit() -> &'static str {
    if Path::new("/usr/bin/docker").exists() { "/usr/bin/docker" } else { "docker" }
}
