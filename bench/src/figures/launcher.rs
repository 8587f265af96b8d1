//! What the launcher adds to the start of a program, and how large it and the agent's `exec.d` program are.

use std::fs;
use std::process::Command;

use super::Figure;
use crate::Result;
use crate::ground::Ground;
use crate::stopwatch::{Contestant, interleaved, output, time};

pub(super) const FIGURE: Figure = Figure {
    name: "launcher",
    what: "time that the launcher adds to exec; size of it and of the exec.d program",
    aim: "under 1 ms; each under 1.6 MB, 0.8 MB compressed",
    measure,
};

#[expect(clippy::print_stdout, reason = "a program")]
fn measure(ground: &Ground) -> Result<()> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| ground.top.join("target"), Into::into);
    let payload = target.join("payload");
    let launcher = payload.join("launcher");
    let agent = output(Command::new("find").arg(&payload).args(["-name", "packlight-agent", "-type", "f"]))?;
    for program in [launcher.to_string_lossy().into_owned(), agent.trim().to_owned()] {
        let compressed = output(Command::new("bash").args(["-c", "gzip -6c \"$0\" | wc -c", &program]))?;
        let compressed: f64 = compressed.trim().parse()?;
        let size = fs::metadata(&program)?.len() as f64;
        let name = program.rsplit('/').next().unwrap_or_default();
        println!("   {name:<20} {:.2} MB, {:.2} MB compressed", size / 1e6, compressed / 1e6);
    }
    let layers = ground.room.join("layers");
    fs::create_dir_all(layers.join("config"))?;
    fs::write(layers.join("config/metadata.toml"), "buildpacks = []\nprocesses = []\n")?;
    let launch = || {
        let mut command = Command::new(&launcher);
        command.args(["--", "/bin/true"]).env("CNB_LAYERS_DIR", &layers).env("CNB_APP_DIR", &ground.room);
        command.env("CNB_PLATFORM_API", "0.12");
        command
    };
    let timings = interleaved(
        200,
        vec![
            Contestant::new("/bin/true", || time(&mut Command::new("/bin/true"))),
            Contestant::new("launcher -- /bin/true", || time(&mut launch())),
        ],
    )?;
    timings.iter().for_each(|it| println!("{it}"));
    println!("   added: {:.2} ms", timings[1].more_than(&timings[0]));
    Ok(())
}
