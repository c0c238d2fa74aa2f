//! Where a model is asked.

use std::{fmt, sync::OnceLock};

use backstop_core::BoxError;
use http::Uri;
use url::Url;

use crate::Error;

/// The path that was asked for first, and its address: to read it anew for every call would take
/// longer than all that the layers do.
#[derive(Clone, Default)]
pub(super) struct Address(OnceLock<(String, Uri)>);

impl Address {
    /// The address of a path, whose URL is this.
    pub(super) fn of(&self, path: String, url: impl FnOnce(&str) -> String) -> Result<Uri, Error> {
        if let Some((_, uri)) = self.0.get().filter(|(known, _)| *known == path) {
            return Ok(uri.clone());
        }
        let uri = read(&url(&path))
            .map_err(|error| Error::refused("can't be addressed").with_source(error))?;
        // Where there is one for another path already, that one stays.
        let _ = self.0.set((path, uri.clone()));
        Ok(uri)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The query may hold a credential.
        let path = self.0.get().map(|(path, _)| path);
        f.debug_tuple("Address").field(&path).finish()
    }
}

/// A URL as it is asked for: in the letters that an address may have, and without the name and the
/// password, which are sent as a header.
fn read(url: &str) -> Result<Uri, BoxError> {
    let mut url = Url::parse(url)?;
    // It has a host, and so may do without either.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_fragment(None);
    Ok(url.as_str().parse()?)
}
