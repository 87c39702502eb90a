//! The examples of the API's description, word by word.

/// One manifest each.
pub(crate) const EXAMPLES: &[&str] = &[SERVER, POLICY, FORWARD, MOVE, KEYS_FILE, OTHER_KEYS];

const SERVER: &str = r#"
apiVersion: usher.dev/v1alpha1
kind: LiveKitServer
metadata: {name: main, namespace: livekit}
spec:
  url: wss://livekit.example.com        # http, https, ws or wss
  credentials:                          # may be left out for `usher run --from` only; in a cluster: SecretNotFound
    secretRef: {name: livekit-keys}     # Secret in the same namespace; LIVEKIT_API_KEY, LIVEKIT_API_SECRET
    # apiKeyKey: …  apiSecretKey: …     # other keys of the Secret (both or neither)
    # keysFileKey: keys.yaml            # instead: the shape LiveKit's own Helm chart uses, lines "apiKey: secret"
    # apiKey: devkey                    # with keysFileKey: which line signs our calls (default: the first); all verify webhooks
  caBundle: {configMapRef: {name: ca, key: ca.crt}}   # optional, private CA
  resyncInterval: 30s                   # how often a governed room is listed even when no webhook arrives (5s to 1h)
  requests: {perSecond: 50, burst: 100, timeout: 5s, maxInFlight: 32}  # timeout 100ms to 60s; perSecond: unlimited by default, 12 for *.livekit.cloud
  access:                               # what other namespaces may govern here; the own namespace governs all
  - name: team-a
    namespaces: {names: [team-a]}       # or selector: a LabelSelector (not in namespaced installs); exactly one
    rooms: [{prefix: team-a-}]          # required
    maxPriority: 0                      # default 0: their policies cannot outrank ours
  suspend: false
"#;

const POLICY: &str = r#"
apiVersion: usher.dev/v1alpha1
kind: RoomPolicy
metadata: {name: webinar, namespace: events}
spec:
  serverRef: {name: main, namespace: livekit}   # namespace defaults to the policy's own
  rooms: [{exact: town-hall}, {prefix: webinar-}]
  priority: 100            # -1000..1000, higher first; default 0
  mode: Enforce            # or Audit: report what would be done, do nothing
  suspend: false
  rules:                   # 1..64, in order
  - name: banned
    match: {identities: [{exact: troll}]}
    remove: {}             # {revokeTokens: false} where tokens must stay valid (LiveKit Cloud)
    activeUntil: "2026-12-31T00:00:00Z"
  - name: hosts
    match:
      attributes: [{key: role, values: [{exact: host}]}]
    keep: true             # no lower rule removes them
    set:
      permission: {canPublish: true, canPublishData: true}
  - name: audience         # no match: every participant of kind Standard
    except:
    - identities: [{prefix: moderator-}]
    - attributes: [{key: role, values: [{exact: host}]}]
    set:
      permission: {canPublishSources: [Camera]}
      metadata: '{"role":"audience"}'
      name: Guest
      attributes: {seat: audience}
      removeAttributes: [raised-hand]
    mute: {sources: [Microphone], muted: true, repeat: Always}
"#;

const FORWARD: &str = r#"
apiVersion: usher.dev/v1alpha1
kind: ParticipantForward
metadata: {name: overflow, namespace: livekit}
spec:
  serverRef: {name: main}
  source:
    rooms: [{exact: main-stage}]
    match: {kinds: [Ingress, Standard]}   # default kinds here; except and trustSelfUpdates as in rules
  destinationRooms: [overflow-1, overflow-2]   # none of them an exact source room
  mode: Enforce
  suspend: false
  deletionPolicy: Stop        # remove the copies (finalizer); or Retain
"#;

const MOVE: &str = r#"
apiVersion: usher.dev/v1alpha1
kind: ParticipantMove
metadata: {name: admitted, namespace: livekit}
spec: {serverRef: {name: main}, source: {rooms: [{exact: lobby}], match: {attributes: [{key: admitted, values: [{exact: "true"}]}]}}, destinationRoom: hall, mode: Enforce, suspend: false}
"#;

/// The lines of the server's example that stand in comments, the first alternative.
const KEYS_FILE: &str = r#"
apiVersion: usher.dev/v1alpha1
kind: LiveKitServer
metadata: {name: keys-file, namespace: livekit}
spec:
  url: wss://livekit.example.com
  credentials:
    secretRef: {name: livekit-keys}
    keysFileKey: keys.yaml
    apiKey: devkey
"#;

/// The second.
const OTHER_KEYS: &str = r#"
apiVersion: usher.dev/v1alpha1
kind: LiveKitServer
metadata: {name: other-keys, namespace: livekit}
spec:
  url: wss://livekit.example.com
  credentials:
    secretRef: {name: livekit-keys}
    apiKeyKey: key
    apiSecretKey: secret
"#;
