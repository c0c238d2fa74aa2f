//! Who can be asked, where, and by which key.

use std::collections::BTreeMap;

use backstop_core::Name;
use backstop_llm::{Dialect, Secret};
use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::tellable;
use crate::config::{
    Provider, Proxy,
    nearest::nearest,
    reader::{Table, Value},
};

/// Reads `[providers]`.
pub(super) fn read_all(table: Table<'_>) -> BTreeMap<Name, Provider> {
    table
        .entries()
        .filter_map(|(name, value)| {
            tellable(&name, &value);
            if name.contains(':') {
                value.problem(
                    "has a colon in its name",
                    "candidates are written provider:model",
                );
            }
            // A provider that is wrong is still a known one: its candidates are no problem too.
            Some((Name::from(name), provider(value.table()?)))
        })
        .collect()
}

fn provider(mut table: Table<'_>) -> Provider {
    let names = Dialect::ALL.map(Dialect::as_str);
    let instead = format!("add dialect = \"{}\"", names.join("\" or \""));
    let dialect = table.require("dialect", &instead).and_then(|value| {
        let text = value.string()?;
        let dialect = Dialect::ALL.into_iter().find(|it| it.as_str() == text);
        if dialect.is_none() {
            let instead = match nearest(&text, &names) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("write \"{}\"", names.join("\" or \"")),
            };
            value.problem(format_args!("is no known dialect: \"{text}\""), instead);
        }
        dialect
    });
    let dialect = dialect.unwrap_or(Dialect::OpenAi);
    let base_url = table
        .get("base_url")
        .and_then(|value| url(&value, "https://api.openai.com/v1"));
    let api_keys = table.get("api_key").map(|value| {
        if !value.is_array() {
            return api_key(&value).into_iter().collect();
        }
        let keys = value.array().unwrap_or_default();
        if keys.is_empty() {
            value.problem("is empty", NO_KEY);
        }
        keys.iter().filter_map(api_key).collect()
    });
    let api_key_header = table.get("api_key_header").and_then(|value| {
        let name = value.string()?;
        header_name(&value, &name);
        Some(name)
    });
    let headers = table.table("headers").map(|table| headers(&table));
    let query = table.table("query").map(|table| secrets(&table));
    let proxy = table.get("proxy").and_then(|value| proxy(&value));
    let ca = table.get("ca").and_then(|value| authorities(&value));
    table.finish();
    Provider {
        dialect,
        base_url: base_url.unwrap_or_else(|| dialect.wire().base_url().to_owned()),
        api_keys: api_keys.unwrap_or_default(),
        api_key_header,
        headers: headers.unwrap_or_default(),
        query: query.unwrap_or_default(),
        proxy: proxy.unwrap_or_default(),
        ca,
    }
}

/// `"none"`, or a proxy's address. That may hold a password, so it is not shown.
fn proxy(value: &Value<'_>) -> Option<Proxy> {
    let text = value.secret()?;
    if text.expose() == "none" {
        return Some(Proxy::None);
    }
    let is_proxy = text.expose().parse::<http::Uri>().is_ok_and(|url| {
        matches!(
            url.scheme_str(),
            Some("http" | "https" | "socks5" | "socks5h")
        ) && url.host().is_some_and(|host| !host.is_empty())
            && matches!(url.path(), "" | "/")
    });
    if !is_proxy {
        value.problem(
            "should be the address of a proxy for HTTP or SOCKS 5",
            "write it as \"http://proxy:3128\" or \"socks5://proxy:1080\", \
             or \"none\" for no proxy at all",
        );
    }
    is_proxy.then_some(Proxy::Url(text))
}

/// The certificates in a PEM file, each of which must be one that can sign others.
fn authorities(value: &Value<'_>) -> Option<String> {
    let pem = value.file()?;
    let mut known = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|it| known.add(it).map_err(|error| error.to_string()));
        if let Err(error) = added {
            value.problem(
                format_args!("names a file with a certificate that can't be used: {error}"),
                PEM,
            );
            return None;
        }
    }
    if known.is_empty() {
        value.problem("names a file without any certificate", PEM);
        return None;
    }
    Some(pem)
}

const NO_KEY: &str = "leave it out where no key is needed";

const PEM: &str = "name a PEM file with the certificates of the authorities to trust";

/// Reads a table of headers.
pub(super) fn headers(table: &Table<'_>) -> Vec<(String, Secret)> {
    let headers = secrets(table);
    for ((name, secret), (_, value)) in headers.iter().zip(table.entries()) {
        header_name(&value, name);
        sendable(&value, secret);
    }
    headers
}

fn api_key(value: &Value<'_>) -> Option<Secret> {
    let key = value.secret()?;
    if key.expose().is_empty() {
        value.problem("is empty", NO_KEY);
    }
    sendable(value, &key);
    Some(key)
}

fn sendable(value: &Value<'_>, secret: &Secret) {
    if http::HeaderValue::try_from(secret.expose()).is_err() {
        value.problem(
            "can't be sent in a header",
            "remove line breaks and other control characters",
        );
    }
}

fn secrets(table: &Table<'_>) -> Vec<(String, Secret)> {
    let entries = table.entries();
    entries
        .map(|(name, value)| (name, value.secret().unwrap_or_else(|| Secret::new(""))))
        .collect()
}

/// Headers that say how a message is sent, and are written anew for each.
const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn header_name(value: &Value<'_>, name: &str) {
    match http::HeaderName::try_from(name) {
        Ok(name) if FRAMING.contains(&name.as_str()) => {
            value.problem("says how a request is sent, which differs", "leave it out");
        }
        Ok(_) => {}
        Err(_) => value.problem("is no header's name", "use letters, digits and hyphens"),
    }
}

/// An address without a slash at its end, such as this one.
pub(super) fn url(value: &Value<'_>, such_as: &str) -> Option<String> {
    let text = value.string()?;
    let url = text.parse::<http::Uri>().ok().filter(|url| {
        matches!(url.scheme_str(), Some("http" | "https"))
            && url.host().is_some_and(|host| !host.is_empty())
            && url.query().is_none()
            && !url.authority().is_some_and(|it| it.as_str().contains('@'))
    });
    if url.is_none() {
        value.problem(
            "should be an address of HTTP with neither user nor query",
            format!("write it as \"{such_as}\""),
        );
    }
    url.map(|_| text.trim_end_matches('/').to_owned())
}
