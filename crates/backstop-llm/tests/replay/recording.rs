//! The recordings, where there are any.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

#[derive(Clone, Deserialize)]
pub(crate) struct Recording {
    pub(crate) id: String,
    pub(crate) provider: String,
    pub(crate) api: String,
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    pub(crate) request: Request,
    pub(crate) response: Response,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Request {
    #[serde(default)]
    pub(crate) body: Option<String>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Response {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) encoding: Option<String>,
    #[serde(default)]
    pub(crate) socket_error: Option<String>,
}

impl Recording {
    pub(crate) fn body(&self) -> &str {
        self.response.body.as_deref().unwrap_or_default()
    }

    /// Whether the answer came as a stream.
    pub(crate) fn is_streamed(&self) -> bool {
        self.tags.iter().any(|tag| tag == "stream") || self.kind.contains("stream")
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.response.socket_error.is_some()
    }
}

fn folder() -> PathBuf {
    std::env::var_os("BACKSTOP_SHARED")
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
            PathBuf::from,
        )
        .join("recordings")
}

/// Every recording in text of these interfaces, or of all where none is named; none where the
/// folder is not there.
pub(crate) fn recordings(apis: &[&str]) -> Vec<Recording> {
    let Ok(providers) = std::fs::read_dir(folder()) else {
        println!(
            "no recordings to replay: {} is not there",
            folder().display()
        );
        return Vec::new();
    };
    let mut found: Vec<Recording> = providers
        .filter_map(|entry| std::fs::read_dir(entry.ok()?.path()).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a recording is readable");
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        })
        .filter(|recording: &Recording| apis.is_empty() || apis.contains(&recording.api.as_str()))
        .filter(|recording| recording.response.encoding.is_none())
        .collect();
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}
