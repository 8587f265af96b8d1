//! `BP_*` and `BPE_*` variables, as Paketo made them known: variables and labels of the image, and a word on each that
//! has no meaning here.
//!
//! They are not of one language, so each language's buildpack asks here.
//! <https://github.com/paketo-buildpacks/environment-variables>, <https://github.com/paketo-buildpacks/image-labels>

use crate::digest::Digest;
use crate::layer::{self, Decision, EnvOperator, EnvScope};
use crate::{Build, Context, Failure, Label, LayerTypes, UserError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Labels of the OCI's own names: the variable, and what stands behind `org.opencontainers.image.`.
const OCI_LABELS: &[(&str, &str)] = &[
    ("BP_OCI_AUTHORS", "authors"),
    ("BP_OCI_CREATED", "created"),
    ("BP_OCI_DESCRIPTION", "description"),
    ("BP_OCI_DOCUMENTATION", "documentation"),
    ("BP_OCI_LICENSES", "licenses"),
    ("BP_OCI_REF_NAME", "ref.name"),
    ("BP_OCI_REVISION", "revision"),
    ("BP_OCI_SOURCE", "source"),
    ("BP_OCI_TITLE", "title"),
    ("BP_OCI_URL", "url"),
    ("BP_OCI_VENDOR", "vendor"),
    ("BP_OCI_VERSION", "version"),
];
/// Any labels: `name=value`, separated by blanks.
const LABELS: &str = "BP_IMAGE_LABELS";

/// Variables that have no meaning in any buildpack of ours, and what to use instead.
const REFUSED: &[(&str, &str)] = &[
    ("BP_ARCH", "images are for the machine that --platform names"),
    ("BP_DATADOG_ENABLED", "agents are chosen with --agent"),
    ("BP_DEBUG", "`packlight build --verbose` says more"),
    ("BP_DEPENDENCY_MIRROR", "mirrors are settings of pip, uv and Packlight's own"),
    ("BP_DEPENDENCY_MIRROR_HOST", "mirrors are settings of pip, uv and Packlight's own"),
    ("BP_DISABLE_SBOM", "bills of materials are always written"),
    ("BP_EMBED_CERTS", "keep the certificates with the app, and name them with BPE_SSL_CERT_FILE"),
    ("BP_ENABLE_RUNTIME_CERT_BINDING", "name certificates with SSL_CERT_FILE when the app starts"),
    ("BP_EXCLUDE_FILES", "use `exclude` in project.toml"),
    ("BP_INCLUDE_FILES", "use `include` in project.toml"),
    ("BP_KEEP_FILES", "use `include` in project.toml"),
    ("BP_LIVE_RELOAD_ENABLED", "there is no live reload yet"),
    ("BP_LOG_LEVEL", "`packlight build --verbose` says more"),
    ("BP_RUNTIME_CERT_BINDING_DISABLED", "no certificate is bound when the app starts"),
];
/// What asks for what happens anyway, and so needs no answer.
const NO_WISH: &[&str] = &["", "false", "info", "INFO"];

/// The layer with the image's variables, and what begins a variable's name.
const LAYER: &str = "environment";
const PREFIX: &str = "BPE_";
const CACHED: LayerTypes = LayerTypes { build: false, launch: true, cache: true };

/// The type of a binding of certificates that Paketo's buildpacks add to those of the build image and of the app.
const CERTIFICATES: &str = "ca-certificates";

/// Says which `BP_*` variables are set and have no effect: those that `refused` or this page names, with what to use
/// instead, and those that nobody knows; and which bindings. `obeyed` are the calling buildpack's own.
pub fn tell(build: &Build, obeyed: &[&str], refused: &[(&str, &str)]) {
    for (name, value) in variables(build, "BP_") {
        let name = &*name;
        let ours = obeyed.contains(&name) || name == LABELS || OCI_LABELS.iter().any(|it| it.0 == name);
        if ours || NO_WISH.contains(&&*value) {
            continue;
        }
        let known = REFUSED.iter().chain(refused).find(|it| it.0 == name);
        let why = known.map_or_else(|| format!("{} does not know it", build.about.id), |it| it.1.to_owned());
        build.log.warning(format_args!("{name} has no effect: {why}"));
    }
    for binding in build.bindings.iter().filter(|it| it.kind.eq_ignore_ascii_case(CERTIFICATES)) {
        build.log.warning(format_args!(
            "the binding `{}` of type {CERTIFICATES} has no effect: name a file of certificates with SSL_CERT_FILE, for \
             the build by -e and for the app when it starts",
            binding.name
        ));
    }
}

/// The labels that variables ask for.
///
/// # Errors
/// When they cannot be understood.
pub fn labels(context: &Context) -> Result<Vec<Label>, Failure> {
    let mut all: BTreeMap<String, String> = OCI_LABELS
        .iter()
        .filter_map(|(name, key)| {
            Some((format!("org.opencontainers.image.{key}"), context.var(name)?.to_owned()))
        })
        .collect();
    for word in words(context.var(LABELS).unwrap_or_default()).ok_or_else(open_quote)? {
        let (key, value) =
            word.split_once('=').filter(|it| !it.0.is_empty()).ok_or_else(|| no_label(&word))?;
        all.insert(key.to_owned(), value.to_owned());
    }
    Ok(all.into_iter().map(|(key, value)| Label { key, value }).collect())
}

/// What the image's variables were made of.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    digest: String,
}

