//! Run with: cargo run -p backstop-examples --example breaker_alone
//!
//! The circuit breaker by itself, round a service that has nothing to do with language models: a
//! warehouse that is asked what it has in stock, and is away for a while.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use backstop_circuit_breaker::{Open, OpenWait, Policy};
use backstop_core::BoxError;
use tokio::time::sleep;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

/// What can go wrong: the warehouse's own trouble, and a circuit that is open.
#[derive(Debug)]
enum StockError {
    Away,
    Open(Open),
}

impl From<Open> for StockError {
    fn from(open: Open) -> Self {
        Self::Open(open)
    }
}

static AWAY: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU32 = AtomicU32::new(0);

async fn stock(article: &'static str) -> Result<u32, StockError> {
    CALLS.fetch_add(1, Ordering::Relaxed);
    if AWAY.load(Ordering::Relaxed) {
        return Err(StockError::Away);
    }
    Ok(article.len() as u32)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let layer = Policy::new()
        .consecutive(NonZeroU32::new(3).ok_or("three is not zero")?)
        .open_for(OpenWait::fixed(Duration::from_millis(200)))
        .layer("warehouse");
    let circuit = layer.handle();
    let mut warehouse = ServiceBuilder::new()
        .layer(layer)
        .service(service_fn(stock));

    for (away, calls) in [(false, 1), (true, 5)] {
        AWAY.store(away, Ordering::Relaxed);
        for _ in 0..calls {
            ask(&mut warehouse).await;
        }
    }
    println!(
        "circuit {}, {} calls made",
        circuit.state(),
        CALLS.load(Ordering::Relaxed)
    );

    // The warehouse is back, and once the wait is over a single call finds that out.
    AWAY.store(false, Ordering::Relaxed);
    if let Some(wait) = circuit.remaining() {
        sleep(wait).await;
    }
    ask(&mut warehouse).await;
    println!(
        "circuit {}, {} calls made",
        circuit.state(),
        CALLS.load(Ordering::Relaxed)
    );
    Ok(())
}

async fn ask<S>(warehouse: &mut S)
where
    S: Service<&'static str, Response = u32, Error = StockError>,
{
    let answer = match warehouse.ready().await {
        Ok(ready) => ready.call("lamp").await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(count) => println!("{count} lamps in stock"),
        Err(StockError::Away) => println!("the warehouse is away"),
        Err(StockError::Open(open)) => println!("not asked: {open}"),
    }
}
