//! `base_resp`, by which MiniMax tells of errors under a good status.

use backstop_core::FaultKind;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Error, error::words, lenient};

/// How it went, beside an answer or in place of one.
#[derive(Deserialize)]
struct BaseResp {
    #[serde(default, deserialize_with = "lenient::scalar")]
    status_code: u32,
    #[serde(default, deserialize_with = "lenient::scalar")]
    status_msg: String,
}

/// What its codes mean. One that is not here says that there is no answer, and no more.
const CODES: &[(u32, FaultKind)] = &[
    (1000, FaultKind::Unavailable),
    (1001, FaultKind::Unavailable),
    (1002, FaultKind::RateLimited),
    (1004, FaultKind::Denied),
    (1008, FaultKind::QuotaExhausted),
    (1013, FaultKind::Unavailable),
    (1024, FaultKind::Unavailable),
    (1026, FaultKind::Filtered),
    (1027, FaultKind::Filtered),
    (1033, FaultKind::Unavailable),
    (1039, FaultKind::RateLimited),
    (1041, FaultKind::RateLimited),
    (2013, FaultKind::Invalid),
    (2049, FaultKind::Denied),
    (2056, FaultKind::QuotaExhausted),
];

/// The error that it tells of, if there is one.
pub(super) fn error(raw: &RawValue) -> Option<Error> {
    let BaseResp {
        status_code,
        status_msg,
    } = serde_json::from_str(raw.get()).ok()?;
    if status_code == 0 {
        return None;
    }
    let known = CODES.iter().find(|(known, _)| *known == status_code);
    let known = known.map_or(FaultKind::Malformed, |(_, kind)| *kind);
    let kind = match known {
        // The message tells more: that the request is too long, perhaps.
        FaultKind::Invalid | FaultKind::Malformed => {
            words::kind_of(&[], &status_msg).unwrap_or(known)
        }
        known => known,
    };
    let message = match &*status_msg {
        "" => "the provider gave no reason",
        message => message,
    };
    Some(Error::new(kind, message).with_code(status_code.to_string()))
}
