//! Wrong lifecycles, by name: each changes one rule. A case proves itself by failing on one of them.
//!
//! A mutant is the real code with a wrong rule put in front of it, so production code knows of none.

use cnb::env::Environment;
use cnb::order::{Group, Order};
use lifecycle::{Candidate, EnvFiles, ExitStatus, Resolution, Semantics, Unresolved, Verdict, resolve};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// One wrong lifecycle.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// Its name.
    pub name: &'static str,
    /// Its rules.
    pub semantics: Semantics,
    /// What it makes of the order that it is given.
    pub order: fn(&mut Order),
}

const REAL: Semantics = Semantics::SPECIFICATION;

/// The real resolution of plans that were changed before.
macro_rules! plans {
    ($name:literal, |$all:ident| $change:expr) => {
        resolving($name, |given| {
            let mut changed = given.to_vec();
            let $all: &mut [Candidate] = &mut changed;
            $change;
            resolve(&changed)
        })
    };
}

/// The real operators on files that were given other names before.
macro_rules! files {
    ($name:literal, |$file:ident| $renamed:expr) => {
        env($name, |env, files| {
            let mut renamed = EnvFiles::new();
            for (file, contents) in files {
                let $file: &OsStr = file;
                renamed.insert($renamed, contents.clone());
            }
            (REAL.apply_env)(env, &renamed);
        })
    };
}

/// The lifecycle as it is.
pub const NONE: Mutant = Mutant { name: "", semantics: REAL, order: |_| () };

/// All of them.
pub const ALL: &[Mutant] = &[
    order("optional-is-required", |it| {
        each(it, |group| group.group.iter_mut().for_each(|m| m.optional = false));
    }),
    order("required-is-optional", |it| {
        each(it, |group| group.group.iter_mut().for_each(|m| m.optional = true));
    }),
    order("last-group-first", |it| it.order.reverse()),
    order("only-the-first-group", |it| it.order.truncate(1)),
    order("groups-are-run-backwards", |it| each(it, |group| group.group.reverse())),
    order("extensions-ignored", |it| it.order_extensions.clear()),
    composite("composite-has-one-group", |groups| groups.iter().take(1).cloned().collect()),
    composite("composite-is-reversed", |groups| groups.iter().rev().cloned().collect()),
    verdict("100-is-an-error", |status| match status {
        ExitStatus::Code(100) => Verdict::Error("it said 100".to_owned()),
        other => (REAL.verdict)(other),
    }),
    verdict("errors-are-failures", |status| match status {
        ExitStatus::Code(0) => Verdict::Pass,
        _ => Verdict::Fail,
    }),
    verdict("100-passes", |status| match status {
        ExitStatus::Code(100) => Verdict::Pass,
        other => (REAL.verdict)(other),
    }),
    plans!("or-is-ignored", |all| all.iter_mut().for_each(|it| it.plan.or.clear())),
    plans!("or-comes-first", |all| {
        for it in all {
            if let Some(last) = it.plan.or.last_mut() {
                std::mem::swap(&mut it.plan.first, last);
            }
        }
    }),
    plans!("nothing-is-dropped", |all| all.iter_mut().for_each(|it| it.optional = false)),
    plans!("unused-provides-pass", |all| {
        let required: Vec<String> = all.iter().flat_map(requires).collect();
        for it in all {
            it.plan.first.provides.retain(|provide| required.contains(&provide.name));
        }
    }),
    plans!("own-provides-do-not-count", |all| {
        for at in 0..all.len() {
            let others: Vec<String> =
                all.iter().enumerate().filter(|(i, _)| *i != at).flat_map(|(_, it)| requires(it)).collect();
            all[at].plan.first.provides.retain(|provide| others.contains(&provide.name));
        }
    }),
    plans!("unmet-requires-pass", |all| {
        let provided: Vec<String> = all.iter().flat_map(provides).collect();
        for it in all {
            it.plan.first.requires.retain(|require| provided.contains(&require.name));
        }
    }),
    plans!("providers-may-come-later", |all| {
        let later: Vec<cnb::plan::Provide> =
            all.iter().flat_map(|it| it.plan.first.provides.clone()).collect();
        if let Some(first) = all.first_mut() {
            first.plan.first.provides.extend(later);
        }
        for it in all.iter_mut().skip(1) {
            it.plan.first.provides.clear();
        }
    }),
    files!("append-is-override", |file| swap(file, "append", "override")),
    files!("append-is-prepend", |file| swap(file, "append", "prepend")),
    files!("prepend-is-append", |file| swap(file, "prepend", "append")),
    files!("prepend-is-override", |file| swap(file, "prepend", "override")),
    files!("override-is-default", |file| swap(file, "override", "default")),
    files!("default-is-override", |file| swap(file, "default", "override")),
    files!("delimiter-is-ignored", |file| swap(file, "delim", "ignored")),
    files!("no-suffix-is-prepend", |file| if has_dot(file) {
        file.to_owned()
    } else {
        with(file, ".prepend")
    }),
    files!("no-suffix-is-default", |file| if has_dot(file) {
        file.to_owned()
    } else {
        with(file, ".default")
    }),
    files!("an-unknown-suffix-overrides", |file| match file.to_string_lossy().split_once('.') {
        Some((name, suffix)) if !["append", "prepend", "override", "default", "delim"].contains(&suffix) => {
            name.into()
        }
        _ => file.to_owned(),
    }),
    env("contents-are-trimmed", |env, files| {
        let trim = |(name, value): (&OsString, &Vec<u8>)| (name.clone(), value.trim_ascii_end().to_vec());
        (REAL.apply_env)(env, &files.iter().map(trim).collect());
    }),
    env("the-delimiter-is-a-colon", |env, files| {
        let mut files = files.clone();
        for name in files.keys().cloned().collect::<Vec<_>>() {
            let name = name.as_bytes().split(|it| *it == b'.').next().unwrap_or_default();
            files.entry(with(OsStr::from_bytes(name), ".delim")).or_insert_with(|| b":".to_vec());
        }
        (REAL.apply_env)(env, &files);
    }),
    env("contents-are-expanded", |env, files| {
        let home =
            |value: &Vec<u8>| String::from_utf8_lossy(value).replace("$HOME", "/expanded").into_bytes();
        (REAL.apply_env)(env, &files.iter().map(|(name, value)| (name.clone(), home(value))).collect());
    }),
    env("environment-files-are-ignored", |_, _| ()),
];

