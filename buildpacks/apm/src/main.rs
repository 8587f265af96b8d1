//! bin/detect and bin/build of packlight/apm.

use buildpack::Program;

fn main() -> std::process::ExitCode {
    buildpack::run(&Program { detect: buildpack_apm::build::detect, build: buildpack_apm::build::build })
}
