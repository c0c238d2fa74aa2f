//! Listens, and serves each connection so that it can be ended in every way.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::sleep,
};

use crate::{answer, body::Line, control, simulator::Shared};

/// Asked of the server by its handle.
#[derive(Debug)]
pub(crate) enum Command {
    /// Stop listening and drop every connection.
    Down(oneshot::Sender<()>),
    /// Listen again.
    Up(oneshot::Sender<io::Result<()>>),
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) listener: Option<TcpListener>,
    pub(crate) address: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: mpsc::Receiver<Command>,
}

impl Server {
    /// Serves until the handle is gone. Dropping this future drops every connection.
    pub(crate) async fn run(mut self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Down(done)) => {
                        self.listener = None;
                        connections.shutdown().await;
                        let _ = done.send(());
                    }
                    Some(Command::Up(done)) => {
                        let _ = done.send(self.listen().await);
                    }
                    None => return,
                },
                stream = accept(self.listener.as_ref()) => {
                    connections.spawn(serve(stream, Arc::clone(&self.shared)));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn listen(&mut self) -> io::Result<()> {
        if self.listener.is_none() {
            self.listener = Some(TcpListener::bind(self.address).await?);
        }
        Ok(())
    }
}

/// The next connection; never, where nothing listens.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // Out of file descriptors, most likely: some will come back.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Without it a chunk would wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    if shared.faults.refuses() && !control::is_control(&stream).await {
        shared.faults.take();
        let _ = stream.set_zero_linger();
        return;
    }
    let line = Line::default();
    let service = service_fn(|request| answer::answer(request, &shared, &line));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // The error is the fault's doing, or the caller's.
    let _ = (&mut connection).await;
    if line.is_reset() {
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}
