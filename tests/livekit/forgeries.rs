//! Whatever anybody sends: nothing panics, nothing but what was signed is accepted, and what is new does no harm.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::{Value, json};
use usher::livekit::{
    Credentials,
    webhook::{Verifier, WebhookError, sign},
};

fn credentials() -> Credentials {
    Credentials::new("devkey", "a-secret-for-tests-of-at-least-32-bytes")
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn signed(body: &[u8]) -> String {
    sign(&credentials(), body, now()).unwrap()
}

fn verifier() -> Verifier {
    Verifier::new([&credentials()])
}

/// An event with everything that is read.
fn event() -> Value {
    let track = json!({"sid": "TR_1", "type": "VIDEO", "source": "CAMERA", "muted": true, "width": 640});
    json!({
        "event": "participant_joined",
        "id": "EV_1",
        "createdAt": "1800000000",
        "room": {"sid": "RM_1", "name": "hall", "creationTime": "1800000000", "numParticipants": 3},
        "participant": {
            "sid": "PA_1", "identity": "anna", "state": "ACTIVE", "name": "Anna", "version": 3, "kind": "SIP",
            "joinedAt": "1800000000", "attributes": {"role": "host"}, "tracks": [track],
            "permission": {"canPublish": true, "canPublishSources": ["CAMERA", "MICROPHONE"]},
        },
        "track": track,
    })
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z]{0,10}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// The places at which an object may have further fields.
const PLACES: [&str; 6] = ["", "/room", "/participant", "/participant/permission", "/participant/tracks/0", "/track"];

proptest! {
    #[test]
    fn nothing_is_accepted_that_nobody_signed(authorization in ".{0,200}", body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(verifier().verify(&authorization, &body, now()).is_err());
    }

    #[test]
    fn no_change_of_a_token_is_accepted(place in any::<prop::sample::Index>(), other in "[A-Za-z0-9_.=-]") {
        let body = event().to_string();
        let token = signed(body.as_bytes());
        let place = place.index(token.len());
        let mut changed = token.clone();
        changed.replace_range(place..=place, &other);
        // The last digit of base64 has bits that mean nothing.
        prop_assume!(changed != token && place + 1 < token.len());
        prop_assert!(verifier().verify(&changed, body.as_bytes(), now()).is_err());
        prop_assert!(verifier().verify(&token[..place], body.as_bytes(), now()).is_err());
    }

    #[test]
    fn no_change_of_a_body_is_accepted(place in any::<prop::sample::Index>(), bit in 0..8) {
        let body = event().to_string().into_bytes();
        let token = signed(&body);
        let mut changed = body.clone();
        changed[place.index(body.len())] ^= 1u8 << bit;
        let refused = |body: &[u8]| verifier().verify(&token, body, now()).err();
        prop_assert_eq!(refused(&changed), Some(WebhookError::BodyHash));
        prop_assert_eq!(refused(&body[..place.index(body.len())]), Some(WebhookError::BodyHash));
        prop_assert_eq!(refused(&body), None);
    }

    #[test]
    fn whatever_is_signed_is_read_or_refused(body in json()) {
        let body = body.to_string();
        let read = verifier().verify(&signed(body.as_bytes()), body.as_bytes(), now());
        prop_assert!(read.is_ok() || read == Err(WebhookError::Body));
    }

    #[test]
    fn a_value_of_another_type_is_refused_and_harms_nobody(path in prop::sample::select(&PLACES[..]), value in json()) {
        let mut event = event();
        let fields = event.pointer_mut(path).unwrap().as_object_mut().unwrap();
        for field in fields.values_mut() {
            *field = value.clone();
        }
        let body = event.to_string();
        let read = verifier().verify(&signed(body.as_bytes()), body.as_bytes(), now());
        prop_assert!(read.is_ok() || read == Err(WebhookError::Body));
    }

    #[test]
    fn fields_that_nobody_knows_change_nothing(
        path in prop::sample::select(&PLACES[..]), name in "x[a-zA-Z]{0,10}", value in json()
    ) {
        let mut event = event();
        let read = |event: &Value| {
            let body = event.to_string();
            verifier().verify(&signed(body.as_bytes()), body.as_bytes(), now()).unwrap()
        };
        let before = read(&event);
        event.pointer_mut(path).unwrap()[name] = value;
        prop_assert_eq!(read(&event), before);
    }

    #[test]
    fn a_token_is_good_for_its_time_alone(secs in 0..2000i64) {
        let body = event().to_string();
        let later = now() + Duration::from_secs(secs.unsigned_abs());
        // Five minutes, and the minute that clocks may differ.
        prop_assert_eq!(verifier().verify(&signed(body.as_bytes()), body.as_bytes(), later).is_ok(), secs < 360);
    }
}

#[test]
fn nesting_without_end_is_refused() {
    for open in ["[", "{\"a\":", "{\"room\":", "{\"participant\":{\"tracks\":[{\"x\":["] {
        let body = open.repeat(100_000);
        let read = verifier().verify(&signed(body.as_bytes()), body.as_bytes(), now());
        assert_eq!(read, Err(WebhookError::Body));
    }
}
