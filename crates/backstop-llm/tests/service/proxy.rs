//! Ways to a provider that is not simply there: a proxy, a certificate, nobody at all.

use std::{error::Error as _, fmt::Write as _, net::SocketAddr, time::Duration};

use backstop_core::FaultKind;
use backstop_llm::{Dialect, Error, Model, Provider};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::TcpStream,
    sync::mpsc,
};
use tower::ServiceExt as _;

use super::{
    connections::ask,
    server::{WHOLE, hello, listen, within},
    tls::Server,
};

/// A proxy that answers each `CONNECT` like this, and goes on to the port where it agreed.
async fn proxy(answer: &'static str, port: u16) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let (listener, address) = listen().await;
    let (saw, heads) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let saw = saw.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(socket.read_u8().await.expect("a head"));
                }
                saw.send(String::from_utf8(head).expect("text")).ok();
                socket.write_all(answer.as_bytes()).await.expect("is sent");
                if answer.starts_with("HTTP/1.1 200") {
                    let to = TcpStream::connect(("127.0.0.1", port)).await;
                    let mut to = to.expect("a server");
                    copy_bidirectional(&mut socket, &mut to).await.ok();
                }
            });
        }
    });
    (address, heads)
}

async fn fails(model: Model) -> Error {
    let error = within(model.oneshot(hello())).await.expect_err("no answer");
    assert_eq!(error.fault().kind(), FaultKind::Connect);
    error
}

/// What an error and its causes say.
fn told(error: &Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(told, ": {error}").expect("is text");
        cause = error.source();
    }
    let told = format!("{told} {error:?}");
    assert!(!told.contains("secret"), "{told}");
    told
}

/// A model whose provider, at this address, can only be reached through this proxy.
fn behind(proxy: String, base_url: &str) -> Model {
    let provider = Provider::builder(Dialect::OpenAi)
        .base_url(base_url)
        .api_key("sk-secret-key-0123456789")
        .proxy(proxy);
    provider.build().expect("a provider").model("m")
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_with_and_without_a_password() {
    let auth = "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n";
    for (user, auth) in [("", None), ("me:secret@", Some(auth))] {
        let mut server = Server::start().await;
        let (address, mut heads) = proxy("HTTP/1.1 200 Connected\r\n\r\n", server.port).await;
        let model = server.model(|it| {
            it.base_url("https://provider.test/v1")
                .proxy(format!("http://{user}{address}"))
        });
        for _ in 0..2 {
            tokio::join!(ask(&model, hello()), async {
                server.call().await.answer(WHOLE);
            });
        }
        // Both calls share one tunnel.
        assert_eq!(server.connections(), 1);
        let head = within(heads.recv()).await.expect("a tunnel");
        let line = "CONNECT provider.test:443 HTTP/1.1\r\n";
        assert!(head.starts_with(line), "{head}");
        assert_eq!(head.contains("Proxy-Auth"), auth.is_some(), "{head}");
        assert!(head.contains(auth.unwrap_or_default()), "{head}");
    }
}

/// A proxy for SOCKS 5 that wants this name and password, where it wants any, and leads to the port
/// wherever it is asked to; and where that was.
async fn socks(
    pair: Option<(&'static str, &'static str)>,
    port: u16,
) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let (listener, address) = listen().await;
    let (saw, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let saw = saw.clone();
            tokio::spawn(async move {
                // Who is refused is left, and leaves.
                speak_socks(socket, pair, port, saw).await.ok();
            });
        }
    });
    (address, asked)
}