/// The mutant of this name.
#[must_use]
pub fn find(name: &str) -> Option<Mutant> {
    if name.is_empty() { Some(NONE) } else { ALL.iter().find(|it| it.name == name).copied() }
}

const fn order(name: &'static str, order: fn(&mut Order)) -> Mutant {
    Mutant { name, semantics: REAL, order }
}

const fn composite(name: &'static str, composite: fn(&[Group]) -> Vec<Group>) -> Mutant {
    Mutant { name, semantics: Semantics { composite, ..REAL }, order: |_| () }
}

const fn verdict(name: &'static str, verdict: fn(ExitStatus) -> Verdict) -> Mutant {
    Mutant { name, semantics: Semantics { verdict, ..REAL }, order: |_| () }
}

const fn env(name: &'static str, apply_env: fn(&mut Environment, &EnvFiles)) -> Mutant {
    Mutant { name, semantics: Semantics { apply_env, ..REAL }, order: |_| () }
}

const fn resolving(
    name: &'static str,
    resolve: fn(&[Candidate]) -> Result<Resolution, Unresolved>,
) -> Mutant {
    Mutant { name, semantics: Semantics { resolve, ..REAL }, order: |_| () }
}

fn each(order: &mut Order, change: fn(&mut Group)) {
    order.order.iter_mut().for_each(change);
}

fn requires(it: &Candidate) -> Vec<String> {
    it.plan.first.requires.iter().map(|it| it.name.clone()).collect()
}

fn provides(it: &Candidate) -> Vec<String> {
    it.plan.first.provides.iter().map(|it| it.name.clone()).collect()
}

fn has_dot(file: &OsStr) -> bool {
    file.as_bytes().contains(&b'.')
}

fn with(file: &OsStr, suffix: &str) -> OsString {
    let mut file = file.to_owned();
    file.push(suffix);
    file
}

fn swap(file: &OsStr, from: &str, to: &str) -> OsString {
    match file.to_string_lossy().strip_suffix(from) {
        Some(name) if name.ends_with('.') => format!("{name}{to}").into(),
        _ => file.to_owned(),
    }
}
