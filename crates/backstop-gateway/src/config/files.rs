//! The files that a config is read from.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// The files that a config was read from, and what was in them at that moment: what runs is
/// compared with what it was made of, however much later someone looks.
///
/// Keys are among them, so only hashes are kept; none where a file could not be read.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct Files(BTreeMap<PathBuf, Option<[u8; 32]>>);

impl Files {
    /// The text of the file at `path`.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<String> {
        let read = fs::read(path);
        let hash = read.as_deref().ok().map(hash);
        // What was read of it first stays, so that a file which changes while a config is read that
        // names it twice is not what it was.
        self.0.entry(path.to_owned()).or_insert(hash);
        String::from_utf8(read?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// The same files with what is in them now.
    pub(crate) fn now(&self) -> Self {
        let paths = self.0.keys();
        Self(
            paths
                .map(|path| (path.clone(), fs::read(path).ok().as_deref().map(hash)))
                .collect(),
        )
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
