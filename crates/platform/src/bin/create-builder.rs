//! `create-builder LIFECYCLE ORDER RUN_IMAGE DIRECTORY`: composes a base of Debian packages and writes two OCI layouts to
//! DIRECTORY: `builder/`, a builder image with the lifecycle in the folder LIFECYCLE, the payload's buildpacks and the
//! order in the file ORDER; and `run/`, the run image, which the builder will look for under the name RUN_IMAGE.
//! It is a step of `make dist` and part of no release; what a builder is made of, is `platform::builder::create`.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use platform::base::{self, BaseError, Wanted};
use platform::builder::create::{Parts, create};
use platform::event::Event;
use platform::world::World;
use platform::{ImageName, error};

/// Where images are from that nobody has pushed yet.
const REGISTRY: &str = "localhost";

fn main() -> ExitCode {
    // The base's own programs finish it in a sandbox, whose runner is this same program.
    platform::serve_if_asked();
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [lifecycle, order, run_image, into] = arguments.as_slice() else {
        say("usage: create-builder LIFECYCLE ORDER RUN_IMAGE DIRECTORY");
        return ExitCode::FAILURE;
    };
    match make(lifecycle, order, &run_image.to_string_lossy(), into) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("create-builder: {}", error::chain(error.as_ref())));
            if let Some(BaseError::Archive(_) | BaseError::Fetch(_)) = error.downcast_ref() {
                say(
                    "create-builder: a builder needs packages of Debian's: is there a network? PACKLIGHT_DEBIAN_MIRROR names another mirror",
                );
            }
            ExitCode::FAILURE
        }
    }
}

fn make(lifecycle: &Path, order: &Path, run_image: &str, into: &Path) -> Result<(), Box<dyn Error>> {
    let world = World::open(env::vars_os().collect(), None)?;
    let run_name = ImageName::parse(run_image, world.settings.registry())?;
    let text = fs_err::read_to_string(order)?;
    let order: cnb::order::Order = cnb::parse(&order.display().to_string(), &text)?;
    let events = |event: Event| {
        if let Event::Notice { text } | Event::Warning { text } = event {
            say(&text);
        }
    };
    let base = base::obtain(&world, &Wanted::core(), None, &events)?;
    let buildpacks = folders(&world.payload_dir.join("buildpacks"))?;
    let parts = Parts { base: &base, lifecycle, buildpacks: &buildpacks, order: &order.order, run_image };
    let created = create(&world.store, &parts)?;
    let builder_name = ImageName::parse(&format!("packlight/builder:{}", base.lock.release), REGISTRY)?;
    for (image, name, folder) in
        [(&created.run, &run_name, "run"), (&created.builder, &builder_name, "builder")]
    {
        oci::layout::write(&world.store, image, name, &into.join(folder))?;
        say(&format!("{folder}: {}", image.digest()));
    }
    Ok(())
}

/// `<id>/<version>` of each buildpack, sorted.
fn folders(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for id in fs_err::read_dir(root)? {
        for version in fs_err::read_dir(id?.path())? {
            found.push(version?.path());
        }
    }
    found.sort();
    Ok(found)
}

#[expect(clippy::print_stderr, reason = "a program")]
fn say(line: &str) {
    eprintln!("{line}");
}