/// Puts the variables that `BPE_*` ask for into a layer, with which the app starts.
///
/// # Errors
/// When one has no name, or the layer cannot be written.
pub fn environment(build: &Build) -> Result<(), Failure> {
    let wanted = variables(build, PREFIX);
    if wanted.is_empty() {
        return Ok(layer::clear(&build.layers, LAYER)?);
    }
    let mut digest = Digest::new();
    for (name, value) in &wanted {
        digest = digest.part("name", name.as_bytes()).part("value", value.as_bytes());
    }
    let made = Made { digest: digest.hex() };
    let layer = build.layer(LAYER, CACHED, |old: &Made| match *old == made {
        true => Decision::Keep,
        false => Decision::Recreate("other variables are asked for".to_owned()),
    })?;
    for (variable, value) in &wanted {
        let (operator, name) = operation(variable.strip_prefix(PREFIX).unwrap_or_default());
        if name.is_empty() || name.contains('=') {
            return Err(nameless(variable).into());
        }
        if layer.is_empty() {
            layer.set_env(EnvScope::Launch, (name, operator), value)?;
        }
    }
    let operations = wanted.keys().map(|it| operation(&it[PREFIX.len()..]));
    let names: Vec<&str> = operations.filter(|it| it.0 != EnvOperator::Delimiter).map(|it| it.1).collect();
    build.log.step(format_args!("variables of the image: {}", names.join(", ")));
    layer.finish(&made)
}

fn operation(name: &str) -> (EnvOperator, &str) {
    const OPERATIONS: &[(&str, EnvOperator)] = &[
        ("APPEND_", EnvOperator::Append),
        ("DEFAULT_", EnvOperator::Default),
        ("DELIM_", EnvOperator::Delimiter),
        ("OVERRIDE_", EnvOperator::Override),
        ("PREPEND_", EnvOperator::Prepend),
    ];
    let found = OPERATIONS.iter().find_map(|(prefix, it)| Some((*it, name.strip_prefix(prefix)?)));
    found.unwrap_or((EnvOperator::Override, name))
}

