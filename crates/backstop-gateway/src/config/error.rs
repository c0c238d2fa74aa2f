//! What is wrong with a config file, where, and what would be right.

use std::{fmt, io, net::SocketAddr, path::PathBuf};

/// One thing wrong with a config.
///
/// The source line is not quoted: a line of a config may hold a key.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// The line in the file, from 1 on.
    pub line: usize,
    /// The column in that line, from 1 on.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub instead: String,
}

/// A config that can't be used: every problem found in it, in the order of the lines.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file was read, and is wrong.
    Invalid {
        /// Which file, as messages name it.
        file: String,
        /// What is wrong with it; never empty.
        problems: Vec<Problem>,
    },
}

impl ConfigError {
    /// What is wrong with the file; empty where it could not be read at all.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Unreadable { .. } => &[],
            Self::Invalid { problems, .. } => problems,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => {
                write!(f, "{}: can't be read: {source}", path.display())
            }
            Self::Invalid { file, problems } => {
                for (i, problem) in problems.iter().enumerate() {
                    if i > 0 {
                        f.write_str("\n")?;
                    }
                    let Problem {
                        line,
                        column,
                        what,
                        instead,
                    } = problem;
                    write!(f, "{file}:{line}:{column}: {what}")?;
                    if !instead.is_empty() {
                        write!(f, "\n    {instead}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Invalid { .. } => None,
        }
    }
}

/// An address open to other machines, where nobody would need a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenToAll(pub(super) SocketAddr);

impl fmt::Display for OpenToAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is open to other machines, and nobody would need a key\n    \
             add a [keys.NAME] made by `backstop key`, or listen on 127.0.0.1",
            self.0
        )
    }
}

impl std::error::Error for OpenToAll {}
