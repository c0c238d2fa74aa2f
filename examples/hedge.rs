//! Run with: cargo run -p backstop-examples --example hedge
//!
//! A second replica is started beside one that takes too long, and the first answer wins. A budget
//! that is shared with the retries bounds how much more is asked of the replicas in all.

use std::time::Duration;

use backstop_core::{BoxError, Budget};
use backstop_fallback::{Candidate, Chain};
use backstop_retry::RetryLayer;
use tokio::time::{Instant, sleep};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};

type Replica = BoxCloneSyncService<u32, String, BoxError>;

/// A replica that answers most questions at once and takes long over every third.
fn replica(name: &'static str, slow_at: u32, budget: &Budget) -> Candidate<Replica> {
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new().budget(budget.clone()))
        .service(service_fn(move |question: u32| async move {
            if question % 3 == slow_at {
                sleep(Duration::from_secs(2)).await;
            }
            Ok::<_, BoxError>(format!("{name} knows the answer to {question}"))
        }));
    Candidate::new(name, BoxCloneSyncService::new(service))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // One call in five may be asked a second time, and two more to begin with.
    let budget = Budget::ratio(0.2)?.initial(2);
    let mut replicas = Chain::new([replica("left", 0, &budget), replica("right", 1, &budget)])?
        .hedge(Duration::from_millis(50))
        .budget(budget.clone());

    for question in 1..=6 {
        let start = Instant::now();
        let answer = replicas.ready().await?.call(question).await?;
        let took = start.elapsed().as_millis();
        println!(
            "{answer}, after {took} ms; {:.1} tokens left",
            budget.balance()
        );
    }
    Ok(())
}
