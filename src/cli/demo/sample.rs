//! The manifests that the demo writes, to be read and edited.

use std::{fs, io, path::Path};

/// The name of the LiveKitServer, in namespace `default`.
pub(super) const SERVER: &str = "demo";
/// The key of the simulated server.
pub(super) const KEY: &str = "devkey";
/// Its secret, which is none: the server is on the loopback address and knows nothing.
pub(super) const SECRET: &str = "a-secret-of-the-demo-that-is-none";

/// What the folder holds beside the server.
const SAMPLES: [(&str, &str); 5] = [
    ("webinar.yaml", include_str!("manifests/webinar.yaml")),
    ("classroom.yaml", include_str!("manifests/classroom.yaml")),
    ("overflow.yaml", include_str!("manifests/overflow.yaml")),
    ("lobby.yaml", include_str!("manifests/lobby.yaml")),
    ("names.yaml", include_str!("manifests/names.yaml")),
];
/// Where the server stands.
const SERVER_FILE: &str = "server.yaml";

/// Writes the manifests. In a folder of an earlier demo, those that somebody may have edited or deleted stay as they
/// are; where the server is, is written anew.
pub(super) fn write(folder: &Path, url: &str) -> io::Result<()> {
    let is_new = !folder.join(SERVER_FILE).exists();
    fs::create_dir_all(folder)?;
    fs::write(folder.join(SERVER_FILE), server(url))?;
    if is_new {
        for (name, text) in SAMPLES {
            let path = folder.join(name);
            if !path.exists() {
                fs::write(path, text)?;
            }
        }
    }
    Ok(())
}

fn server(url: &str) -> String {
    format!(
        "# Written anew by each `usher demo`, for it says where the simulated LiveKit is.
apiVersion: v1
kind: Secret
metadata:
  name: demo-keys
stringData:
  LIVEKIT_API_KEY: {KEY}
  LIVEKIT_API_SECRET: {SECRET}
---
apiVersion: usher.dev/v1alpha1
kind: LiveKitServer
metadata:
  name: {SERVER}
spec:
  url: {url}
  credentials:
    secretRef: {{name: demo-keys}}
  resyncInterval: 5s
"
    )
}
