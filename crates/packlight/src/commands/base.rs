//! `packlight base`.

use super::Here;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render::{bytes, table};
use clap::{Args, Subcommand};
use platform::base::{self, Summary, Updated, Wanted};
use platform::lock::Lock;

/// The release whose base is locked when neither an app nor the user says another.
const NEWEST: &str = "trixie";

/// Look after the bases, which apps run on
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the bases of the store, and the images that stand on them
    Show {
        /// With every package and its version
        #[arg(long)]
        packages: bool,
    },
    /// Print a lock with today's packages of a base; nothing is built or kept
    #[command(after_help = "\
Examples:
  The packages that the base of an app would have today.
      packlight base lock my-app
  A base for nothing in particular, with a package more.
      packlight base lock --release bookworm --run libpq5")]
    Lock {
        /// An app that was built before: its wishes are taken
        #[arg(conflicts_with_all = ["release", "run", "build"])]
        name: Option<String>,
        /// Code name of the Debian release
        #[arg(long, default_value = NEWEST, value_name = "NAME")]
        release: String,
        /// A package that apps run on
        #[arg(long, value_name = "PACKAGE")]
        run: Vec<String>,
        /// A package that only builds have
        #[arg(long, value_name = "PACKAGE")]
        build: Vec<String>,
    },
    /// Push a base to a registry: images that are built on it from then on can be rebased there
    Push {
        /// The name that its run image gets, such as registry.example.com/base/python:3.13
        name: String,
        /// An image that stands on the base, where the store has several
        #[arg(long, value_name = "IMAGE")]
        of: Option<String>,
    },
    /// Compose the base of every app anew, of today's packages; the next build of each stands on it
    Update,
}

pub(super) fn run(here: &Here<'_>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    match &arguments.verb {
        Verb::Show { packages } => show(here, *packages),
        Verb::Lock { name: Some(name), .. } => lock(here, &wishes_of(here, name)?),
        Verb::Lock { name: None, release, run, build } => {
            lock(here, &Wanted { release: release.clone(), run: sorted(run), build: sorted(build) })
        }
        Verb::Push { name, of } => push(here, name, of.as_ref()),
        Verb::Update => update(here),
    }
}

fn push(here: &Here<'_>, name: &str, of: Option<&String>) -> Result<ExitCode, Failure> {
    let names = here.names(&[name.to_owned()])?;
    let of = here.names(of.map(std::slice::from_ref).unwrap_or_default())?;
    let Some(name) = names.first() else { return Err(Failure::usage("the base needs a name")) };
    let world = here.world()?;
    let pushed = base::push(&world, name, of.first(), &|event| here.screen.event(event))?;
    let digest = pushed.digest.to_string();
    let value = serde_json::json!({"name": name.short(), "digest": digest, "sent": pushed.sent});
    let text = format!(
        "{} is {digest}, {} sent; images built on it from now on say so, and `packlight rebase` finds it\n",
        name.short(),
        bytes(pushed.sent)
    );
    here.screen.result("pushed", &value, |_| text, &digest);
    Ok(ExitCode::OK)
}

fn show(here: &Here<'_>, packages: bool) -> Result<ExitCode, Failure> {
    let (store, _) = here.open_store()?;
    let bases = base::list(&store)?;
    let digests: Vec<&str> = bases.iter().map(|it| it.run_image.as_str()).collect();
    let value = serde_json::json!({"bases": bases});
    here.screen.result("bases", &value, |_| bases_text(&bases, packages), &digests.join("\n"));
    Ok(ExitCode::OK)
}

fn bases_text(bases: &[Summary], packages: bool) -> String {
    if bases.is_empty() {
        return "no bases yet; a build composes the one that its app needs\n".to_owned();
    }
    if packages {
        return bases
            .iter()
            .map(|it| format!("{}\n{}\n", it.run_image, package_rows(&it.packages)))
            .collect();
    }
    let mut rows = vec![["BASE", "RELEASE", "PACKAGES", "SIZE", "NAME", "IMAGES"].map(str::to_owned)];
    rows.extend(bases.iter().map(|it| {
        let digest = it.run_image.chars().take("sha256:".len() + 12).collect();
        let count = it.packages.len().to_string();
        let name = it.name.clone().unwrap_or_else(|| "-".to_owned());
        [digest, it.release.clone(), count, bytes(it.size), name, it.images.join(", ")]
    }));
    table(&rows)
}

fn package_rows(packages: &[(String, String)]) -> String {
    let rows: Vec<_> =
        packages.iter().map(|(name, version)| [format!("  {name}"), version.clone()]).collect();
    table(&rows)
}

