//! TLS: a private CA, and words for what goes wrong.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::Version;
use axum::routing::post;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use usher::livekit::{Calls, Class, Client, Error, TlsProblem};

use crate::scripted::{Scripted, Step, answer, config, protobuf};

/// A CA of our own.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// TLS for a plain server, with a certificate for these names that is valid for these years.
    async fn front(
        &self,
        upstream: SocketAddr,
        names: &[&str],
        years: std::ops::Range<i32>,
        protocols: &[&[u8]],
    ) -> SocketAddr {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let mut tls = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let tls = Arc::new(tls);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let connection = ServerConnection::new(tls.clone()).unwrap();
                tokio::spawn(async move {
                    let server = TcpStream::connect(upstream).await.unwrap();
                    let _ = pump(client, server, connection).await;
                });
            }
        });
        address
    }
}

/// Carries bytes between a TLS client and a plain server until either ends.
async fn pump(mut client: TcpStream, mut server: TcpStream, mut tls: ServerConnection) -> std::io::Result<()> {
    let mut ciphertext = [0; 4096];
    let mut plaintext = [0; 4096];
    loop {
        let mut outgoing = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut outgoing)?;
        }
        client.write_all(&outgoing).await?;
        tokio::select! {
            count = client.read(&mut ciphertext) => {
                let mut incoming = &ciphertext[..count?];
                if incoming.is_empty() {
                    return Ok(());
                }
                while !incoming.is_empty() {
                    tls.read_tls(&mut incoming)?;
                    if tls.process_new_packets().is_err() {
                        let mut alert = Vec::new();
                        tls.write_tls(&mut alert)?;
                        return client.write_all(&alert).await;
                    }
                }
                while let Ok(count @ 1..) = tls.reader().read(&mut plaintext) {
                    server.write_all(&plaintext[..count]).await?;
                }
            }
            count = server.read(&mut plaintext) => match count? {
                0 => return client.shutdown().await,
                count => tls.writer().write_all(&plaintext[..count])?,
            },
        }
    }
}

fn client(address: SocketAddr, ca: Option<Vec<u8>>) -> Client {
    let mut config = config(&format!("wss://localhost:{}", address.port()));
    config.ca = ca;
    Client::new(config).unwrap()
}

#[tokio::test]
async fn a_private_ca_is_trusted_alone() {
    let server = Scripted::answering(protobuf("")).await;
    let (ours, other) = (Ca::new(), Ca::new());
    let address = ours.front(server.address, &["localhost"], 2020..2090, &[]).await;

    assert_eq!(client(address, Some(ours.pem())).list_rooms(vec![]).await, Ok(vec![]));
    let both = [other.pem(), ours.pem()].concat();
    assert_eq!(client(address, Some(both)).list_rooms(vec![]).await, Ok(vec![]), "a bundle of several");

    let error = client(address, Some(other.pem())).list_rooms(vec![]).await.unwrap_err();
    assert_eq!(error, Error::Tls(TlsProblem::UnknownIssuer { private: true }));
    assert_eq!(server.requests().len(), 2, "nothing is said to a server that is not trusted");
}

/// Whose CA is a public one is up to the system, which can be told by the environment: another process has it, this
/// program again for the test after this one.
#[tokio::test(flavor = "multi_thread")]
async fn a_private_ca_replaces_the_public_ones() {
    let server = Scripted::answering(protobuf("")).await;
    let public = Ca::new();
    let address = public.front(server.address, &["localhost"], 2020..2090, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, public.pem()).unwrap();
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "tls::seen_by_a_process_that_holds_the_ca_for_public"])
        .env("SSL_CERT_FILE", &file)
        .env_remove("SSL_CERT_DIR")
        .env("PORT_OF_TLS_SERVER", address.port().to_string())
        .output()
        .await
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
#[ignore = "needs the environment that the test before it gives"]
async fn seen_by_a_process_that_holds_the_ca_for_public() {
    let Ok(port) = std::env::var("PORT_OF_TLS_SERVER") else { return };
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
    assert_eq!(client(address, None).list_rooms(vec![]).await, Ok(vec![]));
    let error = client(address, Some(Ca::new().pem())).list_rooms(vec![]).await.unwrap_err();
    assert_eq!(error, Error::Tls(TlsProblem::UnknownIssuer { private: true }));
}

#[tokio::test]
async fn without_the_ca_the_error_names_the_remedy() {
    let server = Scripted::answering(protobuf("")).await;
    let ca = Ca::new();
    let address = ca.front(server.address, &["localhost"], 2020..2090, &[]).await;
    let error = match Client::new(config(&format!("https://localhost:{}", address.port()))) {
        Ok(client) => client.list_rooms(vec![]).await.unwrap_err(),
        // Where the system has no certificates at all, nothing public can be trusted and no client is made.
        Err(error) => return assert!(error.to_string().contains("CA certificates"), "{error}"),
    };
    assert_eq!(error, Error::Tls(TlsProblem::UnknownIssuer { private: false }));
    assert_eq!((error.class(), error.label()), (Class::Transient { retry_after: None }, "tls"));
    assert!(error.to_string().contains("CA bundle"), "{error}");
}

#[tokio::test]
async fn each_fault_of_a_certificate_has_its_words() {
    let server = Scripted::answering(protobuf("")).await;
    let ca = Ca::new();
    for (names, years, problem) in [
        (["localhost"], 2020..2021, TlsProblem::Expired),
        (["localhost"], 2080..2090, TlsProblem::Expired),
        (["example.com"], 2020..2090, TlsProblem::WrongName),
    ] {
        let address = ca.front(server.address, &names, years, &[]).await;
        let error = client(address, Some(ca.pem())).list_rooms(vec![]).await.unwrap_err();
        assert_eq!(error, Error::Tls(problem));
    }
}

#[tokio::test]
async fn a_port_that_does_not_speak_tls_is_told() {
    // Go's words for it, which LiveKit would say.
    let refusal = answer("400 Bad Request", &[], "Client sent an HTTPS request to an HTTP server.");
    let server = Scripted::start(vec![Step::Send(refusal)]).await;
    let error = client(server.address, Some(Ca::new().pem())).list_rooms(vec![]).await.unwrap_err();
    assert_eq!(error, Error::Tls(TlsProblem::NotTls));
}

#[tokio::test]
async fn http2_is_used_where_it_is_offered() {
    let versions: Arc<Mutex<Vec<Version>>> = Arc::default();
    let seen = versions.clone();
    let app = Router::new().fallback(post(async move |request: axum::extract::Request| {
        seen.lock().unwrap().push(request.version());
        ([("content-type", "application/protobuf")], "")
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let ca = Ca::new();
    let offers: [&[&[u8]]; 3] = [&[b"h2", b"http/1.1"], &[b"http/1.1"], &[]];
    for protocols in offers {
        let address = ca.front(upstream, &["localhost"], 2020..2090, protocols).await;
        client(address, Some(ca.pem())).list_rooms(vec![]).await.unwrap();
    }
    assert_eq!(*versions.lock().unwrap(), [Version::HTTP_2, Version::HTTP_11, Version::HTTP_11]);
}
