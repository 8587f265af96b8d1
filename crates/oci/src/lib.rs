//! Images: names, manifests, layers as reproducible tars, the store that keeps them, the registries they come from and
//! go to, the formats they leave in and the Docker engine they can be given to.
//! It knows nothing of buildpacks, of bases or of running anything: a layer is a list of files, an image is data.
//! Open `store/mod.rs` next, for where everything lies on the disk, or `layer/spec.rs`, for what a layer is made of.

mod archive;
pub mod bounded;
mod canonical;
mod digest;
pub mod docker;
pub mod docker_archive;
mod document;
mod image;
pub mod import;
mod layer;
pub mod layout;
mod name;
#[cfg(feature = "registry")]
pub mod registry;
#[cfg(feature = "resolver")]
pub mod resolver;
mod store;
mod unpack;

pub use digest::{Digest, DigestError};
pub use document::{
    ContainerConfig, Descriptor, History, ImageConfig, Index, Manifest, Platform, RootFs, media_type,
};
pub use image::{Image, ImageError, LayerRef, chain_ids};
pub use layer::{
    Added, CREATED, Compression, ENCODING as LAYER_ENCODING, Kept, LayerError, LayerRecord, LayerSpec, Modes,
    Notice, Owner, OwnerRule, TreeIndex, TreeRules,
};
pub use name::{ImageName, NameError};
pub use store::{AppDir, Listed, Problem, Pruned, Scratch, Store, StoreError, download_used};
pub use unpack::{
    Ids, PartError, UnpackError, UnpackRules, Whiteouts, layer_tar, unpack_beneath, unpack_part, unpack_tar,
};