/// What the last build of an app asked of its base.
fn wishes_of(here: &Here<'_>, name: &str) -> Result<Wanted, Failure> {
    let name = here.names(&[name.to_owned()])?.remove(0);
    let (store, _) = here.open_store()?;
    let file = store.app(&name)?.path().join("packlight.lock");
    let lock = Lock::load(&file)
        .map_err(|error| Failure::new(ExitCode::GENERAL, &platform::error::chain(&error)))?;
    let debian = lock.and_then(|it| it.debian).ok_or_else(|| {
        Failure::new(
            ExitCode::GENERAL,
            &format!("{} was not built yet, so nothing is known of its base", name.short()),
        )
        .hint("`packlight build` it, or name packages with --run and --build")
    })?;
    Ok(Wanted { release: debian.release, run: debian.wanted_run, build: debian.wanted_build })
}

fn lock(here: &Here<'_>, wanted: &Wanted) -> Result<ExitCode, Failure> {
    let world = here.world()?;
    let release = wanted.release().map_err(base::BaseError::from)?;
    let lock = base::resolve(&world, release, wanted, None, &|event| here.screen.event(event))?;
    let packages: Vec<_> = lock.run.iter().map(|it| serde_json::json!([it.name, it.version])).collect();
    let value = serde_json::json!({"release": lock.release, "packages": packages});
    let text = Lock { debian: Some(lock), parts: Default::default() }
        .print()
        .map_err(|error| Failure::new(ExitCode::GENERAL, &platform::error::chain(&error)))?;
    here.screen.result("base-lock", &value, |_| text.clone(), &text);
    Ok(ExitCode::OK)
}

fn update(here: &Here<'_>) -> Result<ExitCode, Failure> {
    let world = here.world()?;
    let updated = base::update(&world, &|event| here.screen.event(event))?;
    let text = updated_text(&updated);
    here.screen.result("bases-updated", &serde_json::json!({"apps": updated}), |_| text.clone(), &text);
    Ok(ExitCode::OK)
}

fn updated_text(updated: &[Updated]) -> String {
    let none = |it: &Option<String>| it.clone().unwrap_or_else(|| "-".to_owned());
    let mut text = String::new();
    for app in updated {
        match app.changes.len() {
            0 => text.push_str(&format!("{}: nothing new in {}\n", app.image, app.release)),
            count => {
                text.push_str(&format!("{}: {count} packages changed; build it to have them\n", app.image));
            }
        }
        let rows: Vec<_> = app
            .changes
            .iter()
            .map(|it| [format!("  {}", it.name), none(&it.from), "->".to_owned(), none(&it.to)])
            .collect();
        text.push_str(&table(&rows));
    }
    match text.is_empty() {
        true => "no app was built yet: there is no base to bring up to date\n".to_owned(),
        false => text,
    }
}

fn sorted(names: &[String]) -> Vec<String> {
    let names: std::collections::BTreeSet<_> = names.iter().cloned().collect();
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::base::Change;

    #[test]
    fn bases_are_a_table_or_their_packages() {
        let base = Summary {
            release: "trixie".into(),
            run_image: format!("sha256:{}", "a".repeat(64)),
            name: Some("registry.example.com/base:1".into()),
            size: 24_300_000,
            packages: vec![("libc6".into(), "2.41-12".into())],
            images: vec!["my-app:latest".into(), "other:1".into()],
        };
        let bases = [base];
        assert_eq!(
            bases_text(&bases, false),
            "BASE                 RELEASE  PACKAGES  SIZE     NAME                         IMAGES\n\
             sha256:aaaaaaaaaaaa  trixie   1         24.3 MB  registry.example.com/base:1  my-app:latest, other:1\n"
        );
        assert!(bases_text(&bases, true).ends_with("aaa\n  libc6  2.41-12\n\n"));
    }

    #[test]
    fn an_update_says_what_changed() {
        let change = |name: &str, from: Option<&str>, to: Option<&str>| Change {
            name: name.into(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        let app = |image: &str, changes| Updated { image: image.into(), release: "trixie".into(), changes };
        let text = updated_text(&[
            app("a:latest", vec![change("openssl", Some("3.0"), Some("3.1")), change("x", Some("1"), None)]),
            app("b:latest", vec![]),
        ]);
        assert_eq!(
            text,
            "a:latest: 2 packages changed; build it to have them\n  openssl  3.0  ->  3.1\n  x        1    ->  -\n\
             b:latest: nothing new in trixie\n"
        );
    }
}
