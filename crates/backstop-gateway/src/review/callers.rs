//! Who may call, and what for.

use super::Warning;
use crate::config::Config;

/// Each caller by itself.
pub(super) fn each(config: &Config, warnings: &mut Vec<Warning>) {
    for (name, key) in &config.keys {
        let mut warn = |text| {
            warnings.push(Warning {
                place: format!("keys.{name}"),
                text,
            });
        };
        for model in &key.models {
            if config.model(model).is_none() {
                warn(format!("may ask for {model}, and no model is called that"));
            }
        }
        if config.admin.sha256 == Some(key.sha256) {
            warn("is the admin key too: whoever calls may change everything".to_owned());
        }
    }
}
