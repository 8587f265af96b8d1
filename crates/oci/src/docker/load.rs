//! Giving an engine an image: what it has already, and how the rest is sent.

use std::{
    collections::HashSet,
    io::{self, Write},
    path::PathBuf,
};

use serde::Deserialize;

use super::{DockerError, Engine, ImageAnswer, http::Response};
use crate::{Digest, Image, ImageName, Store, StoreError, chain_ids, docker_archive, layout};

/// To look through an engine's images for layers costs more than to send so few bytes.
const CHEAP: u64 = 1 << 20;

/// What happens during a load, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many layers with so many bytes are to be sent; the engine has the others.
    Sending {
        /// Layers sent.
        layers: usize,
        /// Layers in the image.
        of: usize,
        /// Bytes that will be sent, but for some headers.
        bytes: u64,
    },
    /// So many bytes have been sent.
    Sent {
        /// Bytes.
        bytes: u64,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedAnswer {
    id: String,
}

/// One line of what a load says.
#[derive(Deserialize)]
struct LoadLine {
    error: Option<String>,
    stream: Option<String>,
}

impl Engine {
    /// Those of the image's chain ids that the engine is known to have.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub fn known_chains(
        &self,
        store: &Store,
        image: &Image,
        names: &[ImageName],
    ) -> Result<HashSet<Digest>, DockerError> {
        let mut have = HashSet::new();
        // What had the name before is nearly the same image.
        for name in names {
            if let Some(found) = self.inspect(&docker_archive::tag_of(name))? {
                have.extend(self.shared_chains(store, image, &found));
            }
        }
        if cost(image, &have) > CHEAP {
            let all: Vec<ListedAnswer> = self.get("/images/json")?.unwrap_or_default();
            for listed in all {
                if let Some(found) = self.inspect(&listed.id)? {
                    have.extend(self.shared_chains(store, image, &found));
                }
                if cost(image, &have) == 0 {
                    break;
                }
            }
        }
        Ok(have)
    }

    /// The chain ids of the layers that an image of the engine's has in common with ours.
    fn shared_chains(&self, store: &Store, image: &Image, found: &ImageAnswer) -> Vec<Digest> {
        let wanted = chain_ids(image.diff_ids());
        if !self.version.containerd_store {
            let theirs = found.root_fs.layers.as_deref().unwrap_or_default();
            let same = wanted.into_iter().zip(chain_ids(theirs)).take_while(|(ours, theirs)| ours == theirs);
            return same.map(|(chain, _)| chain).collect();
        }
        // There blobs count, and which ones an image has is known of our own images only: their id is their digest.
        let is_complete = found.root_fs.layers.is_some();
        let ours = found
            .id
            .parse()
            .ok()
            .filter(|_| is_complete)
            .and_then(|digest| store.image_by_digest(&digest).ok());
        let blobs: HashSet<Digest> =
            ours.iter().flat_map(|ours| &ours.manifest().layers).map(|layer| layer.digest).collect();
        let layers = image.manifest().layers.iter().zip(wanted);
        layers.filter(|(layer, _)| blobs.contains(&layer.digest)).map(|(_, chain)| chain).collect()
    }

    /// Gives the engine an image, under these names, and returns the image's id there: the digest of the configuration,
    /// or of the manifest where the engine uses containerd's image store. Only layers that it lacks are sent; an image
    /// that it has is only named.
    ///
    /// # Errors
    /// When the engine refuses it.
    pub fn load(
        &self,
        store: &Store,
        image: &Image,
        names: &[ImageName],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<String, DockerError> {
        let id = if self.version.containerd_store { image.digest() } else { image.id() }.to_string();
        if self.has(&id, image)? {
            progress(Progress::Sending { layers: 0, of: image.diff_ids().len(), bytes: 0 });
            for name in names {
                self.tag(&id, name)?;
            }
            return Ok(id);
        }
        let have = self.known_chains(store, image, names)?;
        let sent = self.send(store, image, names, (&have, progress)).and_then(|()| self.loaded(&id, image));
        match sent {
            // What it had a moment ago may have been removed since.
            Err(DockerError::Engine { .. }) if !have.is_empty() => {
                self.send(store, image, names, (&HashSet::new(), progress))?;
                self.loaded(&id, image)?;
            }
            other => other?,
        }
        Ok(id)
    }

    /// Gives the engine an image whose layers are files, by diff id and compressed or not, and returns the image's id
    /// there. Layers whose chain ids are in `have` are not sent: the engine must have them.
    ///
    /// # Errors
    /// When a layer is neither there nor found, or the engine refuses the image.
    pub fn load_files(
        &self,
        image: &Image,
        names: &[ImageName],
        have: &HashSet<Digest>,
        find: &dyn Fn(&Digest) -> Option<PathBuf>,
    ) -> Result<String, DockerError> {
        let sent = self.address.upload("/images/load?quiet=1", |out| {
            docker_archive::write_files(image, names, out, (have, find))
        });
        self.taken(sent)?;
        let tag = names.first().map(docker_archive::tag_of).unwrap_or_default();
        match self.inspect(&tag)?.map(|it| it.id) {
            // Containerd's store names an image by a manifest of its own making.
            Some(id) if self.version.containerd_store || id == image.id().to_string() => Ok(id),
            _ => Err(self.refusal(&format!("{tag} was loaded and is not there"))),
        }
    }

    fn loaded(&self, id: &str, image: &Image) -> Result<(), DockerError> {
        match self.has(id, image)? {
            true => Ok(()),
            false => Err(self.refusal(&format!("{id} was loaded and is not there"))),
        }
    }

    /// With containerd's store, an image of which a blob is missing is listed, but without layers.
    fn has(&self, id: &str, image: &Image) -> Result<bool, DockerError> {
        let found = self.inspect(id)?;
        Ok(found.and_then(|found| found.root_fs.layers).is_some_and(|layers| layers == image.diff_ids()))
    }

    fn send(
        &self,
        store: &Store,
        image: &Image,
        names: &[ImageName],
        (have, progress): (&HashSet<Digest>, &mut dyn FnMut(Progress)),
    ) -> Result<(), DockerError> {
        let missing = docker_archive::missing_layers(image, have);
        let bytes = missing.iter().map(|layer| layer.size).sum();
        progress(Progress::Sending { layers: missing.len(), of: image.diff_ids().len(), bytes });
        let sent = self.address.upload("/images/load?quiet=1", |out| {
            let out = Counting { out, bytes: 0, progress };
            if self.version.containerd_store {
                layout::write_for_engine(store, image, names, out, have)
            } else {
                docker_archive::write(store, image, names, out, have)
            }
        });
        self.taken(sent)
    }

    /// Whether the engine has taken an archive.
    fn taken(&self, sent: Result<Response, StoreError>) -> Result<(), DockerError> {
        let response = sent.map_err(|error| match error {
            StoreError::Io(source) => self.io(source),
            other => other.into(),
        })?;
        self.accepted(&response)?;
        // A load that fails half-way has said 200 by then.
        for line in response.body.split(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(LoadLine { error: Some(message), .. }) => return Err(self.refusal(&message)),
                // This is how containerd's store says it.
                Ok(LoadLine { stream: Some(message), .. }) if message.starts_with("Error ") => {
                    return Err(self.refusal(message.trim_end()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The bytes that must be sent to an engine that has these chains.
fn cost(image: &Image, have: &HashSet<Digest>) -> u64 {
    docker_archive::missing_layers(image, have).iter().map(|layer| layer.size).sum()
}

struct Counting<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
    progress: &'a mut dyn FnMut(Progress),
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        (self.progress)(Progress::Sent { bytes: self.bytes });
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
