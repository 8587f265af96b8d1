//! `packlight inspect`.

use super::Here;
use crate::cli::Format;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render::{bytes, quoted};
use clap::Args;
use platform::images::Source;
use platform::inspect::{self, App, Builder, Inspected, Process};

/// Show what an image or a builder says of itself, without fetching a layer
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
      packlight inspect my-app
  An image of a registry, for a script.
      packlight inspect registry.example.com/team/my-app --format json | jq .app.buildpacks
  A builder.
      packlight inspect heroku/builder:24")]
pub(crate) struct Arguments {
    /// The image: a name (of the store, else of its registry), docker:NAME, oci:DIR, oci-archive:FILE or
    /// docker-archive:FILE
    image: String,

    /// The same as `--format`, as pack calls it
    #[arg(long, short, value_enum, value_name = "FORMAT", conflicts_with = "format")]
    pub(crate) output: Option<Format>,
}

pub(super) fn run(here: &Here<'_>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let source = Source::parse(&arguments.image, &here.default_registry()?)?;
    let world = here.world()?;
    let found = inspect::inspect(&world, &source).map_err(|error| match &source {
        Source::Registry(name) if !matches!(world.store.image(name), Ok(Some(_))) => {
            Failure::from(error).not_in_store()
        }
        _ => error.into(),
    })?;
    here.screen.result("inspected", &found, |_| text(&found), &found.digest);
    Ok(ExitCode::OK)
}

fn text(found: &Inspected) -> String {
    let mut lines = vec![
        format!("{}  (from the {})", found.name, found.found_in),
        format!("  digest      {}", found.digest),
        format!("  platform    {}", found.platform),
        format!("  size        {}, compressed", bytes(found.size)),
    ];
    match (&found.app, &found.builder) {
        (None, None) => lines.push("  no buildpacks made it, and it is no builder".to_owned()),
        (app, builder) => {
            lines.extend(app.iter().flat_map(app_lines));
            lines.extend(builder.iter().flat_map(builder_lines));
        }
    }
    lines.join("\n") + "\n"
}

fn app_lines(app: &App) -> Vec<String> {
    let named = app.run_image.clone();
    let named = named.unwrap_or_else(|| "without a name: it can be rebased by another build only".to_owned());
    let mut lines = vec![
        format!("  run image   {named}"),
        format!("              {}", app.run_image_reference),
        format!("  rebasable   {}", if app.rebasable { "yes" } else { "no" }),
    ];
    lines.extend(listed("buildpacks", app.buildpacks.iter().map(|it| format!("{}@{}", it.id, it.version))));
    lines.extend(listed("processes", app.processes.iter().map(process)));
    lines
}

fn process(process: &Process) -> String {
    let command = match &process.command {
        serde_json::Value::Array(words) => {
            quoted(&words.iter().filter_map(|it| it.as_str()).collect::<Vec<_>>())
        }
        // A line for a shell, as images of old have it.
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    format!("{}  {}", process.kind, [command, quoted(&process.args)].join(" ")).trim_end().to_owned()
}

fn builder_lines(builder: &Builder) -> Vec<String> {
    let mut lines = listed("run images", builder.run_images.iter().cloned());
    lines.push(format!("  lifecycle   {} (Packlight's own takes its place)", builder.lifecycle));
    lines.extend(listed(
        "buildpacks",
        builder.buildpacks.iter().map(|it| format!("{}@{}", it.id, it.version)),
    ));
    for (number, group) in builder.order.order.iter().enumerate() {
        let members = group.group.iter().map(|it| {
            let version = if it.version.is_empty() { String::new() } else { format!("@{}", it.version) };
            format!("{}{version}{}", it.id, if it.optional { " (optional)" } else { "" })
        });
        lines.extend(listed(&format!("group {}", number + 1), members));
    }
    lines
}

/// A heading with its items below one another.
fn listed(heading: &str, items: impl Iterator<Item = String>) -> Vec<String> {
    let heading = |at: usize| if at == 0 { heading } else { "" };
    items.enumerate().map(|(at, it)| format!("  {:<11} {it}", heading(at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_told_in_lines() {
        let app = App {
            run_image: None,
            run_image_reference: "sha256:aa".into(),
            rebasable: true,
            buildpacks: serde_json::from_str(r#"[{"id":"a/b","version":"1"},{"id":"c"}]"#).unwrap(),
            processes: serde_json::from_str(
                r#"[{"type":"web","command":["sh","-c"],"args":["x"]},{"type":"old","command":"run it"}]"#,
            )
            .unwrap(),
        };
        let found = Inspected {
            name: "my-app:latest".into(),
            digest: "sha256:dd".into(),
            found_in: "store",
            platform: "linux/amd64".into(),
            size: 1_500_000,
            app: Some(app),
            builder: None,
        };
        assert_eq!(
            text(&found),
            "my-app:latest  (from the store)
  digest      sha256:dd
  platform    linux/amd64
  size        1.5 MB, compressed
  run image   without a name: it can be rebased by another build only
              sha256:aa
  rebasable   yes
  buildpacks  a/b@1
              c@
  processes   web  sh -c x
              old  run it
"
        );
    }
}
