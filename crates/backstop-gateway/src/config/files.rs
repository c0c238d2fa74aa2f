//! The files that a config is read from.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::{self, Read as _},
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
        let read = read(path);
        // A pipe gives what is in it but once: to look again would find it changed, or wait for more.
        let is_gone = read.is_ok() && fs::metadata(path).is_ok_and(|found| !found.is_file());
        if !is_gone {
            let hash = read.as_deref().ok().map(hash);
            // What was read of it first stays, so that a file which changes while a config is read
            // that names it twice is not what it was.
            self.0.entry(path.to_owned()).or_insert(hash);
        }
        let text = String::from_utf8(read?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        // Some editors begin a text by this mark, which is no part of it, and of no key.
        Ok(text
            .strip_prefix('\u{feff}')
            .map(str::to_owned)
            .unwrap_or(text))
    }

    /// The same files with what is in them now.
    pub(crate) fn now(&self) -> Self {
        let paths = self.0.keys();
        Self(
            paths
                .map(|path| (path.clone(), read(path).ok().as_deref().map(hash)))
                .collect(),
        )
    }
}

/// More than any config or certificate has. A device may have no end.
const LARGEST: u64 = 16 << 20;

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = File::open(path)?.take(LARGEST + 1);
    if file.read_to_end(&mut bytes)? as u64 > LARGEST {
        let why = "it is larger than 16 MiB";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        os::fd::AsRawFd as _,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn what_editors_put_before_a_text_is_no_part_of_it() {
        let directory = tempfile::tempdir().expect("can be made");
        let path = directory.path().join("key");
        fs::write(&path, "\u{feff}sk-key\r\n").expect("can be written");
        let text = Files::default().read(&path).expect("can be read");
        assert_eq!(text, "sk-key\r\n");
    }

    // As a shell's `<(echo text)` is.
    #[test]
    fn what_came_out_of_a_pipe_is_not_looked_for_again() {
        let mut echo = Command::new("echo");
        echo.arg("text").stdout(Stdio::piped());
        let mut echo = echo.spawn().expect("is on every system");
        let pipe = echo.stdout.take().expect("was asked for");
        let path = PathBuf::from(format!("/dev/fd/{}", pipe.as_raw_fd()));
        let mut files = Files::default();
        assert_eq!(files.read(&path).expect("can be read"), "text\n");
        assert!(files.now() == files, "what is in it now is nothing");
        echo.wait().expect("has ended");
    }
}
