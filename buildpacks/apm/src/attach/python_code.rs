//! The agent's own Python code, carried in this program and written into the agent's layer.

use buildpack::Failure;
use buildpack::digest::Digest;
use fs_err as fs;
use std::path::Path;

macro_rules! code {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../python/", $name)))),*]
    };
}

/// Every file under `python/`, with its text.
pub const FILES: &[(&str, &str)] = code![
    "packlight_agent/__init__.py",
    "packlight_agent/convert.py",
    "packlight_agent/exits.py",
    "packlight_agent/imports.py",
    "packlight_agent/exposition.py",
    "packlight_agent/instrument.py",
    "packlight_agent/lazy.py",
    "packlight_agent/logs.py",
    "packlight_agent/metrics.py",
    "packlight_agent/older.py",
    "packlight_agent/otlp.py",
    "packlight_agent/prometheus.py",
    "packlight_agent/providers.py",
    "packlight_agent/say.py",
    "packlight_agent/sender.py",
    "packlight_agent/settings.py",
    "packlight_agent/spans.py",
    "packlight_agent/transport.py",
    "packlight_agent/vendors/__init__.py",
    "packlight_agent/vendors/datadog.py",
    "packlight_agent/vendors/elastic.py",
    "packlight_agent/vendors/newrelic.py",
    "packlight_agent/vendors/opentelemetry.py",
    "packlight_agent/vendors/sentry.py",
    "packlight_agent/zipkin.py",
    "packlight_start.py",
];

/// What is loaded by its place in front of PYTHONPATH, where the app's environment has no hook.
const SITE: (&str, &str) = ("sitecustomize.py", include_str!("../../python/path/sitecustomize.py"));

/// Writes that file into `dir`, and nothing else: what lies beside it would shadow the app's packages.
///
/// # Errors
/// When it cannot be written.
pub fn write_path(dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir)?;
    Ok(fs::write(dir.join(SITE.0), SITE.1)?)
}

/// A digest of the code.
#[must_use]
pub fn digest() -> String {
    FILES
        .iter()
        .chain([&SITE])
        .fold(Digest::new(), |digest, (name, text)| digest.part(name, text.as_bytes()))
        .hex()
}

/// Writes the code under `dir`, which is part of a layer that is being made.
///
/// # Errors
/// When a file cannot be written.
pub fn write(dir: &Path) -> Result<(), Failure> {
    for (name, text) in FILES {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap_or(dir))?;
        fs::write(&path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendor_has_the_module_that_starts_its_agent() {
        for vendor in crate::vendors::VENDORS.iter().filter(|it| it.python.is_some()) {
            let name = format!("packlight_agent/vendors/{}.py", vendor.id);
            assert!(FILES.iter().any(|it| it.0 == name), "{name}");
        }
    }

    #[test]
    fn every_file_of_the_folder_is_carried() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
        let mut found = vec!["packlight_start.py".to_owned()];
        for dir in ["packlight_agent", "packlight_agent/vendors"] {
            for entry in fs::read_dir(root.join(dir)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if Path::new(&name).extension().is_some_and(|it| it == "py") {
                    found.push(format!("{dir}/{name}"));
                }
            }
        }
        found.sort();
        let mut carried: Vec<&str> = FILES.iter().map(|it| it.0).collect();
        carried.sort_unstable();
        assert_eq!(found, carried);
    }
}
