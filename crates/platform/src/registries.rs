//! How registries are reached, from what the user has set: `docs/reference/registries.md`.

use crate::settings::{self, Environment, Settings, SettingsError};
use oci::registry::{Authority, Client, CredentialError, Credentials, Proxies, Secret, helper_programs};
use std::path::PathBuf;

/// Why no registry can be asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistriesError {
    /// A setting cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Credentials cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// A file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] oci::registry::Error),
}

/// The client.
pub(crate) fn client(settings: &Settings, env: &Environment) -> Result<Client, RegistriesError> {
    let mut wanted = oci::registry::Settings {
        api_hosts: settings::REGISTRY_APIS
            .iter()
            .map(|(name, host)| ((*name).into(), (*host).into()))
            .collect(),
        proxies: proxies(env),
        credentials: credentials(env)?,
        ..oci::registry::Settings::default()
    };
    for (name, registry) in &settings.registries {
        if registry.insecure {
            wanted.insecure.insert(name.clone());
        }
        if !registry.mirrors.is_empty() {
            wanted.mirrors.insert(name.clone(), registry.mirrors.clone());
        }
        for file in &registry.certificates {
            wanted
                .authorities
                .push(Authority { place: file.display().to_string(), pem: fs_err::read(file)? });
        }
    }
    Ok(Client::new(wanted)?)
}

fn proxies(env: &Environment) -> Proxies {
    let either = |name: &str| settings::text(env, name).or_else(|| settings::text(env, &name.to_lowercase()));
    Proxies {
        https: either("HTTPS_PROXY").map(Secret::new),
        http: either("HTTP_PROXY").map(Secret::new),
        except: either("NO_PROXY").unwrap_or_default(),
    }
}

/// `CNB_REGISTRY_AUTH`, then Docker's file, then Podman's.
fn credentials(env: &Environment) -> Result<Credentials, RegistriesError> {
    let mut all = Credentials::default().with_helper(helper_programs());
    if let Some(value) = settings::text(env, "CNB_REGISTRY_AUTH") {
        all = all.with_registry_auth(&value)?;
    }
    let home = settings::path(env, "HOME");
    let docker = settings::path(env, "DOCKER_CONFIG").or_else(|| home.map(|it| it.join(".docker")));
    let podman = settings::path(env, "REGISTRY_AUTH_FILE")
        .or_else(|| settings::path(env, "XDG_RUNTIME_DIR").map(|it| it.join("containers/auth.json")));
    let files: [Option<PathBuf>; 2] = [docker.map(|it| it.join("config.json")), podman];
    for file in files.into_iter().flatten() {
        match fs_err::read_to_string(&file) {
            Ok(text) => all = all.with_config(&file.display().to_string(), &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}
