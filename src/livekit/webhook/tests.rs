use std::time::UNIX_EPOCH;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use livekit_protocol::participant_info::{Kind, KindDetail, State};
use livekit_protocol::{TrackSource, TrackType};
use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_700_000_000;

/// A joined event as a real server sends it, with what a newer one might add.
const JOINED: &str = r#"{"event":"participant_joined","room":{"sid":"RM_x","name":"hall","emptyTimeout":300,
"creationTime":"1755000000","turnPassword":"hunter2","enabledCodecs":[{"mime":"audio/opus"}],"departureTimeout":20},
"participant":{"sid":"PA_x","identity":"ann","state":"ACTIVE","metadata":"{}","joinedAt":"1755000001",
"joinedAtMs":"1755000001234","name":"Ann","version":3,"permission":{"canSubscribe":true,"canPublish":true,
"canPublishSources":["CAMERA","HOLOGRAM"],"agent":true},"kind":"SIP","attributes":{"role":"host"},
"kindDetails":["FORWARDED","TELEPATHY"],"tracks":[{"sid":"TR_x","type":"VIDEO","source":"SCREEN_SHARE","width":640,
"muted":true,"mimeType":"video/VP8","layers":[{"quality":"HIGH"}],"encryption":"ROT13"}],"capabilities":["CAP_NEW"]},
"id":"EV_x","createdAt":"1755000002","novelty":{"a":[1,2,{"b":null}]}}"#;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn keys() -> [Credentials; 2] {
    [Credentials::new("devkey", "secret-one"), Credentials::new("other", "secret-two")]
}

fn token(header: &Value, claims: &Value, secret: &str) -> String {
    let message =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn hash(body: &[u8]) -> String {
    STANDARD.encode(digest(&SHA256, body))
}

#[test]
fn every_key_of_the_server_is_accepted() {
    let verifier = Verifier::new(&keys());
    for credentials in keys() {
        let token = sign(&credentials, JOINED.as_bytes(), at(NOW)).unwrap();
        for header in [token.clone(), format!("Bearer {token}"), format!("bearer  {token} ")] {
            let event = verifier.verify(&header, JOINED.as_bytes(), at(NOW)).unwrap();
            assert_eq!((event.event.as_str(), event.id.as_str()), ("participant_joined", "EV_x"));
        }
    }
}

#[test]
fn forgeries_are_refused_each_for_its_reason() {
    use WebhookError as Error;
    let body = JOINED.as_bytes();
    let good = json!({"alg": "HS256", "typ": "JWT"});
    let claims = json!({"iss": "devkey", "nbf": NOW, "exp": NOW + 300, "sha256": hash(body)});
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let genuine = token(&good, &claims, "secret-one");
    let (message, signature) = genuine.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let altered_claims = URL_SAFE_NO_PAD.encode(with("exp", json!(NOW + 3000)).to_string());
    let none = json!({"alg": "none"});

    let verifier = Verifier::new(&keys());
    assert!(verifier.verify(&genuine, body, at(NOW)).is_ok());
    for (case, token, expected) in [
        ("no header", String::new(), Error::NoToken),
        ("scheme alone", "Bearer ".to_owned(), Error::NoToken),
        ("not a token", "abc".to_owned(), Error::NoToken),
        ("two parts", "abc.def".to_owned(), Error::NoToken),
        ("four parts", format!("{genuine}.x"), Error::NoToken),
        ("not base64", format!("{header}.%%%.{signature}"), Error::NoToken),
        ("not json", format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("x")), Error::NoToken),
        ("multibyte", "é".repeat(9), Error::NoToken),
        ("too long", format!("{genuine}{}", "A".repeat(5000)), Error::NoToken),
        ("alg none", token(&none, &claims, "secret-one"), Error::Algorithm),
        (
            "alg none, no signature",
            format!("{}.", token(&none, &claims, "x").rsplit_once('.').unwrap().0),
            Error::Algorithm,
        ),
        ("alg in capitals", token(&json!({"alg": "hs256"}), &claims, "secret-one"), Error::Algorithm),
        ("alg HS512", token(&json!({"alg": "HS512"}), &claims, "secret-one"), Error::Algorithm),
        ("alg RS256", token(&json!({"alg": "RS256"}), &claims, "secret-one"), Error::Algorithm),
        ("unknown key", token(&good, &with("iss", json!("stranger")), "secret-one"), Error::UnknownKey),
        ("no key", token(&good, &without("iss"), "secret-one"), Error::UnknownKey),
        ("wrong secret", token(&good, &claims, "guess"), Error::Signature),
        ("another key's secret", token(&good, &claims, "secret-two"), Error::Signature),
        ("empty signature", format!("{message}."), Error::Signature),
        ("shorter signature", format!("{message}.{}", &signature[..40]), Error::Signature),
        ("altered claims", format!("{header}.{altered_claims}.{signature}"), Error::Signature),
        ("no exp", token(&good, &without("exp"), "secret-one"), Error::MissingClaim("exp")),
        ("no nbf", token(&good, &without("nbf"), "secret-one"), Error::MissingClaim("nbf")),
        ("no hash", token(&good, &without("sha256"), "secret-one"), Error::MissingClaim("sha256")),
        ("expired", token(&good, &with("exp", json!(NOW - 60)), "secret-one"), Error::Expired),
        ("not yet valid", token(&good, &with("nbf", json!(NOW + 61)), "secret-one"), Error::NotYetValid),
        ("hash of another body", token(&good, &with("sha256", json!(hash(b"{}"))), "secret-one"), Error::BodyHash),
        ("hash cut short", token(&good, &with("sha256", json!("aGFsZg==")), "secret-one"), Error::BodyHash),
        ("hash not base64", token(&good, &with("sha256", json!("*")), "secret-one"), Error::BodyHash),
    ] {
        assert_eq!(verifier.verify(&token, body, at(NOW)), Err(expected), "{case}");
        assert!(!expected.to_string().contains("hunter2"));
    }
}

