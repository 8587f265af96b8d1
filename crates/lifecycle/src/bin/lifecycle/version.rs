//! What this lifecycle says of itself.

use cnb::api::{self, ApiVersion};

/// Platforms compare a lifecycle's version with the reference's to know what it can, so ours begins with the one whose
/// Platform API it has; as a pre-release it is no tag of the reference's image either.
pub(crate) const VERSION: &str = concat!("0.21.0-packlight.", env!("CARGO_PKG_VERSION"));

/// `lifecycle.toml`, which platforms look for beside the programs
/// (<https://github.com/buildpacks/rfcs/blob/main/text/0011-lifecycle-descriptor.md>).
pub(crate) fn descriptor() -> String {
    let list = |all: &[ApiVersion]| {
        let all: Vec<String> = all.iter().map(|it| format!("\"{it}\"")).collect();
        format!("[{}]", all.join(", "))
    };
    let buildpack: Vec<ApiVersion> = api::buildpack_apis().collect();
    let platform: Vec<ApiVersion> = api::platform_apis().collect();
    let first = |all: &[ApiVersion]| all.first().map(ToString::to_string).unwrap_or_default();
    format!(
        "[apis]\n[apis.buildpack]\ndeprecated = []\nsupported = {}\n[apis.platform]\ndeprecated = []\nsupported = {}\n\n\
         [api]\nplatform = \"{}\"\nbuildpack = \"{}\"\n\n[lifecycle]\nversion = \"{VERSION}\"\nsbom-formats = []\n",
        list(&buildpack),
        list(&platform),
        first(&platform),
        first(&buildpack),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptor_lists_every_api() {
        let table: toml::Table = toml::from_str(&descriptor()).unwrap();
        let supported = |kind: &str| table["apis"][kind]["supported"].as_array().unwrap().len();
        assert_eq!(supported("platform"), api::platform_apis().count());
        assert_eq!(supported("buildpack"), api::buildpack_apis().count());
        assert_eq!(table["lifecycle"]["version"].as_str(), Some(VERSION));
        assert_eq!(table["api"]["platform"].as_str(), Some("0.7"));
    }
}
