//! The headers of an answer.

use std::{fmt, sync::OnceLock};

use bytes::Bytes;
use http::HeaderMap;

use super::http1;

/// The headers of an answer, put into a map once somebody asks for one: few do, and it takes as
/// long as reading a short answer.
#[derive(Default)]
pub(crate) struct Headers {
    /// Where they stand, if they are not in the map from the first.
    head: Bytes,
    /// Boxed, because an answer is handed on from layer to layer.
    map: OnceLock<Box<HeaderMap>>,
}

impl Headers {
    /// Those of an HTTP/1 head that has been read.
    pub(super) const fn of(head: Bytes) -> Self {
        let map = OnceLock::new();
        Self { head, map }
    }

    pub(crate) fn map(&self) -> &HeaderMap {
        self.map
            .get_or_init(|| Box::new(http1::headers(&self.head)))
    }

    pub(crate) fn map_mut(&mut self) -> &mut HeaderMap {
        self.map();
        self.map.get_mut().expect("it has just been made")
    }
}

impl From<HeaderMap> for Headers {
    fn from(map: HeaderMap) -> Self {
        let head = Bytes::new();
        let map = Box::new(map).into();
        Self { head, map }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map().fmt(f)
    }
}
