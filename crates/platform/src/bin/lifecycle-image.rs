//! `lifecycle-image FOLDER FILE`: writes the lifecycle in FOLDER (`lifecycle.toml` and `lifecycle/`) as an image, in an
//! OCI archive. It is a step of `make dist` and part of no release; what the image is, is `platform::builder`.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "a program")]
fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder, file] = arguments.as_slice() else {
        eprintln!("usage: lifecycle-image FOLDER FILE");
        return ExitCode::FAILURE;
    };
    match platform::builder::lifecycle::write_image(folder, file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lifecycle-image: {}", platform::error::chain(&error));
            ExitCode::FAILURE
        }
    }
}
