//! `builder`: every buildpack of the group, in turn.

use crate::detector::{self, Work};
use crate::exit::{Code, Failure, OrFail as _, fail};
use crate::runner::Plain;
use crate::{Site, analyzer, files, privileges, tell};
use cnb::analyzed::Analyzed;
use cnb::env::Environment;
use cnb::group::GroupToml;
use cnb::plan::Plan;
use lifecycle::{BuildError, BuildRequest, Built};

pub(crate) fn run(site: &Site) -> Result<(), Failure> {
    if !site.inputs.arguments.is_empty() {
        return Err(fail(Code::Arguments, "builder takes no arguments"));
    }
    privileges::refuse_root()?;
    let group: GroupToml = files::need(site, &site.inputs.path("group"), "detector")?;
    let plan: Plan = files::need(site, &site.inputs.path("plan"), "detector")?;
    let analyzed: Analyzed = files::read(site, &site.inputs.path("analyzed"))?.unwrap_or_default();
    build(site, &analyzed, (&group, &plan), &detector::environment())?;
    Ok(())
}

pub(crate) fn build(
    site: &Site,
    analyzed: &Analyzed,
    (group, plan): (&GroupToml, &Plan),
    env: &Environment,
) -> Result<Built, Failure> {
    known_apis(group)?;
    let work = Work::new()?;
    let target = detector::target(analyzed);
    let request = BuildRequest {
        dirs: &detector::dirs(site, &work),
        catalogue: &detector::catalogue(site)?,
        group,
        plan,
        target: Some(&target),
        exec_env: if site.features.exec_env { analyzer::exec_env(site) } else { "" },
        env,
        semantics: detector::semantics(site),
    };
    let built = lifecycle::build(&request, &Plain::new(&site.log), &tell::Events(&site.log));
    let built = built.map_err(failed)?;
    if !site.features.command_list {
        let text = built.metadata.print(site.features).or_fail(Code::Build)?;
        files::write_text(&site.inputs.path("layers").join("config/metadata.toml"), &text)?;
    }
    for name in &built.unmet {
        site.log.debug(&format!("no buildpack met the requirement `{name}`"));
    }
    Ok(built)
}

fn failed(error: BuildError) -> Failure {
    let code = match &error {
        BuildError::Failed { .. } => Code::BuildpackFailed,
        BuildError::Catalogue(
            lifecycle::CatalogueError::Api { .. } | lifecycle::CatalogueError::NotAnApi(_),
        ) => Code::BuildpackApi,
        _ => Code::Build,
    };
    Err::<(), _>(error).or_fail(code).err().unwrap_or_else(|| fail(code, "the build failed"))
}

/// A group may have been detected by another lifecycle, which spoke more.
pub(crate) fn known_apis(group: &GroupToml) -> Result<(), Failure> {
    match group.group.iter().find(|it| cnb::api::buildpack_features(it.api).is_none()) {
        None => Ok(()),
        Some(it) => {
            let text = format!("{} has Buildpack API {}, which is not spoken here", it.full_name(), it.api);
            Err(fail(Code::BuildpackApi, text))
        }
    }
}
