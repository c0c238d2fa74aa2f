//! A provider over HTTP/2 with TLS, which a test answers by hand.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use backstop_llm::{Dialect, Model, Provider, ProviderBuilder};
use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    server::{self, SendResponse},
};
use tokio::{
    io::{AsyncWriteExt, DuplexStream, copy, duplex, sink, split},
    net::TcpStream,
    sync::mpsc,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{PrivateKeyDer, pem::PemObject as _},
    },
};

use super::server::{listen, within};

const NAMES: [&str; 2] = ["127.0.0.1", "provider.test"];

pub(crate) struct Server {
    pub(crate) port: u16,
    /// Its certificate, in PEM.
    pub(crate) certificate: String,
    connections: Arc<AtomicUsize>,
    calls: mpsc::UnboundedReceiver<Call>,
    ended: mpsc::UnboundedReceiver<()>,
}

/// What to do with a connection.
#[derive(Debug)]
pub(crate) enum Order {
    /// Serves what has come, and takes no more.
    GoAway,
    /// Closes it without a word.
    Close,
}

/// A request that waits for its answer.
pub(crate) struct Call {
    pub(crate) respond: SendResponse<Bytes>,
    pub(crate) body: RecvStream,
    /// The connection that it came over.
    pub(crate) connection: mpsc::UnboundedSender<Order>,
}

impl Call {
    /// Begins an answer.
    pub(crate) fn begin(&mut self) -> SendStream<Bytes> {
        let head = http::Response::new(());
        self.respond.send_response(head, false).expect("is sent")
    }

    pub(crate) fn answer(&mut self, body: impl Into<Bytes>) {
        self.begin().send_data(body.into(), true).expect("is sent");
    }

    pub(crate) fn tell(&self, order: Order) {
        self.connection.send(order).expect("it is open");
    }
}

/// TLS for HTTP/2, and its certificate in PEM.
pub(crate) fn tls() -> (TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned)).expect("is made");
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes());
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.expect("a key"))
        .expect("is a pair");
    config.alpn_protocols = vec![b"h2".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with_limit(100).await
    }

    /// One that serves so many calls over a connection at a time.
    pub(crate) async fn with_limit(limit: u32) -> Self {
        let (tls, certificate) = tls();
        let (listener, address) = listen().await;
        let connections = Arc::new(AtomicUsize::new(0));
        let (called, calls) = mpsc::unbounded_channel();
        let (over, ended) = mpsc::unbounded_channel();
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (near, far) = duplex(1 << 16);
                tokio::spawn(serve(tls.clone(), far, limit, called.clone()));
                let over = over.clone();
                tokio::spawn(async move {
                    relay(socket, near).await;
                    over.send(()).ok();
                });
            }
        });
        Self {
            port: address.port(),
            certificate,
            connections,
            calls,
            ended,
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) async fn call(&mut self) -> Call {
        within(self.calls.recv()).await.expect("a call")
    }

    /// Waits until both sides have closed a connection.
    pub(crate) async fn ended(&mut self) {
        within(self.ended.recv()).await.expect("an end");
    }

    /// A model here, by a provider that trusts the certificate.
    pub(crate) fn model(&self, change: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> Model {
        let builder = Provider::builder(Dialect::OpenAi)
            .base_url(format!("https://127.0.0.1:{}", self.port))
            .api_key("sk-secret-key-0123456789")
            .root_certificates(self.certificate.clone());
        change(builder).build().expect("a provider").model("m")
    }
}

async fn serve(
    tls: TlsAcceptor,
    io: DuplexStream,
    limit: u32,
    called: mpsc::UnboundedSender<Call>,
) {
    let Ok(tls) = tls.accept(io).await else {
        return;
    };
    let mut http2 = server::Builder::new();
    let http2 = http2.max_concurrent_streams(limit).handshake(tls).await;
    let mut http2 = http2.expect("speaks HTTP/2");
    let (connection, mut orders) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            next = http2.accept() => {
                let Some(Ok((request, respond))) = next else { return };
                let (body, connection) = (request.into_body(), connection.clone());
                called.send(Call { respond, body, connection }).ok();
            }
            order = orders.recv() => match order {
                Some(Order::GoAway) => http2.graceful_shutdown(),
                _ => return,
            }
        }
    }
}

/// Passes bytes on until each side has closed its own direction.
async fn relay(socket: TcpStream, near: DuplexStream) {
    let (mut from_client, mut to_client) = socket.into_split();
    let (mut from_server, mut to_server) = split(near);
    let down = async {
        copy(&mut from_server, &mut to_client).await.ok();
        to_client.shutdown().await.ok();
    };
    let up = async {
        copy(&mut from_client, &mut to_server).await.ok();
        to_server.shutdown().await.ok();
        copy(&mut from_client, &mut sink()).await.ok();
    };
    tokio::join!(down, up);
}
