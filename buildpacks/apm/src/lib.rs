//! The buildpack packlight/apm: an agent that fits the app, in a layer beside it, asleep until a destination is named.
//! It is no agent itself and knows no language's buildpack: it looks at what the build has left in the environment.
//! Open [`build`] next (the story); `vendors/` says what an agent is, `attach/` how it gets into a language's process.

pub mod agent_toml;
pub mod attach;
pub mod bound;
pub mod build;
pub mod errors;
pub mod identity;
pub mod launch;
pub mod lock;
pub mod place;
pub mod vendor_words;
pub mod vendors;
