//! Run with: cargo run -p backstop-examples --example redis
//!
//! Retry and circuit breaker guard a real Redis, which is killed and started again while they do.
//! It starts `redis-server` itself; where that is not installed it says so, and that is all.

use std::{net::TcpListener, num::NonZeroU32, process::Stdio, time::Duration};

use backstop_circuit_breaker::{CircuitBreaker, OpenWait, Policy};
use backstop_core::{BoxError, context};
use backstop_retry::RetryLayer;
use backstop_timeout::TimeoutLayer;
use redis::{AsyncCommands, Client};
use tokio::{
    process::{Child, Command},
    time::sleep,
};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

/// A Redis without a disk, which lives no longer than this program.
async fn start(port: u16, client: &Client) -> Result<Child, BoxError> {
    let server = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", ""])
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    while client.get_multiplexed_async_connection().await.is_err() {
        sleep(Duration::from_millis(25)).await;
    }
    Ok(server)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    if Command::new("redis-server")
        .arg("--version")
        .output()
        .await
        .is_err()
    {
        println!("skipped: redis-server is not installed");
        return Ok(());
    }
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let client = Client::open(format!("redis://127.0.0.1:{port}/"))?;

    let breaker = Policy::new()
        .consecutive(NonZeroU32::new(5).ok_or("five is not zero")?)
        .open_for(OpenWait::fixed(Duration::from_millis(500)))
        .layer("redis");
    let circuit = breaker.handle();
    let connect = client.clone();
    let mut counter = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(breaker)
        .layer(TimeoutLayer::new().response(Duration::from_secs(1)))
        .service(service_fn(move |key: &'static str| {
            let client = connect.clone();
            async move {
                let mut connection = client.get_multiplexed_async_connection().await?;
                Ok::<u64, BoxError>(connection.incr(key, 1).await?)
            }
        }));

    let mut server = start(port, &client).await?;
    count(&mut counter, &circuit).await;
    server.kill().await?;
    println!("-- Redis is killed");
    for _ in 0..4 {
        count(&mut counter, &circuit).await;
    }
    let _server = start(port, &client).await?;
    println!("-- Redis is back");
    sleep(circuit.remaining().unwrap_or_default()).await;
    count(&mut counter, &circuit).await;
    Ok(())
}

async fn count<S>(counter: &mut S, circuit: &CircuitBreaker)
where
    S: Service<&'static str, Response = u64, Error = BoxError>,
{
    let call = async { counter.ready().await?.call("visits").await };
    match context::traced(call).await {
        (Ok(visits), _) => println!("visit {visits}, circuit {}", circuit.state()),
        (Err(_), trail) => println!("{trail}; circuit {}", circuit.state()),
    }
}