/// The variables whose names begin so; what is no text is told apart by nobody, so it counts as it is shown.
fn variables(context: &Context, prefix: &str) -> BTreeMap<String, String> {
    let text = context.env.iter().map(|(name, value)| (name.to_string_lossy(), value.to_string_lossy()));
    let found = text.filter(|it| it.0.starts_with(prefix));
    found.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// Words between blanks; quotes keep blanks in a word. `None`: a quote has no end.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in text.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

fn open_quote() -> UserError {
    UserError::new(format!("{LABELS} has a quote without an end"), "")
        .cure("Close it:\n\n  BP_IMAGE_LABELS='team=core \"contact=the core team\"'")
}

fn no_label(word: &str) -> UserError {
    UserError::new(format!("{LABELS}: `{word}` is no label"), "Labels are separated by blanks.")
        .cure("Write each as NAME=VALUE, in quotes where it has blanks:\n\n  BP_IMAGE_LABELS='team=core \"contact=the core team\"'")
}

fn nameless(variable: &str) -> UserError {
    UserError::new(
        format!("{variable} names no variable"),
        "What stands behind BPE_, or behind BPE_APPEND_, BPE_DEFAULT_, BPE_DELIM_, BPE_OVERRIDE_ or BPE_PREPEND_, is the name of the image's variable.",
    )
    .cure("Give it one:\n\n  BPE_LANG=C.UTF-8\n  BPE_APPEND_PYTHONPATH=lib BPE_DELIM_PYTHONPATH=:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Binding, Log};
    use fs_err as fs;

    fn build(dir: &std::path::Path, env: &[(&str, &str)]) -> (Build, crate::log::Memory) {
        let (log, memory) = Log::memory();
        let context = Context {
            app: dir.to_owned(),
            platform: dir.to_owned(),
            buildpack_dir: dir.to_owned(),
            about: cnb::buildpack_toml::About { id: "packlight/test".to_owned(), ..Default::default() },
            metadata: toml::Table::new(),
            target: Default::default(),
            env: env.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            bindings: Vec::new(),
            log,
        };
        let (plan, store) = (Default::default(), toml::Table::new());
        (Build { context, layers: dir.to_owned(), plan, store }, memory)
    }

    #[test]
    fn labels_have_the_ocis_names_or_any() {
        let dir = tempfile::tempdir().unwrap();
        let all = [("BP_OCI_REF_NAME", "main"), (LABELS, "a=1 \"b.c=two words\" d='x y'=z")];
        let labels = labels(&build(dir.path(), &all).0).unwrap();
        let pairs: Vec<_> = labels.iter().map(|it| (it.key.as_str(), it.value.as_str())).collect();
        assert_eq!(
            pairs,
            [("a", "1"), ("b.c", "two words"), ("d", "x y=z"), ("org.opencontainers.image.ref.name", "main")]
        );
        let wrong = |text| super::labels(&build(dir.path(), &[(LABELS, text)]).0).unwrap_err().to_string();
        assert!(wrong("a=1 b").contains("`b` is no label"));
        assert!(wrong("=b").contains("`=b` is no label"));
        assert!(wrong("a='1").contains("a quote without an end"));
    }

    #[test]
    fn variables_of_the_image_are_files_of_a_layer_that_goes_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = [
            ("BPE_LANG", "C"),
            ("BPE_APPEND_PATHS", "/x"),
            ("BPE_DELIM_PATHS", ":"),
            ("BPE_DEFAULT_PORT", "80"),
            ("BPE_PREPEND_A", "b"),
            ("BPE_OVERRIDE_EMPTY", ""),
        ];
        let (wish, memory) = build(dir.path(), &wanted);
        environment(&wish).unwrap();
        assert!(
            memory.text().contains("variables of the image: PATHS, PORT, LANG, EMPTY, A"),
            "{}",
            memory.text()
        );
        for (file, value) in [
            ("LANG.override", "C"),
            ("PATHS.append", "/x"),
            ("PATHS.delim", ":"),
            ("PORT.default", "80"),
            ("A.prepend", "b"),
            ("EMPTY.override", ""),
        ] {
            assert_eq!(
                fs::read_to_string(dir.path().join("environment/env.launch").join(file)).unwrap(),
                value
            );
        }
        // Without a wish the layer is gone.
        environment(&build(dir.path(), &[]).0).unwrap();
        assert!(!dir.path().join("environment").exists());
        assert!(!dir.path().join("environment.toml").exists());
        let nameless = environment(&build(dir.path(), &[("BPE_APPEND_", "x")]).0).unwrap_err();
        assert!(nameless.to_string().contains("BPE_APPEND_ names no variable"), "{nameless}");
    }

    #[test]
    fn what_has_no_effect_is_told_with_what_to_use_instead() {
        let dir = tempfile::tempdir().unwrap();
        let all = [
            ("BP_EMBED_CERTS", "true"),
            ("BP_LIVE_RELOAD_ENABLED", "false"),
            ("BP_MINE", "1"),
            ("BP_THEIRS", "1"),
            ("BP_NOBODYS", "1"),
            ("BP_OCI_TITLE", "x"),
        ];
        let (mut build, memory) = build(dir.path(), &all);
        for kind in ["ca-certificates", "postgresql"] {
            let (name, kind) = (format!("a-{kind}"), kind.to_owned());
            build.context.bindings.push(Binding { name, kind, provider: None, dir: dir.path().to_owned() });
        }
        tell(&build, &["BP_MINE"], &[("BP_THEIRS", "use another")]);
        let said = memory.text();
        for words in [
            "BP_EMBED_CERTS has no effect: keep the certificates with the app",
            "BP_THEIRS has no effect: use another",
            "BP_NOBODYS has no effect: packlight/test does not know it",
            "the binding `a-ca-certificates` of type ca-certificates has no effect: name a file",
        ] {
            assert!(said.contains(words), "{said}");
        }
        for not in ["BP_MINE", "BP_OCI", "BP_LIVE", "postgresql"] {
            assert!(!said.contains(not), "{said}");
        }
    }
}
