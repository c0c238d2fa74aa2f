//! Run with: cargo run -p backstop-examples --example static_reply
//!
//! The last candidate of a chain is a plain `service_fn` that always has an answer, marked as a
//! lesser one. A degraded tier is nothing special: it is a service like any other.

use backstop_core::{BoxError, ServedBy, Stamp};
use backstop_fallback::{Candidate, Chain};
use backstop_served_by::ServedByLayer;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};

/// A weather report, with a place for who gave it.
#[derive(Debug)]
struct Weather {
    text: &'static str,
    served_by: Option<ServedBy>,
}

impl Weather {
    const fn new(text: &'static str) -> Self {
        Self {
            text,
            served_by: None,
        }
    }
}

impl Stamp for Weather {
    fn served_by(&self) -> Option<&ServedBy> {
        self.served_by.as_ref()
    }

    fn served_by_mut(&mut self) -> Option<&mut ServedBy> {
        self.served_by.as_mut()
    }

    fn stamp(&mut self, stamp: ServedBy) {
        self.served_by = Some(stamp);
    }
}

type Source = BoxCloneSyncService<&'static str, Weather, BoxError>;

/// A station that knows about one town only.
fn station(name: &'static str, knows: &'static str) -> Candidate<Source> {
    let service = ServiceBuilder::new()
        .layer(ServedByLayer::new(name))
        .service(service_fn(move |town: &'static str| async move {
            if town == knows {
                return Ok(Weather::new("18 degrees and some clouds"));
            }
            Err(BoxError::from("out of reach"))
        }));
    Candidate::new(name, BoxCloneSyncService::new(service))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let almanac =
        ServedByLayer::new("almanac")
            .degraded()
            .layer(service_fn(|_: &'static str| async {
                Ok::<_, BoxError>(Weather::new("much as it always is"))
            }));
    let weather = Chain::new([
        station("harbour", "Kiel"),
        station("summit", "Davos"),
        // It costs nothing to ask, so no bound on attempts keeps it from being asked.
        Candidate::new("almanac", BoxCloneSyncService::new(almanac)).free(),
    ])?;

    for town in ["Kiel", "Davos", "Atlantis"] {
        let report = weather.clone().oneshot(town).await?;
        print!("{town}: {}", report.text);
        if let Some(served) = report.served_by() {
            let lesser = if served.degraded {
                ", a lesser answer"
            } else {
                ""
            };
            println!(
                " ({served}{lesser}; failed before: {})",
                served.trail.attempts().len()
            );
        }
    }
    Ok(())
}