#[test]
fn an_altered_body_is_refused_before_it_is_parsed() {
    let verifier = Verifier::new(&keys());
    let token = sign(&keys()[0], JOINED.as_bytes(), at(NOW)).unwrap();
    for body in [JOINED.replace("ann", "bob"), format!("{JOINED} "), "not json".to_owned(), String::new()] {
        assert_eq!(verifier.verify(&token, body.as_bytes(), at(NOW)), Err(WebhookError::BodyHash));
    }
}

#[test]
fn clocks_may_differ_by_a_minute() {
    let verifier = Verifier::new(&keys());
    let body = br#"{"event":"x"}"#;
    let token = sign(&keys()[0], body, at(NOW)).unwrap();
    for (now, expected) in [
        (NOW - 61, Some(WebhookError::NotYetValid)),
        (NOW - 60, None),
        (NOW + 359, None),
        (NOW + 360, Some(WebhookError::Expired)),
    ] {
        assert_eq!(verifier.verify(&token, body, at(now)).err(), expected, "{now}");
    }
}

#[test]
fn a_key_without_a_secret_verifies_nothing() {
    let empty = Credentials::new("devkey", "");
    let verifier = Verifier::new([&empty]);
    let token = sign(&empty, b"{}", at(NOW)).unwrap();
    assert_eq!(verifier.verify(&token, b"{}", at(NOW)), Err(WebhookError::UnknownKey));
}

#[test]
fn a_signed_body_that_is_no_event_is_refused() {
    let verifier = Verifier::new(&keys());
    for body in
        ["", "[]", "{}", "1", "{", r#"{"event":1}"#, r#"{"createdAt":"x"}"#, r#"{"createdAt":1.5}"#, "\u{feff}{}"]
    {
        let token = sign(&keys()[0], body.as_bytes(), at(NOW)).unwrap();
        assert_eq!(verifier.verify(&token, body.as_bytes(), at(NOW)), Err(WebhookError::Body), "{body}");
    }
}

#[test]
fn everything_we_use_is_read_and_what_is_new_does_no_harm() {
    let event = event::parse(JOINED.as_bytes()).unwrap();
    assert_eq!(event.created_at, 1_755_000_002);
    let room = event.room.unwrap();
    assert_eq!((room.sid.as_str(), room.name.as_str(), room.creation_time), ("RM_x", "hall", 1_755_000_000));
    assert_eq!(room.turn_password, "", "the password is not kept");

    let participant = event.participant.unwrap();
    assert_eq!(participant.identity, "ann");
    assert_eq!(State::try_from(participant.state), Ok(State::Active));
    assert_eq!(Kind::try_from(participant.kind), Ok(Kind::Sip));
    assert_eq!((participant.joined_at, participant.joined_at_ms), (1_755_000_001, 1_755_000_001_234));
    assert_eq!(participant.version, 3);
    assert_eq!(participant.attributes["role"], "host");
    assert_eq!(participant.kind_details, [KindDetail::Forwarded as i32, UNKNOWN]);
    assert!(!is_whole(&participant));

    let permission = participant.permission.unwrap();
    #[allow(deprecated)]
    let carried = permission.agent;
    assert!(permission.can_subscribe && permission.can_publish && carried);
    assert!(!permission.can_publish_data && !permission.hidden);
    assert_eq!(permission.can_publish_sources, [TrackSource::Camera as i32, UNKNOWN]);

    let track = &participant.tracks[0];
    assert_eq!((track.sid.as_str(), track.width, track.muted), ("TR_x", 640, true));
    assert_eq!(track.r#type, TrackType::Video as i32);
    assert_eq!(track.source, TrackSource::ScreenShare as i32);
}

#[test]
fn enumerations_come_as_names_or_numbers_and_unknown_ones_stay_unknown() {
    for (kind, expected) in [
        (r#""AGENT""#, Ok(Kind::Agent)),
        ("4", Ok(Kind::Agent)),
        (r#""STANDARD""#, Ok(Kind::Standard)),
        (r#""ROBOT""#, Err(UNKNOWN)),
        (r#""agent""#, Err(UNKNOWN)),
        ("77", Err(77)),
        ("-3", Err(-3)),
        ("99999999999", Err(UNKNOWN)),
    ] {
        let body = format!(r#"{{"event":"x","participant":{{"kind":{kind}}}}}"#);
        let participant = event::parse(body.as_bytes()).unwrap().participant.unwrap();
        assert_eq!(Kind::try_from(participant.kind).map_err(|_| participant.kind), expected, "{kind}");
    }
}

#[test]
fn what_is_left_out_is_the_default() {
    let event = event::parse(br#"{"event":"some_future_event","participant":{"permission":{}}}"#).unwrap();
    assert_eq!((event.event.as_str(), event.created_at, event.room), ("some_future_event", 0, None));
    let participant = event.participant.unwrap();
    assert_eq!(
        participant,
        livekit_protocol::ParticipantInfo { permission: Some(Default::default()), ..Default::default() }
    );
    assert!(is_whole(&participant));
}

#[test]
fn debug_of_a_verifier_shows_no_secret() {
    let shown = format!("{:?}", Verifier::new(&keys()));
    assert!(shown.contains("devkey") && !shown.contains("secret"), "{shown}");
}
