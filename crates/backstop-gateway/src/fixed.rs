//! What stays as it was at the start, whatever a reload says.

use crate::config::Config;

/// The settings that are not as they were when the gateway started, which take effect with the next
/// start only.
pub(crate) fn changed(started: &Config, now: &Config) -> Vec<&'static str> {
    let (old, new) = (&started.limits, &now.limits);
    let all = [
        // Who said where to listen when starting it meant that, whatever the file says.
        (
            "listen",
            !started.told_where && started.listen != now.listen,
        ),
        ("admin.listen", started.admin.listen != now.admin.listen),
        ("state_file", started.state_file != now.state_file),
        ("tls", started.tls.is_some() != now.tls.is_some()),
        ("telemetry", started.telemetry != now.telemetry),
        ("limits.connections", old.connections != new.connections),
        ("limits.header", old.header != new.header),
        ("limits.unread", old.unread != new.unread),
        ("limits.shutdown", old.shutdown != new.shutdown),
    ];
    let changed = all.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(name, _)| name).collect()
}
