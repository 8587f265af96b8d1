//! `detector`: which buildpacks build this app.

use crate::exit::{Code, Failure, OrFail as _, fail};
use crate::runner::{self, Plain};
use crate::{Site, analyzer, files, privileges, tell};
use cnb::analyzed::{Analyzed, TargetData};
use cnb::buildpack_toml::Distro;
use cnb::env::Environment;
use cnb::order::Order;
use cnb::system::SystemToml;
use lifecycle::{Catalogue, DetectError, DetectRequest, Detected, Dir, Dirs, Kind, Said, Semantics, Verdict};
use std::path::Path;

pub(crate) fn run(site: &Site) -> Result<(), Failure> {
    if !site.inputs.arguments.is_empty() {
        return Err(fail(Code::Arguments, "detector takes no arguments"));
    }
    privileges::refuse_root()?;
    let analyzed: Analyzed = files::read(site, &site.inputs.path("analyzed"))?.unwrap_or_default();
    let detected = detect(site, &analyzed, &environment())?;
    if let Some(extension) = detected.group.group_extensions.first() {
        let text = format!(
            "the image extension {} is wanted, and extending images is not there yet: choose buildpacks that need none",
            extension.full_name()
        );
        return Err(fail(Code::Generate, text));
    }
    Ok(())
}

/// This process's environment, of which buildpacks get what the specification lists.
pub(crate) fn environment() -> Environment {
    std::env::vars_os().collect()
}

pub(crate) fn semantics(site: &Site) -> Semantics {
    if site.features.targets { Semantics::SPECIFICATION } else { Semantics::WITHOUT_TARGETS }
}

pub(crate) fn detect(site: &Site, analyzed: &Analyzed, env: &Environment) -> Result<Detected, Failure> {
    let inputs = &site.inputs;
    let work = Work::new()?;
    let target = target(analyzed);
    let request = DetectRequest {
        dirs: &dirs(site, &work),
        catalogue: &catalogue(site)?,
        order: &order(site)?,
        target: Some(&target),
        exec_env: if site.features.exec_env { analyzer::exec_env(site) } else { "" },
        env,
        semantics: semantics(site),
    };
    let result = lifecycle::detect(&request, &Plain::new(&site.log), &tell::Events(&site.log));
    runner::end_strays();
    let detected = result.map_err(|error| nothing(site, error))?;
    tell_outputs(site, &detected.said, site.log.is_debug());
    let group = &detected.group;
    let all = group.group.iter().chain(&group.group_extensions);
    let width = all.clone().map(|it| it.id.len()).max().unwrap_or_default();
    for it in all {
        site.log.info(&format!("{:width$} {}", it.id, it.version));
    }
    files::write(&inputs.path("group"), &detected.group)?;
    files::write(&inputs.path("plan"), &detected.plan)?;
    Ok(detected)
}

/// What everybody printed: of those that failed for a reason of their own always, of the others when asked for.
fn tell_outputs(site: &Site, said: &[Said], all: bool) {
    for it in said {
        let reason = match &it.verdict {
            Verdict::Error(reason) | Verdict::NotForThis(reason) => Some(reason),
            Verdict::Pass | Verdict::Fail => None,
        };
        let is_error = matches!(it.verdict, Verdict::Error(_));
        if !(all || is_error) {
            continue;
        }
        let output = String::from_utf8_lossy(&it.output);
        if !output.trim().is_empty() {
            site.log.info(&format!("======== Output: {} ========\n{}", it.who, output.trim_end()));
        }
        if let Some(reason) = reason {
            site.log.info(&format!("======== Error: {} ========\n{reason}", it.who));
        }
    }
}

