//! Who may call.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU64};

use backstop_core::Name;

use super::{address, count, tellable};
use crate::{
    callers::Hash,
    config::{
        Admin, Key,
        reader::{Table, Value},
    },
};

/// Reads `[keys]`.
pub(super) fn read_all(table: Table<'_>) -> BTreeMap<Name, Key> {
    let mut keys: BTreeMap<Name, Key> = BTreeMap::new();
    for (name, value) in table.entries() {
        tellable(&name, &value);
        let Some(key) = value.table().and_then(key) else {
            continue;
        };
        if let Some((first, _)) = keys.iter().find(|(_, it)| it.sha256 == key.sha256) {
            value.problem(
                format_args!("has the same key as [keys.{first}]: nobody could tell who calls"),
                INSTEAD,
            );
        }
        keys.insert(Name::from(name), key);
    }
    keys
}

/// Reads `[admin]`. Callers are served at `own`.
pub(super) fn admin(mut table: Table<'_>, own: SocketAddr) -> Admin {
    let listen = table.get("listen").and_then(|value| {
        let listen = address(&value)?;
        if !listen.ip().is_loopback() {
            value.problem(
                "is open to other machines, and nobody would need a key there",
                "listen on 127.0.0.1, or give a `sha256` in place of `listen`",
            );
        }
        if listen == own && listen.port() != 0 {
            value.problem(
                "is where callers are served",
                "listen on another port, or give a `sha256` in place of `listen`",
            );
        }
        Some(listen)
    });
    let admin = Admin {
        sha256: table.get("sha256").and_then(|value| hash(&value)),
        listen,
    };
    table.finish();
    admin
}

const INSTEAD: &str = "make a key and its hash by `backstop key`";

fn hash(value: &Value<'_>) -> Option<Hash> {
    let hash = Hash::from_hex(&value.string()?);
    if hash.is_none() {
        value.problem("should be a SHA-256 of 64 hexadecimal digits", INSTEAD);
    }
    hash
}

fn key(mut table: Table<'_>) -> Option<Key> {
    let sha256 = table
        .require("sha256", INSTEAD)
        .and_then(|value| hash(&value));
    let models = table.get("models").and_then(|value| {
        let models = value.array()?;
        Some(models.iter().filter_map(Value::string).collect())
    });
    let limit = |value: Value<'_>| count(&value);
    let key = Key {
        models: models.unwrap_or_default(),
        requests_per_minute: table.get("requests_per_minute").and_then(limit),
        tokens_per_minute: table
            .get("tokens_per_minute")
            .and_then(|value| NonZeroU64::new(value.integer(1..=u64::MAX)?)),
        concurrent: table.get("concurrent").and_then(limit),
        ..Key::new(sha256.unwrap_or_else(|| Hash::of("")))
    };
    table.finish();
    sha256.map(|_| key)
}
