//! All that a platform can say: one table of flags, with their variables and defaults, and which program takes each in
//! which Platform API. The command line goes before the environment, that before the default.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#usage>

use crate::arguments::{self, Kind, Parsed};
use crate::exit::Failure;
use Program::{Analyzer, Builder, Creator, Detector, Exporter, Extender, Rebaser, Restorer};
use cnb::api::PlatformFeatures;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A program of `/cnb/lifecycle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Analyzer,
    Detector,
    Restorer,
    Extender,
    Builder,
    Exporter,
    Creator,
    Rebaser,
}

/// Programs with their names and the phases that they are.
const PROGRAMS: &[(Program, &str, &str)] = &[
    (Analyzer, "analyzer", "analyze"),
    (Detector, "detector", "detect"),
    (Restorer, "restorer", "restore"),
    (Extender, "extender", "extend"),
    (Builder, "builder", "build"),
    (Exporter, "exporter", "export"),
    (Creator, "creator", "create"),
    (Rebaser, "rebaser", "rebase"),
];

impl Program {
    pub(crate) fn called(name: &str) -> Option<Self> {
        PROGRAMS.iter().find(|(_, it, _)| *it == name).map(|(program, ..)| *program)
    }

    pub(crate) fn of_phase(phase: &str) -> Option<Self> {
        PROGRAMS.iter().find(|(.., it)| *it == phase).map(|(program, ..)| *program)
    }

    pub(crate) fn phases() -> String {
        PROGRAMS.iter().map(|(.., it)| *it).collect::<Vec<_>>().join(", ")
    }
}

struct Flag {
    name: &'static str,
    kind: Kind,
    /// Empty: none.
    variable: &'static str,
    default: &'static str,
    takes: fn(Program, &PlatformFeatures) -> bool,
}

const fn text(
    name: &'static str,
    variable: &'static str,
    default: &'static str,
    takes: fn(Program, &PlatformFeatures) -> bool,
) -> Flag {
    Flag { name, kind: Kind::Text, variable, default, takes }
}

const fn other(
    kind: Kind,
    name: &'static str,
    variable: &'static str,
    takes: fn(Program, &PlatformFeatures) -> bool,
) -> Flag {
    Flag { name, kind, variable, default: "", takes }
}

/// In a default, the layers directory.
const LAYERS: &str = "<layers>";
/// Where the order is when the layers directory has none.
const BUILDERS_ORDER: &str = "/cnb/order.toml";

const FLAGS: &[Flag] = &[
    text("analyzed", "CNB_ANALYZED_PATH", "<layers>/analyzed.toml", |p, f| match p {
        Analyzer | Restorer | Extender | Exporter => true,
        Detector => f.extensions,
        Builder => f.targets,
        Creator | Rebaser => false,
    }),
    text("app", "CNB_APP_DIR", "/workspace", |p, _| in_the_app(p) || p == Exporter),
    text("build-config", "CNB_BUILD_CONFIG_DIR", "/cnb/build-config", |p, f| {
        f.build_config && matches!(p, Detector | Builder | Creator)
    }),
    text("build-image", "CNB_BUILD_IMAGE", "", |p, f| f.extensions && p == Restorer),
    text("buildpacks", "CNB_BUILDPACKS_DIR", "/cnb/buildpacks", |p, _| in_the_app(p)),
    text("cache-dir", "CNB_CACHE_DIR", "", |p, _| matches!(p, Restorer | Exporter | Creator)),
    text("cache-image", "CNB_CACHE_IMAGE", "", |p, _| matches!(p, Analyzer | Restorer | Exporter | Creator)),
    other(Kind::Switch, "daemon", "CNB_USE_DAEMON", |p, f| match p {
        Analyzer | Exporter | Creator | Rebaser => true,
        Restorer => f.run_image_extension,
        Detector | Builder | Extender => false,
    }),
    text("exec-env", "CNB_EXEC_ENV", "production", |_, _| false),
    text("extended", "CNB_EXTENDED_DIR", "<layers>/extended", |p, f| {
        f.run_image_extension && matches!(p, Exporter | Extender)
    }),
    text("extensions", "CNB_EXTENSIONS_DIR", "/cnb/extensions", |p, f| f.extensions && p == Detector),
    other(Kind::Switch, "force", "CNB_FORCE_REBASE", |p, f| f.forced_rebase && p == Rebaser),
    text("generated", "CNB_GENERATED_DIR", "<layers>/generated", |p, f| match p {
        Detector => f.extensions,
        Restorer => f.run_image_extension,
        Extender => true,
        _ => false,
    }),
    other(Kind::Number, "gid", "CNB_GROUP_ID", |p, _| may_be_privileged(p)),
    text("group", "CNB_GROUP_PATH", "<layers>/group.toml", |p, _| {
        matches!(p, Detector | Restorer | Extender | Builder | Exporter)
    }),
    // what -run-image was called once
    text("image", "", "", |p, _| matches!(p, Exporter | Rebaser)),
    other(Kind::List, "insecure-registry", "CNB_INSECURE_REGISTRIES", |p, f| {
        f.insecure_registries && may_be_privileged(p) && p != Extender
    }),
    text("kaniko-cache-ttl", "CNB_KANIKO_CACHE_TTL", "336h", |p, _| p == Extender),
    text("kind", "CNB_EXTEND_KIND", "build", |p, f| f.run_image_extension && p == Extender),
    text("launch-cache", "CNB_LAUNCH_CACHE_DIR", "", |p, f| match p {
        Analyzer => f.analysis_may_skip_layers,
        Exporter | Creator => true,
        _ => false,
    }),
    text("launcher", "", "/cnb/lifecycle/launcher", |p, _| makes_images(p)),
    text("launcher-sbom", "", "/cnb/lifecycle", |p, f| f.launcher_sbom && makes_images(p)),
    text("layers", "CNB_LAYERS_DIR", "/layers", |p, _| p != Rebaser),
    other(Kind::Switch, "layout", "CNB_USE_LAYOUT", |p, f| f.layout && uses_layouts(p)),
    text("layout-dir", "CNB_LAYOUT_DIR", "", |p, f| f.layout && uses_layouts(p)),
    text("log-level", "CNB_LOG_LEVEL", "info", |_, _| true),
    other(Kind::Switch, "no-color", "CNB_NO_COLOR", |_, _| true),
    text("order", "CNB_ORDER_PATH", "<layers>/order.toml", |p, _| matches!(p, Detector | Creator)),
    other(Kind::Switch, "parallel", "CNB_PARALLEL_EXPORT", |p, _| makes_images(p)),
    text("plan", "CNB_PLAN_PATH", "<layers>/plan.toml", |p, _| matches!(p, Detector | Builder | Extender)),
    text("platform", "CNB_PLATFORM_DIR", "/platform", |p, _| in_the_app(p)),
    text("previous-image", "CNB_PREVIOUS_IMAGE", "", |p, f| match p {
        Analyzer | Creator => true,
        Rebaser => f.rebase_to_another_name,
        _ => false,
    }),
    text("process-type", "CNB_PROCESS_TYPE", "", |p, _| makes_images(p)),
    text("project-metadata", "CNB_PROJECT_METADATA_PATH", "<layers>/project-metadata.toml", |p, _| {
        makes_images(p)
    }),
    text("report", "CNB_REPORT_PATH", "<layers>/report.toml", |p, _| makes_images(p) || p == Rebaser),
    text("run", "CNB_RUN_PATH", "/cnb/run.toml", |p, f| match p {
        Analyzer | Detector | Exporter | Creator => f.targets,
        Restorer => f.run_file_at_restore,
        _ => false,
    }),
    text("run-image", "CNB_RUN_IMAGE", "", |p, _| matches!(p, Analyzer | Exporter | Creator | Rebaser)),
    other(Kind::Switch, "skip-layers", "CNB_SKIP_LAYERS", |p, f| match p {
        Analyzer => f.analysis_may_skip_layers,
        Restorer => true,
        _ => false,
    }),
    other(Kind::Switch, "skip-restore", "CNB_SKIP_RESTORE", |p, _| p == Creator),
    text("stack", "CNB_STACK_PATH", "/cnb/stack.toml", |p, f| match p {
        Creator => true,
        Analyzer | Exporter => !f.targets,
        _ => false,
    }),
    text("system", "CNB_SYSTEM_PATH", "/cnb/system.toml", |p, f| {
        f.system_buildpacks && matches!(p, Detector | Creator)
    }),
    other(Kind::List, "tag", "", |p, _| matches!(p, Analyzer | Creator)),
    other(Kind::Number, "uid", "CNB_USER_ID", |p, _| may_be_privileged(p)),
];

fn in_the_app(program: Program) -> bool {
    matches!(program, Detector | Extender | Builder | Creator)
}

fn may_be_privileged(program: Program) -> bool {
    !matches!(program, Detector | Builder)
}

fn makes_images(program: Program) -> bool {
    matches!(program, Exporter | Creator)
}

fn uses_layouts(program: Program) -> bool {
    matches!(program, Analyzer | Restorer | Exporter | Creator)
}

/// What a platform said to one program.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    values: BTreeMap<&'static str, Vec<String>>,
    /// Flags that stood on the command line.
    given: Vec<&'static str>,
    /// What follows the flags.
    pub(crate) arguments: Vec<String>,
}

impl Inputs {
    pub(crate) fn read(
        program: Program,
        features: PlatformFeatures,
        args: Vec<String>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let taken = |name: &str| FLAGS.iter().find(|it| it.name == name && (it.takes)(program, &features));
        let Parsed { flags, rest } = arguments::parse(args, |name| taken(name).map(|it| it.kind))?;
        let mut inputs = Self { arguments: rest, ..Self::default() };
        for flag in FLAGS {
            let values = match (env(flag.variable), flag.kind) {
                (Some(value), Kind::List) => value.split(',').map(str::to_owned).collect(),
                (Some(value), _) => vec![value],
                (None, _) if flag.default.is_empty() => Vec::new(),
                (None, _) => vec![flag.default.to_owned()],
            };
            inputs.values.insert(flag.name, values);
        }
        for (name, value) in flags {
            let Some(flag) = taken(&name) else { continue };
            let values = inputs.values.entry(flag.name).or_default();
            // The command line goes before the environment as a whole.
            if flag.kind != Kind::List || !inputs.given.contains(&flag.name) {
                values.clear();
            }
            // Tekton's tasks write `-tag=` where a user wants no further name.
            if flag.kind != Kind::List || !value.is_empty() {
                values.push(value);
            }
            inputs.given.push(flag.name);
        }
        inputs.place_in_layers();
        Ok(inputs)
    }

    fn place_in_layers(&mut self) {
        if self.text("layers").is_empty() {
            // Its task `buildpacks-phases` writes `-layers=`, which is where the image starts its programs.
            self.values.insert("layers", vec![".".to_owned()]);
        }
        let layers = self.text("layers").to_owned();
        for values in self.values.values_mut() {
            for value in values {
                if value.starts_with(LAYERS) {
                    *value = value.replacen(LAYERS, &layers, 1);
                }
            }
        }
        if !self.is_given("order") && !self.path("order").exists() {
            let builders = vec![BUILDERS_ORDER.to_owned()];
            if self.text("order") == format!("{layers}/order.toml") {
                self.values.insert("order", builders);
            }
        }
    }

    /// Empty when nobody said anything and there is no default.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.values.get(name).and_then(|it| it.last()).map_or("", String::as_str)
    }

    /// `None` when it is empty.
    pub(crate) fn some(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|it| !it.is_empty())
    }

    pub(crate) fn switch(&self, name: &str) -> bool {
        arguments::switch(self.text(name)).unwrap_or(false)
    }

    pub(crate) fn number(&self, name: &str) -> u32 {
        self.text(name).parse().unwrap_or(0)
    }

    pub(crate) fn list(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// Absolute, as paths go into images and to buildpacks.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let text = self.text(name);
        std::path::absolute(text).unwrap_or_else(|_| PathBuf::from(text))
    }

    /// `None` when nobody said where.
    pub(crate) fn some_path(&self, name: &str) -> Option<PathBuf> {
        self.some(name).map(|_| self.path(name))
    }

    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.given.contains(&name)
    }

    /// Layers of the last build are left aside.
    pub(crate) fn skips_layers(&self) -> bool {
        // The two variables count for every program, as in the reference.
        self.switch("skip-layers") || self.switch("skip-restore")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Code;

    fn read(program: Program, api: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Inputs, Failure> {
        let features = cnb::api::platform_features(api.parse().unwrap()).unwrap();
        let args = args.iter().map(|it| (*it).to_owned()).collect();
        let env: BTreeMap<_, _> = env.iter().copied().collect();
        Inputs::read(program, features, args, &|name| env.get(name).map(|it| (*it).to_owned()))
    }

    #[test]
    fn the_command_line_goes_before_the_environment_and_that_before_the_default() {
        let env = [("CNB_LAYERS_DIR", "/from-env"), ("CNB_USE_DAEMON", "true"), ("CNB_USER_ID", "7")];
        let inputs = read(Analyzer, "0.12", &["-layers", "/from-args", "x"], &env).unwrap();
        assert_eq!(inputs.text("layers"), "/from-args");
        assert_eq!(inputs.text("analyzed"), "/from-args/analyzed.toml");
        assert!(inputs.switch("daemon"));
        assert_eq!((inputs.number("uid"), inputs.number("gid")), (7, 0));
        assert_eq!(inputs.text("run"), "/cnb/run.toml");
        let env = [("CNB_INSECURE_REGISTRIES", "a,b")];
        assert_eq!(read(Analyzer, "0.13", &[], &env).unwrap().list("insecure-registry"), ["a", "b"]);
        let args = ["-insecure-registry", "c", "-insecure-registry", "d"];
        assert_eq!(read(Analyzer, "0.13", &args, &env).unwrap().list("insecure-registry"), ["c", "d"]);
    }

    #[test]
    fn an_empty_name_is_none_and_an_empty_directory_of_layers_is_where_the_program_starts() {
        let inputs = read(Analyzer, "0.13", &["-tag=", "-tag=a", "-insecure-registry=", "x"], &[]).unwrap();
        assert_eq!(inputs.list("tag"), ["a"]);
        assert!(inputs.list("insecure-registry").is_empty());
        let inputs = read(Restorer, "0.13", &["-layers="], &[]).unwrap();
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            (inputs.path("layers"), inputs.path("analyzed")),
            (here.clone(), here.join("analyzed.toml"))
        );
    }

    #[test]
    fn a_flag_is_known_from_the_platform_api_on_that_brought_it() {
        for (program, flag, first, last) in [
            (Analyzer, "-skip-layers", "0.9", "0.15"),
            (Analyzer, "-stack=x", "0.7", "0.11"),
            (Analyzer, "-run=x", "0.12", "0.15"),
            (Detector, "-analyzed=x", "0.10", "0.15"),
            (Detector, "-build-config=x", "0.11", "0.15"),
            (Detector, "-system=x", "0.15", "0.15"),
            (Restorer, "-daemon", "0.12", "0.15"),
            (Restorer, "-run=x", "0.14", "0.15"),
            (Exporter, "-layout", "0.12", "0.15"),
            (Exporter, "-insecure-registry=x", "0.13", "0.15"),
            (Creator, "-stack=x", "0.7", "0.15"),
            (Rebaser, "-force", "0.12", "0.15"),
            (Builder, "-analyzed=x", "0.12", "0.15"),
        ] {
            let known: Vec<String> = cnb::api::platform_apis()
                .map(|it| it.to_string())
                .filter(|it| read(program, it, &[flag], &[]).is_ok())
                .collect();
            let ends = (known.first().map(String::as_str), known.last().map(String::as_str));
            assert_eq!(ends, (Some(first), Some(last)), "{program:?} {flag}");
        }
        assert_eq!(read(Builder, "0.15", &["-daemon"], &[]).unwrap_err().code, Code::Usage);
    }
}
