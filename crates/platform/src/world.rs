//! What every operation works with: the store, the settings, Packlight's own programs and buildpacks.

use crate::isolation::{Ground, GroundError};
use crate::payload::{self, PayloadError};
use crate::registries::{self, RegistriesError};
use crate::settings::{self, Environment, Settings, SettingsError};
use cnb::order::Order;
use oci::Store;
use oci::docker::{DockerError, Engine};
use oci::registry::Client;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What every operation works with.
#[derive(Debug)]
pub struct World {
    /// The store.
    pub store: Store,
    /// What the user has set.
    pub settings: Settings,
    /// The user's environment.
    pub env: Environment,
    /// Packlight's own launcher, buildpacks and extensions, as files.
    pub payload_dir: PathBuf,
    /// The default order.
    pub order: Order,
    /// The client of registries, once one was asked.
    registries: OnceLock<Client>,
    /// The Docker engine, once it has answered.
    engine: OnceLock<Engine>,
    /// What rooms stand on, once it was asked.
    ground: OnceLock<Ground>,
}

/// Why nothing can be worked with.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] oci::StoreError),
    /// The store is somebody else's.
    #[error("the store {} belongs to another user of this machine (uid {owner}); take one of your own with --store or PACKLIGHT_STORE", dir.display())]
    Foreign {
        /// The store.
        dir: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// No registry can be asked.
    #[error(transparent)]
    Registries(#[from] RegistriesError),
    /// Packlight's own files are not there.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The order in the payload cannot be read.
    #[error("the payload's order cannot be read: {0}")]
    Order(String),
}

/// Opens the store alone, for what needs no buildpack.
///
/// # Errors
/// When the settings or the store cannot be read.
pub fn open_store(env: &Environment, store: Option<&Path>) -> Result<(Store, Settings), WorldError> {
    let mut settings = Settings::load(env)?;
    if let Some(dir) = store {
        settings.store = Some(dir.to_owned());
    }
    let dir = settings.store_dir(env)?;
    refuse_foreign(&dir)?;
    Ok((Store::open(&dir)?, settings))
}

/// With `sudo` and the user's own store, what root makes in it the user could neither use nor remove.
fn refuse_foreign(dir: &Path) -> Result<(), WorldError> {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = fs_err::metadata(dir) else { return Ok(()) };
    match metadata.uid() {
        owner if owner == rustix::process::geteuid().as_raw() => Ok(()),
        owner => Err(WorldError::Foreign { dir: dir.to_owned(), owner }),
    }
}

impl World {
    /// Opens everything. `store` is the command line's word on where the store is.
    ///
    /// # Errors
    /// When the settings, the store or the payload cannot be read.
    pub fn open(env: Environment, store: Option<&Path>) -> Result<Self, WorldError> {
        let (store, settings) = open_store(&env, store)?;
        let folder = settings::path(&env, "PACKLIGHT_PAYLOAD");
        let payload = payload::open(folder.as_deref(), Path::new("/proc/self/exe"))?;
        let payload_dir = payload.install(&store.root().join("payload"))?;
        let order = fs_err::read_to_string(payload_dir.join("order.toml"))
            .map_err(|error| WorldError::Order(error.to_string()))?;
        let order = cnb::parse("order.toml", &order).map_err(|error| WorldError::Order(error.to_string()))?;
        let (registries, engine, ground) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Ok(Self { store, settings, env, payload_dir, order, registries, engine, ground })
    }

    /// The client of registries.
    ///
    /// # Errors
    /// When a setting or a credential cannot be used.
    pub fn registries(&self) -> Result<&Client, WorldError> {
        if let Some(client) = self.registries.get() {
            return Ok(client);
        }
        let made = registries::client(&self.settings, &self.env)?;
        Ok(self.registries.get_or_init(|| made))
    }

    /// The Docker engine, which says once what it is; none: nothing is named and nothing answers.
    ///
    /// # Errors
    /// When the named one does not answer, or is no engine.
    pub fn engine(&self) -> Result<Option<&Engine>, DockerError> {
        if let Some(engine) = self.engine.get() {
            return Ok(Some(engine));
        }
        let host = settings::text(&self.env, "DOCKER_HOST");
        let answered = Engine::connect(host.as_deref())?;
        Ok(answered.map(|it| self.engine.get_or_init(|| it)))
    }

    /// What rooms stand on here, tried out when it is first asked.
    ///
    /// # Errors
    /// When this machine does not allow the sandbox.
    pub fn ground(&self) -> Result<&Ground, GroundError> {
        match self.ground.get() {
            Some(ground) => Ok(ground),
            None => {
                let ground = Ground::try_out(&self.store)?;
                Ok(self.ground.get_or_init(|| ground))
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use super::*;

    /// A world with nothing in it, in a folder.
    pub(crate) fn empty(dir: &Path, env: &[(&str, &str)]) -> World {
        for folder in ["payload/buildpacks", "payload/extensions"] {
            fs_err::create_dir_all(dir.join(folder)).unwrap();
        }
        for file in ["payload/launcher", "payload/order.toml"] {
            fs_err::write(dir.join(file), "").unwrap();
        }
        let payload = ("PACKLIGHT_PAYLOAD".into(), dir.join("payload").into());
        let env = env.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        World::open(env.chain([payload]).collect(), Some(&dir.join("store"))).unwrap()
    }
}
