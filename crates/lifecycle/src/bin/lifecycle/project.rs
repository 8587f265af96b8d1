//! What the platform says of the project, of the time, and of the launcher.

use crate::exit::{Code, Failure, OrFail as _};
use crate::{Site, files};
use lifecycle::Dirs;
use lifecycle::beneath::Beneath;
use serde_json::{Map, Value};
use std::path::Path;

/// The value of `io.buildpacks.project.metadata`.
pub(crate) fn metadata(site: &Site) -> Result<Value, Failure> {
    let table: toml::Table = files::read(site, &site.inputs.path("project-metadata"))?.unwrap_or_default();
    let mut json = Map::new();
    if let Some(toml::Value::Table(source)) = table.get("source") {
        let known = source.iter().filter(|(key, _)| matches!(key.as_str(), "type" | "version" | "metadata"));
        json.insert("source".to_owned(), known.map(|(key, value)| (key.clone(), to_json(value))).collect());
    }
    Ok(Value::Object(json))
}

fn to_json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(it) => it.as_str().into(),
        toml::Value::Integer(it) => (*it).into(),
        toml::Value::Float(it) => (*it).into(),
        toml::Value::Boolean(it) => (*it).into(),
        toml::Value::Datetime(it) => it.to_string().into(),
        toml::Value::Array(it) => it.iter().map(to_json).collect(),
        toml::Value::Table(it) => it.iter().map(|(key, it)| (key.clone(), to_json(it))).collect(),
    }
}

/// `SOURCE_DATE_EPOCH` in RFC 3339.
pub(crate) fn created(site: &Site) -> Option<String> {
    let said = std::env::var("SOURCE_DATE_EPOCH").ok().filter(|it| !it.is_empty())?;
    if !site.features.source_date_epoch {
        return None;
    }
    match said.parse::<i64>() {
        Ok(seconds) => Some(rfc3339(seconds)),
        Err(_) => {
            site.log.warning(&format!("SOURCE_DATE_EPOCH={said} is no number of seconds and is not used"));
            None
        }
    }
}

/// Days since 1970 as a date, by <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn rfc3339(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The bills of materials of the lifecycle and of the launcher that goes into the image, where the platform has them:
/// `<component>.sbom.<ext>` in the lifecycle's own directory, and anything with such an ending in a directory that the
/// platform names for the launcher.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#outputs-4>
pub(crate) fn copy_own_bills(site: &Site, dirs: &Dirs) -> Result<(), Failure> {
    if !site.features.launcher_sbom {
        return Ok(());
    }
    let named = site.inputs.is_given("launcher-sbom");
    copy_bills(Path::new(OWN_BILLS), Some("lifecycle"), dirs, &["build", "buildpacksio_lifecycle"])?;
    let to = ["launch", "buildpacksio_lifecycle", "launcher"];
    copy_bills(&site.inputs.path("launcher-sbom"), (!named).then_some("launcher"), dirs, &to)
}

/// Where a lifecycle lies in a builder.
const OWN_BILLS: &str = "/cnb/lifecycle";

/// Copies the bills of materials of a component, or all that are there, to a place beneath the layers' `sbom`.
fn copy_bills(from: &Path, of: Option<&str>, dirs: &Dirs, to: &[&str]) -> Result<(), Failure> {
    let Ok(entries) = fs_err::read_dir(from) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(bill) = bill_name(&name, of) else { continue };
        let contents = fs_err::read(entry.path()).or_fail(Code::Export)?;
        let mut dir = Beneath::open(&dirs.layers).or_fail(Code::Export)?;
        for part in std::iter::once(&"sbom").chain(to) {
            dir = dir.make_dir(part, None).or_fail(Code::Export)?;
        }
        dir.write(bill, &contents, None).or_fail(Code::Export)?;
    }
    Ok(())
}

/// What a bill of materials is called where it is copied to; `None`: the file is none, or another component's.
fn bill_name(file: &str, of: Option<&str>) -> Option<&'static str> {
    let known = ["sbom.cdx.json", "sbom.spdx.json", "sbom.syft.json"];
    known.into_iter().find(|ending| match (file.strip_suffix(*ending), of) {
        (Some(before), Some(component)) => before.strip_suffix('.') == Some(component),
        (Some(before), None) => before.is_empty() || before.ends_with('.'),
        (None, _) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lifecycle::Dir;

    #[test]
    fn seconds_become_dates() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (315_532_801, "1980-01-01T00:00:01Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), date);
        }
    }

    #[test]
    fn bills_of_materials_are_those_of_their_component_and_keep_their_format() {
        let own = [
            ("lifecycle.sbom.cdx.json", Some("sbom.cdx.json")),
            ("lifecycle.sbom.syft.json", Some("sbom.syft.json")),
            ("launcher.sbom.cdx.json", None),
            ("sbom.cdx.json", None),
            ("lifecycle", None),
        ];
        for (file, name) in own {
            assert_eq!(bill_name(file, Some("lifecycle")), name, "{file}");
        }
        for (file, name) in [
            ("sbom.spdx.json", Some("sbom.spdx.json")),
            ("launcher.sbom.cdx.json", Some("sbom.cdx.json")),
            ("nosbom.cdx.json", None),
            ("sbom.json", None),
        ] {
            assert_eq!(bill_name(file, None), name, "{file}");
        }

        let room = tempfile::tempdir().unwrap();
        let (from, layers) = (room.path().join("lifecycle"), room.path().join("layers"));
        fs_err::create_dir_all(&from).unwrap();
        fs_err::create_dir_all(&layers).unwrap();
        fs_err::write(from.join("lifecycle.sbom.cdx.json"), "{}").unwrap();
        fs_err::write(from.join("launcher.sbom.cdx.json"), "another").unwrap();
        let nowhere = || Dir::same("/nowhere");
        let dirs = Dirs {
            app: nowhere(),
            layers: Dir::same(&layers),
            platform: nowhere(),
            build_config: None,
            work: nowhere(),
            owner: None,
        };
        copy_bills(&from, Some("lifecycle"), &dirs, &["build", "buildpacksio_lifecycle"]).unwrap();
        let bill = layers.join("sbom/build/buildpacksio_lifecycle/sbom.cdx.json");
        assert_eq!(fs_err::read_to_string(bill).unwrap(), "{}");
        assert!(!layers.join("sbom/launch").exists());
    }

    #[test]
    fn a_date_in_toml_is_a_text_in_json() {
        let table: toml::Value = toml::from_str("a = 2024-05-01\nb = [1, {c = true}]\n").unwrap();
        assert_eq!(to_json(&table), serde_json::json!({"a": "2024-05-01", "b": [1, {"c": true}]}));
    }
}
