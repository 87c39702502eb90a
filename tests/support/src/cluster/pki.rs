//! The certificates of a test cluster, from a CA of its own: clients verify the server as they would a real one.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use std::path::{Path, PathBuf};

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// What the servers read as files, and what clients hold.
#[derive(Clone, Debug)]
pub(super) struct Pki {
    pub(super) ca: String,
    pub(super) admin: Identity,
    pub(super) ca_file: PathBuf,
    pub(super) server_certificate_file: PathBuf,
    pub(super) server_key_file: PathBuf,
    /// Signs the tokens of ServiceAccounts.
    pub(super) token_key_file: PathBuf,
    /// Verifies them.
    pub(super) token_public_key_file: PathBuf,
}

impl Pki {
    /// Makes everything anew and writes what the servers need to `directory`.
    pub(super) fn create(directory: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "usher test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let ca = CertifiedIssuer::self_signed(params, new_key()).expect("a CA can be made");

        let names = ["localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let mut params = CertificateParams::new(names.map(str::to_owned)).expect("these are names");
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = issue(params, &ca);

        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "admin");
        params.distinguished_name.push(DnType::OrganizationName, "system:masters");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let admin = issue(params, &ca);

        let tokens = new_key();
        let write = |name: &str, content: &str| {
            let path = directory.join(name);
            std::fs::write(&path, content).expect("a file can be written to a new directory");
            path
        };
        Self {
            ca_file: write("ca.crt", &ca.pem()),
            server_certificate_file: write("server.crt", &server.certificate),
            server_key_file: write("server.key", &server.key),
            token_key_file: write("tokens.key", &tokens.serialize_pem()),
            token_public_key_file: write("tokens.pub", &tokens.public_key_pem()),
            ca: ca.pem(),
            admin,
        }
    }
}

fn issue(mut params: CertificateParams, ca: &CertifiedIssuer<'_, KeyPair>) -> Identity {
    params.use_authority_key_identifier_extension = true;
    let key = new_key();
    let certificate = params.signed_by(&key, ca).expect("the CA can sign");
    Identity { certificate: certificate.pem(), key: key.serialize_pem() }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}
