//! Connections to a server, kept for the next request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use thiserror::Error;
use tower::ServiceExt;
use tower::util::MapErr;

/// Load balancers close idle connections after 60 s and more; whoever closes first decides whether a request is lost.
pub(crate) const IDLE: Duration = Duration::from_secs(50);
/// Between two signs of life on a connection, of HTTP/2 as of TCP.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Connections that are kept.
const KEPT: usize = 256;

/// The host's name could not be resolved.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct DnsError(io::Error);

type Resolver = MapErr<GaiResolver, fn(io::Error) -> DnsError>;

/// Connections to one server or to several. Clones share them.
///
/// Redirects are not followed, and no proxy is used. A request that a kept connection could not take any more goes out
/// on another one; nothing else is repeated.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>);

/// Whose certificates are trusted.
#[derive(Debug)]
pub(crate) enum Roots {
    /// Those of the authorities that the system trusts.
    Public,
    /// Those of these authorities alone.
    Only(Vec<CertificateDer<'static>>),
}

impl Roots {
    /// The public ones, if anything is encrypted at all: a system without certificates is good enough for the rest.
    pub(crate) fn public_if(encrypted: bool) -> Self {
        if encrypted { Self::Public } else { Self::Only(Vec::new()) }
    }

    /// The same for what is to be asked at these URLs.
    pub(crate) fn for_urls<'a>(urls: impl IntoIterator<Item = &'a String>) -> Self {
        let is_https = |url: &String| url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        Self::public_if(urls.into_iter().any(is_https))
    }
}

impl Pool {
    /// No connection yet; one attempt to connect to an address takes `connect_within` at most.
    ///
    /// # Errors
    /// The system has no certificates, or one of those given cannot be read.
    pub(crate) fn new(roots: Roots, connect_within: Duration) -> Result<Self, rustls::Error> {
        let tls =
            ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?;
        let tls = match roots {
            Roots::Public => tls.with_platform_verifier()?,
            Roots::Only(certificates) => {
                let mut store = RootCertStore::empty();
                for certificate in certificates {
                    store.add(certificate)?;
                }
                tls.with_root_certificates(store)
            }
        };
        let resolver: Resolver = GaiResolver::new().map_err(DnsError);
        let mut connector = HttpConnector::new_with_resolver(resolver);
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(connect_within));
        connector.set_keepalive(Some(KEEP_ALIVE));
        connector.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.with_no_client_auth())
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(KEPT)
            // One silent HTTP/2 connection would otherwise swallow call after call until TCP gives up on it.
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE / 3)
            .http2_keep_alive_while_idle(true)
            .build(connector);
        Ok(Self(client))
    }

    /// Sends a request and waits for the head of the answer, without end.
    ///
    /// # Errors
    /// No connection, or one that broke.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, legacy::Error> {
        self.0.request(request).await
    }
}
