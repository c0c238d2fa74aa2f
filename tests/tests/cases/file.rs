//! The format of a file of cases, and where such files are.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value};

/// The only version of the format that this program reads.
const SCHEMA: &str = "resilience-cases/1";

/// A file of cases. What only says where the facts come from is not looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    #[serde(rename = "conventions")]
    _conventions: Option<Value>,
    #[serde(rename = "sources")]
    _sources: Option<Value>,
    cases: Vec<Case>,
}

/// One case: a configuration, and what must come of a sequence of steps or of each row of a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) layer: String,
    pub(crate) model: String,
    #[serde(rename = "title")]
    _title: String,
    #[serde(rename = "source")]
    _source: Option<Value>,
    #[serde(rename = "licence")]
    _licence: Option<Value>,
    #[serde(rename = "note")]
    _note: Option<Value>,
    #[serde(default)]
    pub(crate) config: Map<String, Value>,
    #[serde(default)]
    pub(crate) steps: Vec<Map<String, Value>>,
    #[serde(default)]
    pub(crate) events: Vec<Map<String, Value>>,
    #[serde(default)]
    pub(crate) rows: Vec<Map<String, Value>>,
    /// A property in words. Whoever replays the case knows it by the case's id.
    #[serde(default, rename = "property")]
    pub(crate) _property: Option<String>,
}

/// Every case of every file there is, or none where there is no file.
pub(crate) fn all() -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for path in paths() {
        let at = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| at(&error))?;
        let file: File = serde_json::from_str(&text).map_err(|error| at(&error))?;
        if file.schema != SCHEMA {
            return Err(at(&format!(
                "the schema is {:?}, not {SCHEMA:?}",
                file.schema
            )));
        }
        cases.extend(file.cases);
    }
    Ok(cases)
}

/// `BACKSTOP_SHARED` names a folder that has a folder of cases in it, a folder of cases, or one
/// file. Without it, the folder is looked for beside the workspace.
fn paths() -> Vec<PathBuf> {
    let shared = env::var_os("BACKSTOP_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    if shared.is_file() {
        return vec![shared];
    }
    let inner = shared.join("cases");
    let folder = if inner.is_dir() { inner } else { shared };
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    paths.sort();
    paths
}
