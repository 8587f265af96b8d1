//! What a buildpack is handed, as values: directories, the user's environment, bindings, the target.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#buildpack-interface>

use crate::{Failure, Log};
use cnb::analyzed::TargetData;
use cnb::buildpack_toml::{About, BuildpackToml};
use cnb::env::Environment;
use fs_err as fs;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// What `detect` and `build` are both handed.
#[derive(Debug, Clone)]
pub struct Context {
    /// The app's source (`/workspace`).
    pub app: PathBuf,
    /// The platform directory (`/platform`).
    pub platform: PathBuf,
    /// The buildpack's own directory, where `buildpack.toml` is.
    pub buildpack_dir: PathBuf,
    /// Who this buildpack is.
    pub about: About,
    /// `[metadata]` of `buildpack.toml`.
    pub metadata: toml::Table,
    /// What the app image will run on.
    pub target: TargetData,
    /// The process's environment, with `<platform>/env` put over it.
    pub env: Environment,
    /// Service bindings that the platform hands to the build.
    pub bindings: Vec<Binding>,
    /// Where to tell the user.
    pub log: Log,
}

impl Context {
    /// The variable `name`, when it is there, not empty and UTF-8.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env.get(OsStr::new(name)).and_then(|it| it.to_str()).filter(|it| !it.is_empty())
    }

    /// The first binding of a type; types are compared without case, as the binding specification asks.
    #[must_use]
    pub fn binding(&self, kind: &str) -> Option<&Binding> {
        self.bindings.iter().find(|it| it.kind.eq_ignore_ascii_case(kind))
    }

    /// The contents of a file of the app; `None` when it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read_app(&self, name: impl AsRef<Path>) -> Result<Option<Vec<u8>>, Failure> {
        Ok(read_optional(&self.app.join(name))?)
    }
}

/// A service binding: a directory with a `type` file and one file for each key.
///
/// <https://servicebinding.io/spec/core/1.1.0/#workload-projection>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The directory's name.
    pub name: String,
    /// What the `type` file says.
    pub kind: String,
    /// What the `provider` file says.
    pub provider: Option<String>,
    /// Where it is.
    pub dir: PathBuf,
}

impl Binding {
    /// The text of one key; `None` when it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn get(&self, key: &str) -> io::Result<Option<String>> {
        Ok(read_optional(&self.dir.join(key))?.map(|it| String::from_utf8_lossy(&it).into_owned()))
    }
}

/// No descriptor, list of packages or setting has so many bytes.
const BOUND: u64 = 16 << 20;

