//! What went wrong in TLS, in words that name the remedy.

use std::error::Error as StdError;
use std::fmt;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, Error as RustlsError, InvalidMessage};

/// Why no trusted connection came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsProblem {
    /// The certificate is signed by an authority that we do not trust; `private` tells whether a CA was given.
    UnknownIssuer {
        /// A private CA was configured, and it did not sign.
        private: bool,
    },
    /// The certificate has expired or is not yet valid, or our clock is wrong.
    Expired,
    /// The certificate is for other names.
    WrongName,
    /// The port does not speak TLS.
    NotTls,
    /// Anything else, as rustls says it.
    Other(String),
}

impl TlsProblem {
    /// Looks for a TLS error among the causes of an error.
    pub(super) fn find(error: &(dyn StdError + 'static), private: bool) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(tls) = error.downcast_ref::<RustlsError>() {
                return Some(Self::of(tls, private));
            }
            // An io::Error shows as its source not the error it carries, but that one's source.
            let carried = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            if let Some(found) = carried.and_then(|carried| Self::find(carried, private)) {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    fn of(error: &RustlsError, private: bool) -> Self {
        match error {
            RustlsError::InvalidCertificate(certificate) => match certificate {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer { private },
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::Expired,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::WrongName,
                other => Self::Other(bounded(other)),
            },
            RustlsError::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            other => Self::Other(bounded(other)),
        }
    }
}

/// The texts of rustls name their situation; only certificates' own words can be long.
fn bounded(error: &dyn fmt::Display) -> String {
    error.to_string().chars().take(200).collect()
}

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer { private: false } => f.write_str(
                "its certificate is signed by no public authority: give the CA that signed it as the CA bundle",
            ),
            Self::UnknownIssuer { private: true } => f.write_str(
                "its certificate is not signed by the given CA, which replaces the public authorities: \
                 give the CA that signed it",
            ),
            Self::Expired => f.write_str(
                "its certificate has expired or is not yet valid: renew it, or set the clock of this machine right",
            ),
            Self::WrongName => f.write_str("its certificate is for another name: use a host name that it holds"),
            Self::NotTls => f.write_str("the port does not speak TLS: use http:// or ws://, or another port"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// Reads a CA bundle in PEM.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|_| "is not valid PEM")?;
    if certificates.is_empty() {
        // An empty bundle would trust nobody, which shows only later and as something else.
        return Err("holds no certificate");
    }
    Ok(certificates)
}
