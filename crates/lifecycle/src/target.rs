//! Whether a buildpack runs on what the app will run on, and how it is told what that is.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#targets>

use cnb::analyzed::TargetData;
use cnb::buildpack_toml::{Distro, Target};
use cnb::env::Environment;

/// `Err` says what the buildpack wants and what there is.
pub(crate) fn fits(targets: &[Target], target: &TargetData) -> Result<(), String> {
    // a composite or an extension without targets and programs says nothing about them
    if targets.is_empty() || targets.iter().any(|it| matches(it, target)) {
        return Ok(());
    }
    let wanted: Vec<String> = targets.iter().map(describe).collect();
    let there = Target {
        os: target.os.clone(),
        arch: target.arch.clone(),
        variant: target.arch_variant.clone(),
        distros: target.distro.iter().cloned().collect(),
    };
    Err(format!("runs on {}, and this image is {}", wanted.join(" or "), describe(&there)))
}

fn matches(wanted: &Target, target: &TargetData) -> bool {
    // what either side leaves open matches anything
    let same = |a: &str, b: &str| a.is_empty() || b.is_empty() || a == b;
    let distro = match &target.distro {
        Some(there) if !wanted.distros.is_empty() => {
            wanted.distros.iter().any(|it| same(&it.name, &there.name) && same(&it.version, &there.version))
        }
        _ => true,
    };
    same(&wanted.os, &target.os)
        && same(&wanted.arch, &target.arch)
        && same(&wanted.variant, &target.arch_variant)
        && distro
}

fn describe(target: &Target) -> String {
    let or_any = |text: &str| if text.is_empty() { "any".to_owned() } else { text.to_owned() };
    let mut text = format!("{}/{}", or_any(&target.os), or_any(&target.arch));
    if !target.variant.is_empty() {
        text = format!("{text}/{}", target.variant);
    }
    let distros: Vec<String> = target.distros.iter().map(distro).collect();
    if distros.is_empty() { text } else { format!("{text} ({})", distros.join(", ")) }
}

fn distro(it: &Distro) -> String {
    format!("{} {}", it.name, it.version).trim_end().to_owned()
}

/// `CNB_TARGET_*`.
pub(crate) fn variables(env: &mut Environment, target: &TargetData) {
    let distro = target.distro.clone().unwrap_or_default();
    for (name, value) in [
        ("CNB_TARGET_OS", &target.os),
        ("CNB_TARGET_ARCH", &target.arch),
        ("CNB_TARGET_ARCH_VARIANT", &target.arch_variant),
        ("CNB_TARGET_DISTRO_NAME", &distro.name),
        ("CNB_TARGET_DISTRO_VERSION", &distro.version),
    ] {
        if !value.is_empty() {
            env.insert(name.into(), value.into());
        }
    }
}
