//! TLS on the listener.

use std::{fmt, path::Path, sync::Arc};

use arc_swap::ArcSwap;
use backstop_core::BoxError;
use tokio::net::TcpStream;
use tokio_rustls::{
    Accept, TlsAcceptor,
    rustls::{
        Error, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::config::Tls;

/// What speaks TLS with callers. Clones are the same, and renewed together.
#[derive(Clone)]
pub struct Acceptor(Arc<ArcSwap<ServerConfig>>);

impl Acceptor {
    /// By the certificate and the key that the config names.
    ///
    /// # Errors
    ///
    /// Where one of the files can't be read or holds no such thing, or the two don't fit.
    pub fn new(tls: &Tls) -> Result<Self, BoxError> {
        Ok(Self(Arc::new(ArcSwap::from(config(tls)?))))
    }

    /// Goes on by these files, or by what is now in them, from the next connection on.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new); then it goes on as it was.
    pub fn renew(&self, tls: &Tls) -> Result<(), BoxError> {
        self.0.store(config(tls)?);
        Ok(())
    }

    /// Speaks TLS with whoever is at the other end.
    pub(super) fn accept(&self, stream: TcpStream) -> Accept<TcpStream> {
        TlsAcceptor::from(self.0.load_full()).accept(stream)
    }
}

fn config(tls: &Tls) -> Result<Arc<ServerConfig>, BoxError> {
    let certificates = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| in_file(&tls.certificate, error))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| in_file(&tls.key, error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| match error {
            Error::InconsistentKeys(_) => in_file(
                &tls.key,
                format_args!("not the key of {}", tls.certificate.display()),
            ),
            error => in_file(&tls.certificate, error),
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// What is wrong with a file; never what is in it.
fn in_file(path: &Path, error: impl fmt::Display) -> BoxError {
    format!("{}: {error}", path.display()).into()
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acceptor")
    }
}
