//! `package-buildpack FOLDER DIRECTORY`: writes the buildpack in FOLDER as a `.cnb` file in DIRECTORY, and says where.
//! It is a step of `make dist` and part of no release; what a package is, is `platform::package`.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

#[expect(clippy::print_stderr, clippy::print_stdout, reason = "a program")]
fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder, directory] = arguments.as_slice() else {
        eprintln!("usage: package-buildpack FOLDER DIRECTORY");
        return ExitCode::FAILURE;
    };
    match platform::package::write(folder, directory) {
        Ok(file) => {
            println!("{}", file.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("package-buildpack: {error}");
            ExitCode::FAILURE
        }
    }
}
