//! The specification's TOML files: what is read is written back the same.
#![no_main]

use std::fmt::Debug;

use cnb::{buildpack_toml, group, launch, layer, metadata, order, plan, report, run, system};
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};

fn check<T: DeserializeOwned + Serialize + PartialEq + Debug>(text: &str) {
    let Ok(value) = cnb::parse::<T>("a.toml", text) else { return };
    let printed = cnb::print(&value).expect("what was read can be written");
    let again: T = cnb::parse("a.toml", &printed).expect("what was written can be read");
    assert_eq!(cnb::print(&again).expect("it can be written again"), printed);
    // A value that is not a number equals nothing, itself included.
    #[expect(clippy::eq_op, reason = "that is the question")]
    if value == value {
        assert_eq!(again, value);
    }
}

fuzz_target!(|input: (u8, &str)| {
    let checks: &[fn(&str)] = &[
        check::<buildpack_toml::BuildpackToml>,
        check::<buildpack_toml::ExtensionToml>,
        check::<order::Order>,
        check::<plan::BuildPlan>,
        check::<plan::Plan>,
        check::<plan::BuildpackPlan>,
        check::<launch::LaunchToml>,
        check::<group::GroupToml>,
        check::<metadata::BuildMetadata>,
        check::<layer::LayerToml>,
        check::<layer::BuildToml>,
        check::<layer::StoreToml>,
        check::<report::Report>,
        check::<run::RunToml>,
        check::<run::StackToml>,
        check::<system::SystemToml>,
        check::<cnb::analyzed::Analyzed>,
    ];
    checks[usize::from(input.0) % checks.len()](input.1);
});
