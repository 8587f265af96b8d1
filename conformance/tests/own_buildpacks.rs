//! What the text asks of who writes a buildpack, asked of the buildpacks and extensions that are written here.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};

/// Every descriptor in `buildpacks/`, with the table that it is about.
fn descriptors() -> Vec<(PathBuf, toml::Table, toml::Table)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("buildpacks");
    let mut found = Vec::new();
    for entry in fs_err::read_dir(dir).unwrap() {
        for (file, word) in [("buildpack.toml", "buildpack"), ("extension.toml", "extension")] {
            let path = entry.as_ref().unwrap().path().join(file);
            if path.exists() {
                let table: toml::Table = toml::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
                let about = table[word].as_table().unwrap().clone();
                found.push((path, table, about));
            }
        }
    }
    assert!(found.len() >= 5, "{found:?}");
    found
}

fn text<'a>(table: &'a toml::Table, key: &str) -> &'a str {
    table.get(key).and_then(toml::Value::as_str).unwrap_or_default()
}

/// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#buildpacktoml-toml>
#[test]
fn our_buildpacks_have_ids_and_versions_as_the_text_wants_them() {
    let mut ids = std::collections::BTreeSet::new();
    for (path, _, about) in descriptors() {
        let (id, version) = (text(&about, "id"), text(&about, "version"));
        assert!(id.starts_with("packlight/"), "{}: {id} may be somebody else's", path.display());
        assert!(ids.insert(id.to_lowercase()), "{}: {id} is there twice", path.display());
        let numbers: Vec<&str> = version.split('.').collect();
        let is_number = |it: &&str| it.parse::<u32>().is_ok_and(|number| number.to_string() == **it);
        assert!(numbers.len() == 3 && numbers.iter().all(is_number), "{}: {version}", path.display());
    }
}

/// Go's names of systems and machines, which are those of OCI image configurations.
#[test]
fn our_buildpacks_say_what_they_run_on_and_which_api_they_speak() {
    for (path, table, _) in descriptors() {
        let api: Vec<u32> = text(&table, "api").split('.').map(|it| it.parse().unwrap()).collect();
        assert_eq!(api, [0, 10], "{}", path.display());
        let targets = table.get("targets").and_then(toml::Value::as_array);
        let targets = targets.unwrap_or_else(|| panic!("{} names no target", path.display()));
        assert!(!targets.is_empty(), "{}", path.display());
        for target in targets {
            let target = target.as_table().unwrap();
            assert_eq!((text(target, "os"), text(target, "arch")), ("linux", "amd64"), "{}", path.display());
            assert!(!target.contains_key("variant"), "{}: amd64 has none", path.display());
        }
    }
}

/// Names that begin with `CNB_` belong to the specifications; `CNB_LIFECYCLE_DIR` is this suite's alone.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#provided-by-the-platform>
#[test]
fn no_variable_of_ours_has_a_name_that_belongs_to_the_specifications() {
    const KNOWN: &[&str] = &[
        "CNB_ANALYZED_PATH",
        "CNB_APP_DIR",
        "CNB_BP_PLAN_PATH",
        "CNB_BUILDPACKS_DIR",
        "CNB_BUILDPACK_DIR",
        "CNB_BUILD_CONFIG_DIR",
        "CNB_BUILD_IMAGE",
        "CNB_BUILD_PLAN_PATH",
        "CNB_CACHE_DIR",
        "CNB_CACHE_IMAGE",
        "CNB_DEPRECATION_MODE",
        "CNB_EXEC_ENV",
        "CNB_EXPERIMENTAL_MODE",
        "CNB_EXTENDED_DIR",
        "CNB_EXTEND_KIND",
        "CNB_EXTENSIONS_DIR",
        "CNB_EXTENSION_DIR",
        "CNB_FORCE_REBASE",
        "CNB_GENERATED_DIR",
        "CNB_GROUP_ID",
        "CNB_GROUP_PATH",
        "CNB_INSECURE_REGISTRIES",
        "CNB_KANIKO_CACHE_TTL",
        "CNB_LAUNCH_CACHE_DIR",
        "CNB_LAYERS_DIR",
        "CNB_LAYOUT_DIR",
        "CNB_LOG_LEVEL",
        "CNB_NO_COLOR",
        "CNB_ORDER_PATH",
        "CNB_OUTPUT_DIR",
        "CNB_PARALLEL_EXPORT",
        "CNB_PLAN_PATH",
        "CNB_PLATFORM_API",
        "CNB_PLATFORM_DIR",
        "CNB_PREVIOUS_IMAGE",
        "CNB_PROCESS_TYPE",
        "CNB_PROJECT_METADATA_PATH",
        "CNB_REGISTRY_AUTH",
        "CNB_REPORT_PATH",
        "CNB_RUN_IMAGE",
        "CNB_RUN_PATH",
        "CNB_SKIP_LAYERS",
        "CNB_SKIP_RESTORE",
        "CNB_STACK_ID",
        "CNB_STACK_PATH",
        "CNB_SYSTEM_PATH",
        "CNB_TARGET_ARCH",
        "CNB_TARGET_ARCH_VARIANT",
        "CNB_TARGET_DISTRO_NAME",
        "CNB_TARGET_DISTRO_VERSION",
        "CNB_TARGET_OS",
        "CNB_USER_ID",
        "CNB_USE_DAEMON",
        "CNB_USE_LAYOUT",
        // extensions/bindings.md
        "CNB_BINDINGS",
    ];
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut open = vec![top.join("crates"), top.join("buildpacks")];
    let mut wrong = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs_err::read_dir(&path).unwrap().map(|it| it.unwrap().path()));
        } else if path.extension().is_some_and(|it| it == "rs")
            && path.components().all(|it| it.as_os_str() != "tests")
        {
            let source = fs_err::read_to_string(&path).unwrap();
            for rest in source.split("\"CNB_").skip(1) {
                let name = rest.split(|it: char| !it.is_ascii_uppercase() && it != '_').next().unwrap();
                if !name.is_empty() && !KNOWN.contains(&format!("CNB_{name}").as_str()) {
                    wrong.push(format!("{}: CNB_{name}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