/// Reads a file; `None` when it is not there.
///
/// # Errors
/// When it is there and cannot be read, or has more than 16 MiB; the error names the path.
pub fn read_optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(BOUND + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BOUND {
        let text = format!("{}: more than {} MiB, which no such file needs", path.display(), BOUND >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// What the platform said to the program, before it is understood: the environment and the arguments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inputs {
    pub(crate) env: Environment,
    pub(crate) args: Vec<PathBuf>,
    pub(crate) program: PathBuf,
    pub(crate) current_dir: PathBuf,
}

impl Inputs {
    /// A directory or file named by a variable, else by the argument at `position` (old lifecycles).
    pub(crate) fn path(&self, name: &'static str, position: usize) -> Result<PathBuf, Failure> {
        let given = self.env.get(OsStr::new(name)).filter(|it| !it.is_empty()).map(PathBuf::from);
        given.or_else(|| self.args.get(position).cloned()).ok_or(Failure::NotGiven(name))
    }

    /// Everything but the directories that only one of the two programs has.
    pub(crate) fn context(&self, platform: PathBuf, log: &Log) -> Result<Context, Failure> {
        let buildpack_dir = match self.env.get(OsStr::new("CNB_BUILDPACK_DIR")) {
            Some(it) => PathBuf::from(it),
            // <buildpack>/bin/detect
            None => self
                .program
                .parent()
                .and_then(Path::parent)
                .ok_or(Failure::NotGiven("CNB_BUILDPACK_DIR"))?
                .to_owned(),
        };
        let path = buildpack_dir.join("buildpack.toml");
        let descriptor: BuildpackToml = cnb::parse(&path.display().to_string(), &fs::read_to_string(&path)?)?;
        let mut env = self.env.clone();
        read_platform_env(&platform.join("env"), &mut env)?;
        let mut context = Context {
            app: self.current_dir.clone(),
            bindings: read_bindings(&platform.join("bindings"))?,
            about: descriptor.buildpack,
            metadata: descriptor.metadata,
            target: TargetData::default(),
            buildpack_dir,
            platform,
            env,
            log: log.clone(),
        };
        context.target = target(&context);
        Ok(context)
    }
}

fn target(context: &Context) -> TargetData {
    let var = |name: &str| context.var(name).unwrap_or_default().to_owned();
    TargetData {
        id: String::new(),
        os: var("CNB_TARGET_OS"),
        arch: var("CNB_TARGET_ARCH"),
        arch_variant: var("CNB_TARGET_ARCH_VARIANT"),
        distro: context.var("CNB_TARGET_DISTRO_NAME").map(|name| cnb::buildpack_toml::Distro {
            name: name.to_owned(),
            version: var("CNB_TARGET_DISTRO_VERSION"),
        }),
    }
}

fn read_platform_env(dir: &Path, env: &mut Environment) -> io::Result<()> {
    for (name, path) in entries(dir)? {
        if path.is_file() {
            use std::os::unix::ffi::OsStringExt as _;
            env.insert(name, std::ffi::OsString::from_vec(read(&path)?));
        }
    }
    Ok(())
}

fn read_bindings(dir: &Path) -> io::Result<Vec<Binding>> {
    let mut bindings = Vec::new();
    for (name, dir) in entries(dir)? {
        let line = |key: &str| -> io::Result<Option<String>> {
            Ok(read_optional(&dir.join(key))?.map(|it| String::from_utf8_lossy(&it).trim().to_owned()))
        };
        if let Some(kind) = line("type")? {
            let provider = line("provider")?;
            bindings.push(Binding { name: name.to_string_lossy().into_owned(), kind, provider, dir });
        }
    }
    Ok(bindings)
}

/// What a directory holds, by name; nothing when it is not there.
fn entries(dir: &Path) -> io::Result<BTreeMap<std::ffi::OsString, PathBuf>> {
    match fs::read_dir(dir) {
        Ok(list) => list.map(|it| it.map(|it| (it.file_name(), it.path()))).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(dir: &Path) -> Inputs {
        fs::create_dir_all(dir.join("bp/bin")).unwrap();
        fs::write(
            dir.join("bp/buildpack.toml"),
            "api = \"0.10\"\n[buildpack]\nid = \"a/b\"\nversion = \"1.0.0\"\n[metadata]\nx = 1\n",
        )
        .unwrap();
        Inputs { program: dir.join("bp/bin/detect"), current_dir: dir.to_owned(), ..Inputs::default() }
    }

    #[test]
    fn a_variable_wins_over_the_argument_at_its_position() {
        let mut inputs = Inputs { args: vec!["/one".into(), "/two".into()], ..Inputs::default() };
        assert_eq!(inputs.path("CNB_BUILD_PLAN_PATH", 1).unwrap(), Path::new("/two"));
        inputs.env.insert("CNB_BUILD_PLAN_PATH".into(), "/named".into());
        assert_eq!(inputs.path("CNB_BUILD_PLAN_PATH", 1).unwrap(), Path::new("/named"));
        assert!(matches!(inputs.path("CNB_LAYERS_DIR", 7), Err(Failure::NotGiven("CNB_LAYERS_DIR"))));
    }

    #[test]
    fn no_file_of_the_apps_fills_the_memory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(BOUND + 1).unwrap();
        let error = read_optional(file.path()).unwrap_err().to_string();
        assert!(
            error.contains(file.path().to_str().unwrap()) && error.contains("more than 16 MiB"),
            "{error}"
        );
        file.as_file().set_len(BOUND).unwrap();
        assert!(read_optional(file.path()).unwrap().is_some());
    }

    #[test]
    fn the_users_variables_and_bindings_are_read_from_the_platform_directory() {
        let dir = tempfile::tempdir().unwrap();
        let platform = dir.path().join("platform");
        fs::create_dir_all(platform.join("env")).unwrap();
        fs::create_dir_all(platform.join("bindings/db")).unwrap();
        fs::write(platform.join("env/BP_X"), "y").unwrap();
        fs::write(platform.join("bindings/db/type"), "Postgres\n").unwrap();
        fs::write(platform.join("bindings/db/host"), "h").unwrap();
        let context = inputs(dir.path()).context(platform, &Log::memory().0).unwrap();
        assert_eq!(context.var("BP_X"), Some("y"));
        assert_eq!(context.about.id, "a/b");
        let binding = context.binding("postgres").unwrap();
        assert_eq!(binding.get("host").unwrap().as_deref(), Some("h"));
        assert_eq!(binding.get("port").unwrap(), None);
    }
}
