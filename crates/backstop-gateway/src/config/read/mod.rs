//! The schema: which tables and keys there are, and what fits together.

mod breaker;
mod candidate;
mod detail;
mod keys;
mod kinds;
mod models;
mod policies;
mod providers;

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use self::{models::Known, policies::Policies};
use super::{
    Alerts, Config, DEFAULT_LISTEN, Files, Limits, Telemetry, Tls,
    reader::{Table, Value},
};

/// Reads the whole document.
pub(super) fn config(root: &mut Table<'_>) -> Option<Config> {
    let listen = root
        .get("listen")
        .and_then(|value| Some((address(&value)?, value)));
    let state_file = root.get("state_file").and_then(|value| value.string());
    let log_content = root.get("log_content").and_then(|value| value.boolean());
    let limits = root.table("limits").map(limits).unwrap_or_default();
    let providers = root
        .table("providers")
        .map(providers::read_all)
        .unwrap_or_default();
    let defaults = root.table("defaults").map(|mut table| {
        let defaults = Policies::read(&mut table, &Policies::default());
        table.finish();
        defaults
    });
    let callers = root.table("keys").map(keys::read_all).unwrap_or_default();
    let own = listen
        .as_ref()
        .map_or(DEFAULT_LISTEN, |(listen, _)| *listen);
    let admin = root.table("admin").map(|table| keys::admin(table, own));
    let admin = admin.unwrap_or_default();
    let alerts = root.table("alerts").map(alerts).unwrap_or_default();
    let tls = root.table("tls").and_then(tls);
    let telemetry = root.table("telemetry").and_then(telemetry);
    let (prices, currency) = root.table("prices").map(models::prices).unwrap_or_default();
    let models = root.require("models", "add a table [models.NAME] with its candidates");
    let models = models.and_then(|models| {
        let table = models.table()?;
        let known = Known {
            providers: &providers,
            prices: &prices,
        };
        let models = models::read_all(&table, &known, &defaults.unwrap_or_default());
        if table.is_empty() {
            table.problem("is empty", "add a table [models.NAME] with its candidates");
        }
        Some(models)
    })?;
    if let Some((listen, value)) = &listen {
        if callers.is_empty() && !listen.ip().is_loopback() {
            value.problem(
                "is open to other machines, and nobody would need a key",
                "add a [keys.NAME] made by `backstop key`, or listen on 127.0.0.1",
            );
        }
    }
    Some(Config {
        file: None,
        files: Files::default(),
        state_file: state_file.map(PathBuf::from),
        told_where: false,
        listen: own,
        limits,
        log_content: log_content.unwrap_or(false),
        providers,
        models,
        currency: currency.unwrap_or_else(|| "USD".to_owned()),
        keys: callers,
        admin,
        alerts,
        tls,
        telemetry,
    })
}

fn address(value: &Value<'_>) -> Option<SocketAddr> {
    let text = value.string()?;
    let address = text.parse().ok();
    if address.is_none() {
        value.problem(
            "should be an address and a port",
            "write it as \"127.0.0.1:4000\" or \"[::1]:4000\"",
        );
    }
    address
}

fn telemetry(mut table: Table<'_>) -> Option<Telemetry> {
    let collector = "http://127.0.0.1:4318";
    let otlp = table
        .require("otlp", &format!("add otlp = \"{collector}\""))
        .and_then(|value| providers::url(&value, collector));
    let headers = table
        .table("headers")
        .map(|table| providers::headers(&table));
    let service = table.get("service").and_then(|value| value.string());
    table.finish();
    let otlp = otlp?;
    Some(Telemetry {
        traces: if otlp.ends_with("/v1/traces") {
            otlp
        } else {
            format!("{otlp}/v1/traces")
        },
        headers: headers.unwrap_or_default(),
        service: service.unwrap_or_else(|| "backstop".to_owned()),
    })
}

