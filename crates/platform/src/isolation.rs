//! How far rooms are shut off on this machine: tried out once, said once, and what follows where it is not far.

use crate::event::{Event, Events};
use crate::world::World;
use oci::{Scratch, Store, StoreError};
use sandbox::{Allowed, Forbidden, Isolation};

/// What rooms stand on here.
#[derive(Debug)]
pub struct Ground {
    allowed: Allowed,
    /// Where rooms of reduced isolation are put together.
    _rooms: Option<Scratch>,
}

/// Why there can be no rooms.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    /// This machine does not allow the sandbox.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store could not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the user says of somebody else's buildpacks where isolation is reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Foreign {
    /// They do not run.
    #[default]
    Refused,
    /// They run all the same.
    Allowed,
}

/// Somebody else's buildpacks would run with reduced isolation, and the user has not allowed it.
#[derive(Debug, thiserror::Error)]
#[error("the buildpacks of {builder} would run with reduced isolation: {why}")]
pub struct Unisolated {
    /// The builder.
    pub builder: String,
    /// What forbids full isolation.
    pub why: Forbidden,
}

impl Ground {
    /// Tries out what this machine allows, on the file system of the store.
    ///
    /// # Errors
    /// When it allows nothing.
    pub fn try_out(store: &Store) -> Result<Self, GroundError> {
        let rooms = store.scratch()?;
        let allowed = sandbox::check_host(rooms.path())?;
        Ok(Self { allowed, _rooms: Some(rooms) })
    }

    /// For who need not ask: an ordinary user has full isolation or none, and an attempt says which.
    pub(crate) fn assumed() -> Self {
        Self { allowed: Allowed { isolation: Isolation::Full, instead_of_full: None }, _rooms: None }
    }

    /// Whether only full isolation comes into question, since this is no root.
    pub(crate) fn is_ordinary_users() -> bool {
        !rustix::process::geteuid().is_root()
    }

    /// The isolation of every room.
    pub fn isolation(&self) -> &Isolation {
        &self.allowed.isolation
    }

    /// What users are told, where isolation is reduced.
    #[must_use]
    pub fn notice(&self) -> Option<String> {
        let why = self.allowed.instead_of_full.as_ref()?;
        Some(format!(
            "isolation is reduced, since {} forbids more: what runs has a user id and a root directory of its own, but no \
             namespaces; its files are copies",
            why.setting
        ))
    }

    /// Tells the user, where there is something to be told.
    pub(crate) fn tell(&self, events: Events<'_>) {
        if let Some(text) = self.notice() {
            events(Event::Notice { text });
        }
    }

    /// Asks whether somebody else's buildpacks may run here.
    ///
    /// # Errors
    /// When isolation is reduced and the user has not allowed it.
    pub fn admit(&self, builder: &str, foreign: Foreign) -> Result<(), Unisolated> {
        match (&self.allowed.instead_of_full, foreign) {
            (Some(why), Foreign::Refused) => {
                Err(Unisolated { builder: builder.to_owned(), why: why.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// How far the rooms of a build are shut off. An app that an ordinary user has built here before needs no asking.
pub(crate) fn of_build(
    world: &World,
    built_before: bool,
    events: Events<'_>,
) -> Result<Isolation, GroundError> {
    if built_before && Ground::is_ordinary_users() {
        return Ok(Isolation::Full);
    }
    let ground = world.ground()?;
    ground.tell(events);
    Ok(ground.isolation().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_elses_buildpacks_run_with_reduced_isolation_only_where_that_is_allowed() {
        let why = Forbidden {
            setting: "root without CAP_SYS_ADMIN (a container's)".to_owned(),
            reason: "cannot make the sandbox's namespaces".to_owned(),
            cure: "start the container with --privileged".to_owned(),
        };
        let isolation = Isolation::Reduced { below: "/rooms".into() };
        let reduced = Ground { allowed: Allowed { isolation, instead_of_full: Some(why) }, _rooms: None };
        let refused = reduced.admit("example.com/builder", Foreign::Refused).unwrap_err().to_string();
        assert!(
            refused
                .starts_with("the buildpacks of example.com/builder would run with reduced isolation: root")
        );
        assert!(reduced.admit("example.com/builder", Foreign::Allowed).is_ok());
        let notice = reduced.notice().unwrap();
        assert!(notice.starts_with("isolation is reduced, since root without CAP_SYS_ADMIN"), "{notice}");
        assert!(Ground::assumed().admit("example.com/builder", Foreign::Refused).is_ok());
        assert_eq!(Ground::assumed().notice(), None);
    }
}
