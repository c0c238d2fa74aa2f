//! Callers that stop reading.

use std::{io, time::Duration};

use tokio::net::TcpStream;

/// Has the system give a connection up once what was sent on it has been left unread for so long:
/// what is to be written to it then fails. Otherwise whoever asks and never reads would keep a place
/// among the requests for as long as he likes, as a caller that is slow is no fault of a provider's
/// and none of a call's limits counts the time.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
pub(super) fn limit(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limit))
}

/// Other systems have no such limit.
#[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
pub(super) fn limit(_: &TcpStream, _: Duration) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::{
        io::AsyncWriteExt,
        net::TcpListener,
        time::{Instant, timeout},
    };

    use super::*;

    #[tokio::test]
    async fn a_connection_that_nobody_reads_from_is_given_up() {
        let unread = Duration::from_millis(300);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("has one");
        let (caller, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let _caller = caller.expect("connects");
        let (mut stream, _) = accepted.expect("is accepted");
        limit(&stream, unread).expect("is set");
        let start = Instant::now();
        let written = async {
            loop {
                if let Err(error) = stream.write_all(&[0; 1 << 16]).await {
                    return error;
                }
            }
        };
        let error = timeout(Duration::from_secs(30), written).await;
        let error = error.expect("does not wait for ever");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        assert!(start.elapsed() >= unread);
    }
}