async fn speak_socks(
    mut socket: TcpStream,
    pair: Option<(&str, &str)>,
    port: u16,
    saw: mpsc::UnboundedSender<String>,
) -> std::io::Result<()> {
    let text = async |socket: &mut TcpStream| {
        let mut text = vec![0; socket.read_u8().await?.into()];
        socket.read_exact(&mut text).await?;
        Ok::<_, std::io::Error>(text)
    };
    assert_eq!(socket.read_u8().await?, 5, "the version");
    let offered = text(&mut socket).await?;
    let wanted = if pair.is_some() { 2 } else { 0 };
    if !offered.contains(&wanted) {
        return socket.write_all(&[5, 0xff]).await;
    }
    socket.write_all(&[5, wanted]).await?;
    if let Some((name, password)) = pair {
        assert_eq!(socket.read_u8().await?, 1, "the version");
        let told = [text(&mut socket).await?, text(&mut socket).await?];
        let known = told == [name.as_bytes(), password.as_bytes()];
        socket.write_all(&[1, u8::from(!known)]).await?;
    }
    let mut command = [0; 4];
    socket.read_exact(&mut command).await?;
    assert_eq!(command, [5, 1, 0, 3], "to a name");
    let name = String::from_utf8(text(&mut socket).await?).expect("is text");
    let to = socket.read_u16().await?;
    saw.send(format!("{name}:{to}")).ok();
    if port == 0 {
        // The host is unreachable.
        return socket.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    }
    socket.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await?;
    let mut to = TcpStream::connect(("127.0.0.1", port)).await?;
    copy_bidirectional(&mut socket, &mut to).await?;
    Ok(())
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_of_socks_with_and_without_a_password() {
    for (scheme, user, pair) in [
        ("socks5", "", None),
        ("socks5h", "me:se%40cret@", Some(("me", "se@cret"))),
    ] {
        let mut server = Server::start().await;
        let (address, mut asked) = socks(pair, server.port).await;
        let model = server.model(|it| {
            it.base_url("https://provider.test/v1")
                .proxy(format!("{scheme}://{user}{address}"))
        });
        for _ in 0..2 {
            tokio::join!(ask(&model, hello()), async {
                server.call().await.answer(WHOLE);
            });
        }
        assert_eq!(server.connections(), 1);
        let to = within(asked.recv()).await.expect("a tunnel");
        assert_eq!(to, "provider.test:443");
    }
}

#[tokio::test]
async fn a_proxy_for_socks_that_makes_no_tunnel_is_named_as_the_cause() {
    let no_tunnel = "the proxy makes no tunnel: SOCKS error: ";
    for (user, pair, cause) in [
        ("", None, "host unreachable"),
        (
            "me:secret@",
            Some(("me", "another")),
            "credentials not accepted",
        ),
        ("", Some(("me", "secret")), "does not support user/pass"),
    ] {
        let (address, _asked) = socks(pair, 0).await;
        let model = behind(
            format!("socks5://{user}{address}"),
            "http://provider.test/v1",
        );
        let error = fails(model).await;
        let told = told(&error);
        assert!(told.contains(cause), "{told}");
        let wants_one = cause == "credentials not accepted";
        assert_eq!(
            told.contains("the proxy wants a password"),
            wants_one,
            "{told}"
        );
        assert_eq!(told.contains(no_tunnel), !wants_one, "{told}");
    }
}

#[tokio::test]
async fn why_a_proxy_can_not_be_reached_is_told_whatever_it_speaks() {
    let (listener, nobody) = listen().await;
    drop(listener);
    for scheme in ["http", "socks5"] {
        let model = behind(
            format!("{scheme}://me:secret@{nobody}"),
            "https://provider.test/v1",
        );
        let error = fails(model).await;
        let told = told(&error);
        assert!(told.contains("the proxy makes no tunnel"), "{told}");
        assert!(told.contains("Connection refused"), "{told}");
    }
}

#[tokio::test]
async fn a_proxy_that_makes_no_tunnel_is_named_as_the_cause() {
    for (answer, cause) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "the proxy wants a password",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\n\r\n",
            "the proxy makes no tunnel: tunnel error: unsuccessful",
        ),
        (
            "",
            "the proxy makes no tunnel: tunnel error: unexpected end of file",
        ),
    ] {
        let (address, mut heads) = proxy(answer, 0).await;
        let model = behind(
            format!("http://me:secret@{address}"),
            "https://provider.test/v1",
        );
        let error = fails(model).await;
        assert!(told(&error).contains(cause), "{}", told(&error));
        // It is not asked again.
        heads.recv().await.expect("it was asked");
        assert!(heads.try_recv().is_err());
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_named_as_the_cause() {
    let (server, other) = (Server::start().await, Server::start().await);
    let model = server.model(|it| it.root_certificates(other.certificate.clone()));
    let error = fails(model).await;
    assert_eq!(error.fault().reason(), Some("certificate not trusted"));
    let told = told(&error);
    assert!(told.contains("invalid peer certificate"), "{told}");
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_told_from_one_that_has_no_such_name() {
    let (listener, nobody) = listen().await;
    drop(listener);
    for (at, reason) in [
        (nobody.to_string(), "connection refused"),
        ("no-such-name.invalid".to_owned(), "name not resolved"),
    ] {
        let provider = Provider::builder(Dialect::OpenAi).base_url(format!("http://{at}/v1"));
        let error = fails(provider.build().expect("a provider").model("m")).await;
        assert_eq!(error.fault().reason(), Some(reason));
        assert!(!error.to_string().contains(&at), "{error}");
    }
}

#[tokio::test]
async fn connecting_may_take_no_longer_than_it_is_told() {
    // The system takes connections for it, and nobody ever speaks TLS.
    let (_listener, address) = listen().await;
    let provider = Provider::builder(Dialect::OpenAi)
        .base_url(format!("https://{address}"))
        .connect_timeout(Duration::from_millis(20));
    let error = fails(provider.build().expect("a provider").model("m")).await;
    assert_eq!(error.message(), "connecting took too long");
}

#[test]
fn root_certificates_that_are_none_are_refused_at_once() {
    let provider = Provider::builder(Dialect::OpenAi).root_certificates("not a certificate");
    let error = provider.build().expect_err("there is none in it");
    assert_eq!(error.to_string(), "invalid root certificates");
}