fn tls(mut table: Table<'_>) -> Option<Tls> {
    let instead = "name a PEM file";
    // Both are read again when connections are made by them, and watched.
    let file = |value: Value<'_>| {
        value.file()?;
        value.string().map(PathBuf::from)
    };
    let certificate = table.require("certificate", instead).and_then(file);
    let key = table.require("key", instead).and_then(file);
    table.finish();
    Some(Tls {
        certificate: certificate?,
        key: key?,
    })
}

fn alerts(mut table: Table<'_>) -> Alerts {
    let standard = Alerts::default();
    let instead = "add webhook = \"${ALERT_WEBHOOK}\"";
    let webhook = table.require("webhook", instead).and_then(|value| {
        let webhook = value.secret()?;
        let is_one = webhook.expose().parse::<http::Uri>().is_ok_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()
        });
        if !is_one {
            value.problem("should be an address to post to", instead);
        }
        Some(webhook)
    });
    let (error_rate, spend) = (table.get("error_rate"), table.get("spend"));
    if error_rate.is_none() && spend.is_none() {
        table.problem("watches nothing", "add error_rate = 0.2, or spend = 100.0");
    }
    let alerts = Alerts {
        webhook,
        error_rate: error_rate.and_then(|value| value.number(0.001..=1.0)),
        window: read(&mut table, "window", positive, standard.window),
        min_calls: read(&mut table, "min_calls", count, standard.min_calls),
        spend: spend.and_then(|value| value.number(0.0..=f64::INFINITY)),
        spend_window: read(&mut table, "spend_window", positive, standard.spend_window),
    };
    table.finish();
    alerts
}

fn limits(mut table: Table<'_>) -> Limits {
    let standard = Limits::default();
    let limits = Limits {
        body: read(&mut table, "body", some_size, standard.body),
        body_read: read(&mut table, "body_read", positive, standard.body_read),
        requests: read(&mut table, "requests", places, standard.requests),
        connections: read(&mut table, "connections", places, standard.connections),
        header: read(&mut table, "header", positive, standard.header),
        unread: read(&mut table, "unread", positive, standard.unread),
        retry_ratio: read(
            &mut table,
            "retry_ratio",
            |it| it.number(0.001..=10.0),
            standard.retry_ratio,
        ),
        shutdown: read(&mut table, "shutdown", Value::duration, standard.shutdown),
    };
    table.finish();
    limits
}

fn read<'a, T>(
    table: &mut Table<'a>,
    key: &'static str,
    as_: impl FnOnce(&Value<'a>) -> Option<T>,
    standard: T,
) -> T {
    table
        .get(key)
        .and_then(|value| as_(&value))
        .unwrap_or(standard)
}

fn count(value: &Value<'_>) -> Option<NonZeroU32> {
    let number = value.integer(1..=1_000_000)?;
    NonZeroU32::new(u32::try_from(number).ok()?)
}

fn places(value: &Value<'_>) -> Option<usize> {
    usize::try_from(value.integer(1..=1_000_000)?).ok()
}

fn some_size(value: &Value<'_>) -> Option<usize> {
    let size = value.size()?;
    if size == 0 {
        value.problem("should be more than nothing", "");
        return None;
    }
    Some(size)
}

/// Logs, metrics and headers tell of `value` by this name.
fn tellable(name: &str, value: &Value<'_>) {
    let instead = "use letters, digits and hyphens";
    if name.is_empty() {
        value.problem("has no name", instead);
    } else if name.chars().any(char::is_control) {
        value.problem("has a control character in its name", instead);
    }
}

/// Attempts on one candidate: few, because each may be billed and all must fit into `total`.
fn attempts(value: &Value<'_>) -> Option<NonZeroU32> {
    let number = value.integer(1..=10)?;
    NonZeroU32::new(u32::try_from(number).ok()?)
}

fn positive(value: &Value<'_>) -> Option<Duration> {
    let duration = value.duration()?;
    if duration.is_zero() {
        value.problem("should be longer than nothing", "");
        return None;
    }
    Some(duration)
}
