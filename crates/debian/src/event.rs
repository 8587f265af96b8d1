//! What a caller may show while the archive is read: values, never printed here.

/// What the bytes of an [`Event`] belong to, so that a caller can add them up by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The signed index: `InRelease` and `Packages` files.
    Index,
    /// Packages (`.deb` files).
    Deb,
}

/// One thing that happened while an index or packages were fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A download begins; `size` is in bytes where the index told it.
    Started {
        /// What is downloaded.
        kind: Kind,
        /// The file, as a person would call it.
        name: String,
        /// Size in bytes, when known beforehand.
        size: Option<u64>,
    },
    /// So many more bytes of `name` came over the network.
    Received {
        /// What is downloaded.
        kind: Kind,
        /// The file of the matching [`Event::Started`].
        name: String,
        /// Bytes since the last event of this file.
        bytes: u64,
    },
    /// A download is complete and verified.
    Finished {
        /// What was downloaded.
        kind: Kind,
        /// The file of the matching [`Event::Started`].
        name: String,
    },
    /// Nothing to download: the cache has it.
    Cached {
        /// What would have been downloaded.
        kind: Kind,
        /// The file.
        name: String,
    },
    /// A mirror failed; the same or the next one is tried.
    Retry {
        /// The address that failed.
        url: String,
        /// Why, as a lower-case fragment.
        reason: String,
    },
    /// Something a user should read, such as an expired index that was accepted on request.
    Warning(String),
}
