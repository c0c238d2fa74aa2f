//! Why there is no connection, in words that tell nobody where it would have led to.

use std::{error::Error, io};

use backstop_core::BoxError;

/// The reason that an operator can do something about, as far as the causes tell.
pub(super) fn reason(error: &BoxError) -> &'static str {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&**error);
    while let Some(error) = cause {
        if let Some(reason) = of(error) {
            return reason;
        }
        cause = error.source();
    }
    "no connection"
}

fn of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        // What it was made of is not its source, but in its place.
        if let Some(reason) = error.get_ref().and_then(|inner| of(inner)) {
            return Some(reason);
        }
        return match error.kind() {
            io::ErrorKind::ConnectionRefused => Some("connection refused"),
            io::ErrorKind::ConnectionReset => Some("connection reset"),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                Some("host unreachable")
            }
            _ => None,
        };
    }
    match error.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(_)) => return Some("certificate not trusted"),
        Some(_) => return Some("no TLS"),
        None => {}
    }
    // The connectors' own errors have no other way to tell.
    match error.to_string().as_str() {
        "dns error" => Some("name not resolved"),
        "tunnel error: proxy authorization required" | "SOCKS error: credentials not accepted" => {
            Some("the proxy wants a password")
        }
        text if text.starts_with("tunnel error") || text.starts_with("SOCKS error") => {
            Some("the proxy makes no tunnel")
        }
        _ => None,
    }
}