fn nothing(site: &Site, error: DetectError) -> Failure {
    let code = match &error {
        DetectError::NothingPassed { .. } if error.is_a_buildpacks_fault() => Code::DetectErrors,
        DetectError::NothingPassed { .. } => Code::NothingDetected,
        DetectError::Catalogue(
            lifecycle::CatalogueError::Api { .. } | lifecycle::CatalogueError::NotAnApi(_),
        ) => Code::BuildpackApi,
        _ => Code::Detect,
    };
    if let DetectError::NothingPassed { said, groups } = &error {
        tell_outputs(site, said, true);
        for it in said {
            let word = match &it.verdict {
                Verdict::Pass => "pass",
                Verdict::Fail => "fail",
                Verdict::Error(_) => "err",
                Verdict::NotForThis(_) => "skip",
            };
            site.log.info(&format!("{word}: {}", it.who));
        }
        for it in groups {
            site.log.info(&format!("group {}: {}", it.members.join(", "), it.reason));
        }
    }
    Err::<(), _>(error).or_fail(code).err().unwrap_or_else(|| fail(code, "nothing was detected"))
}

fn order(site: &Site) -> Result<Order, Failure> {
    let order: Order = files::need(site, &site.inputs.path("order"), "the builder")?;
    if !site.features.system_buildpacks {
        return Ok(order);
    }
    let system: SystemToml = files::read(site, &site.inputs.path("system"))?.unwrap_or_default();
    Ok(system.merge(order))
}

pub(crate) fn catalogue(site: &Site) -> Result<Catalogue, Failure> {
    let mut catalogue = Catalogue::new();
    for (kind, flag) in [(Kind::Buildpack, "buildpacks"), (Kind::Extension, "extensions")] {
        let dir = site.inputs.path(flag);
        if dir.exists() {
            catalogue.add_all(kind, &Dir::same(dir)).or_fail(Code::Failed)?;
        }
    }
    Ok(catalogue)
}

/// What the app will run on. What the run image does not say of its distribution is this room's.
pub(crate) fn target(analyzed: &Analyzed) -> TargetData {
    let said = analyzed.run_image.as_ref().and_then(|it| it.target.clone());
    let mut target = said.unwrap_or_default();
    if target.os.is_empty() {
        "linux".clone_into(&mut target.os);
    }
    if target.arch.is_empty() {
        target.arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }
        .to_owned();
    }
    if target.distro.is_none() {
        target.distro = distro(Path::new("/etc/os-release"));
    }
    target
}

fn distro(os_release: &Path) -> Option<Distro> {
    let text = fs_err::read_to_string(os_release).ok()?;
    let value = |name: &str| {
        let found = text.lines().find_map(|it| it.trim().strip_prefix(name)?.strip_prefix('='));
        found.map(|it| it.trim_matches(['"', '\'']).to_owned()).unwrap_or_default()
    };
    let distro = Distro { name: value("ID"), version: value("VERSION_ID") };
    (distro != Distro::default()).then_some(distro)
}

/// A directory for plans, gone when dropped.
pub(crate) struct Work(tempfile::TempDir);

impl Work {
    pub(crate) fn new() -> Result<Self, Failure> {
        tempfile::Builder::new().prefix("lifecycle.").tempdir().map(Self).or_fail(Code::Failed)
    }
}

pub(crate) fn dirs(site: &Site, work: &Work) -> Dirs {
    let at = |flag: &str| Dir::same(site.inputs.path(flag));
    Dirs {
        app: at("app"),
        layers: at("layers"),
        platform: at("platform"),
        build_config: site.features.build_config.then(|| at("build-config")),
        work: Dir::same(work.0.path()),
        owner: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_run_image_leaves_open_is_this_rooms() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("os-release");
        fs_err::write(&file, "NAME=\"Debian\"\nID=debian\nVERSION_ID=\"13\"\n").unwrap();
        assert_eq!(distro(&file), Some(Distro { name: "debian".into(), version: "13".into() }));
        fs_err::write(&file, "NAME=x\n").unwrap();
        assert_eq!(distro(&file), None);
        assert_eq!(target(&Analyzed::default()).os, "linux");
    }
}
