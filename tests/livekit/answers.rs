//! What becomes of each answer, good, bad or absent.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use usher::livekit::{Calls, Class, Client, Error, Feature, Method, Observation};

use crate::scripted::{Scripted, Step, answer, config, json, protobuf};

const TRANSIENT: Class = Class::Transient { retry_after: None };
/// Looks like a token and must never be shown.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJkZXZrZXkifQ.c2lnbmF0dXJl";

fn after(seconds: u64) -> Class {
    Class::Transient { retry_after: Some(Duration::from_secs(seconds)) }
}

/// No text of an error may hold anything that the other side could have put there.
fn assert_silent(error: &Error, case: &str) {
    for shown in [error.to_string(), format!("{error:?}")] {
        for secret in ["eyJ", "html", "hunter2", "evil"] {
            assert!(!shown.contains(secret), "{case}: {shown}");
        }
        assert!(shown.len() < 1000, "{case}: {shown}");
    }
}

#[tokio::test]
async fn answers_that_are_not_twirp_are_judged_by_their_status_alone() {
    let echo = format!("invalid token: {TOKEN}, error: expired hunter2");
    let html = "<html><h1>evil proxy</h1></html>";
    let gateway = r#"{"code":"evil_code","msg":"hunter2"}"#;
    let location = ("Location", "http://evil.example/twirp");
    for (case, status, headers, body, class, label) in [
        ("LiveKit's token check", "401 Unauthorized", vec![], echo.as_str(), Class::Unauthorized, "http_401"),
        ("forbidden by a proxy", "403 Forbidden", vec![], html, Class::Unauthorized, "http_403"),
        ("no API here", "404 Not Found", vec![], "404 page not found", Class::Refused, "http_404"),
        (
            "not_found in a gateway's words",
            "404 Not Found",
            vec![],
            r#"{"error":"not_found"}"#,
            Class::Refused,
            "http_404",
        ),
        ("request timeout", "408 Request Timeout", vec![], html, TRANSIENT, "http_408"),
        ("too large", "413 Payload Too Large", vec![], html, Class::Refused, "http_413"),
        ("rate limit", "429 Too Many Requests", vec![], html, TRANSIENT, "http_429"),
        ("rate limit, seconds", "429 Too Many Requests", vec![("Retry-After", "7")], html, after(7), "http_429"),
        ("rate limit, an age", "429 Too Many Requests", vec![("Retry-After", "86400")], html, after(300), "http_429"),
        ("rate limit, nonsense", "429 Too Many Requests", vec![("Retry-After", "soon")], html, TRANSIENT, "http_429"),
        ("rate limit, JSON", "429 Too Many Requests", vec![], gateway, TRANSIENT, "http_429"),
        ("region pin", "451 Unavailable For Legal Reasons", vec![], html, Class::Refused, "http_4xx"),
        ("server error", "500 Internal Server Error", vec![], html, TRANSIENT, "http_500"),
        ("bad gateway", "502 Bad Gateway", vec![], html, TRANSIENT, "http_502"),
        ("unavailable", "503 Service Unavailable", vec![("Retry-After", "2")], html, after(2), "http_503"),
        ("gateway timeout", "504 Gateway Timeout", vec![], html, TRANSIENT, "http_504"),
        ("redirect", "302 Found", vec![location], html, Class::Refused, "http_3xx"),
        ("lasting redirect", "308 Permanent Redirect", vec![location], html, Class::Refused, "http_3xx"),
        ("no content", "204 No Content", vec![], "", Class::Refused, "http_other"),
    ] {
        let server = Scripted::answering(answer(status, &headers, body)).await;
        let error = server.client().get_participant("room", "ann").await.unwrap_err();
        assert_eq!((error.class(), error.label()), (class, label), "{case}: {error}");
        assert_eq!(error.status().unwrap().to_string(), status[..3], "{case}");
        assert_silent(&error, case);
        assert_eq!(server.requests().len(), 1, "{case}: neither redirected nor repeated");
    }
}

#[tokio::test]
async fn a_date_to_retry_after_is_counted_from_now() {
    let in_a_minute = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(60);
    let date = jiff::Timestamp::from_second(in_a_minute.as_secs() as i64).unwrap();
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap();
    let server = Scripted::answering(answer("429 Too Many Requests", &[("Retry-After", &date)], "")).await;
    let class = server.client().list_rooms(vec![]).await.unwrap_err().class();
    let Class::Transient { retry_after: Some(wait) } = class else { panic!("{class:?}") };
    assert!((55..=60).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test]
async fn twirp_errors_are_judged_by_their_code() {
    let token = format!(r#"{{"code":"unauthenticated","msg":"invalid token: {TOKEN}"}}"#);
    for (case, status, body, class, label) in [
        (
            "gone",
            "404 Not Found",
            r#"{"code":"not_found","msg":"twirp error unknown: participant does not exist"}"#,
            Class::Gone,
            "not_found",
        ),
        ("wrong path", "404 Not Found", r#"{"code":"bad_route","msg":"no handler"}"#, Class::Refused, "bad_route"),
        ("nobody there", "503 Service Unavailable", r#"{"code":"unavailable","msg":"x"}"#, TRANSIENT, "unavailable"),
        ("not granted", "401 Unauthorized", r#"{"code":"unauthenticated"}"#, Class::Unauthorized, "unauthenticated"),
        ("not allowed", "403 Forbidden", r#"{"code":"permission_denied"}"#, Class::Unauthorized, "permission_denied"),
        ("a token in Twirp", "401 Unauthorized", &token, Class::Unauthorized, "unauthenticated"),
        ("bad argument", "400 Bad Request", r#"{"code":"invalid_argument"}"#, Class::Refused, "invalid_argument"),
        ("server's own", "500 Internal Server Error", r#"{"code":"internal"}"#, TRANSIENT, "internal"),
        ("out of time", "408 Request Timeout", r#"{"code":"deadline_exceeded"}"#, TRANSIENT, "deadline_exceeded"),
        ("quota", "429 Too Many Requests", r#"{"code":"resource_exhausted"}"#, TRANSIENT, "resource_exhausted"),
    ] {
        let server = Scripted::answering(json(status, body)).await;
        let error = server.client().get_participant("room", "ann").await.unwrap_err();
        assert_eq!((error.class(), error.label()), (class, label), "{case}: {error}");
        assert_silent(&error, case);
    }
}

#[tokio::test]
async fn what_the_server_cannot_do_is_told_from_what_it_failed_to_do() {
    let stub = json("500 Internal Server Error", r#"{"code":"unknown","msg":"twirp error unknown: not implemented"}"#);
    let server = Scripted::answering(stub).await;
    let client = server.client();
    let classes = [
        client.forward_participant("a", "ann", "b").await.unwrap_err().class(),
        client.move_participant("a", "ann", "b").await.unwrap_err().class(),
        client.get_participant("a", "ann").await.unwrap_err().class(),
    ];
    assert_eq!(classes, [Class::Unsupported(Feature::Forward), Class::Unsupported(Feature::Move), TRANSIENT]);

    let unmute = json("412 Precondition Failed", r#"{"code":"failed_precondition","msg":"remote unmute not enabled"}"#);
    let server = Scripted::answering(unmute).await;
    let client = server.client();
    let classes = [
        client.mute_published_track("a", "ann", "TR", false).await.unwrap_err().class(),
        client.mute_published_track("a", "ann", "TR", true).await.unwrap_err().class(),
        client.move_participant("a", "ann", "b").await.unwrap_err().class(),
    ];
    assert_eq!(classes, [Class::Unsupported(Feature::RemoteUnmute), Class::Refused, Class::Refused]);

    let server = Scripted::answering(json("501 Not Implemented", r#"{"code":"unimplemented","msg":"no"}"#)).await;
    let class = server.client().move_participant("a", "ann", "b").await.unwrap_err().class();
    assert_eq!(class, Class::Unsupported(Feature::Move));
}

#[tokio::test]
async fn connections_that_break_are_transient() {
    use Step::{Read, Reset, Send};
    let whole = protobuf([0; 100]);
    let head = whole.len() - 100;
    for (case, steps) in [
        ("before the request is read", vec![Reset]),
        ("before the answer", vec![Read]),
        ("reset before the answer", vec![Read, Reset]),
        ("within the head", vec![Read, Send(whole[..20].to_vec())]),
        ("after the head", vec![Read, Send(whole[..head].to_vec())]),
        ("within the body", vec![Read, Send(whole[..head + 50].to_vec())]),
        ("reset within the body", vec![Read, Send(whole[..head + 50].to_vec()), Reset]),
        ("not HTTP", vec![Read, Send(b"SSH-2.0-evil\r\n\r\n".to_vec())]),
    ] {
        let server = Scripted::start(steps).await;
        let error = server.client().get_participant("room", "ann").await.unwrap_err();
        assert_eq!((error.class(), error.label()), (TRANSIENT, "cut"), "{case}: {error:?}");
        assert_silent(&error, case);
    }
}

#[tokio::test]
async fn a_broken_error_body_still_leaves_the_status() {
    use Step::{Pause, Read, Send};
    let whole = json("404 Not Found", r#"{"code":"not_found","msg":"participant does not exist"}"#);
    let cut = whole[..whole.len() - 10].to_vec();
    for (case, steps) in [
        ("cut", vec![Read, Send(cut.clone())]),
        ("slow", vec![Read, Send(cut), Pause(Duration::from_secs(5))]),
        ("endless", vec![Read, Send(answer("404 Not Found", &[], vec![b'x'; 10_000_000]))]),
    ] {
        let server = Scripted::start(steps).await;
        let mut config = server.config();
        config.timeout = Duration::from_millis(500);
        let error = Client::new(config).unwrap().get_participant("room", "ann").await.unwrap_err();
        assert_eq!((error.class(), error.label()), (Class::Refused, "http_404"), "{case}: never mistaken for gone");
    }
}

#[tokio::test]
async fn slow_answers_end_at_the_timeout() {
    use Step::{Pause, Read, Send};
    let whole = protobuf([0; 100]);
    let head = whole.len() - 100;
    let long = Pause(Duration::from_secs(5));
    let drip: Vec<Step> =
        whole.chunks(1).flat_map(|byte| [Send(byte.to_vec()), Pause(Duration::from_millis(20))]).collect();
    for (case, steps) in [
        ("no answer", vec![Read, long.clone()]),
        ("slow head", vec![Read, Send(whole[..20].to_vec()), long.clone()]),
        ("slow body", vec![Read, Send(whole[..head + 50].to_vec()), long]),
        ("byte by byte", [vec![Read], drip].concat()),
    ] {
        let server = Scripted::start(steps).await;
        let mut config = server.config();
        config.timeout = Duration::from_millis(300);
        let started = std::time::Instant::now();
        let error = Client::new(config).unwrap().get_participant("room", "ann").await.unwrap_err();
        assert_eq!((error.class(), error.label()), (TRANSIENT, "timeout"), "{case}: {error:?}");
        assert!(started.elapsed() < Duration::from_secs(2), "{case}");
    }
}

#[tokio::test]
async fn answers_of_strangers_are_refused() {
    let html = answer("200 OK", &[("Content-Type", "text/html")], "<html>evil login page</html>");
    let chunked = b"HTTP/1.1 200 OK\r\nContent-Type: application/protobuf\r\nTransfer-Encoding: chunked\r\n\r\n";
    let megabyte = [b"100000\r\n".to_vec(), vec![b'x'; 1 << 20], b"\r\n".to_vec()].concat();
    let announced = b"HTTP/1.1 200 OK\r\nContent-Type: application/protobuf\r\nContent-Length: 99999999999\r\n\r\n";
    for (case, steps, label) in [
        ("a login page", vec![Step::Send(html)], "not_livekit"),
        ("no content type", vec![Step::Send(answer("200 OK", &[], ""))], "not_livekit"),
        ("JSON", vec![Step::Send(json("200 OK", "{}"))], "not_livekit"),
        ("garbage", vec![Step::Send(protobuf(b"\xff\xff\xff evil"))], "not_livekit"),
        ("cut in itself", vec![Step::Send(protobuf(b"\x0a\x7fevil"))], "not_livekit"),
        ("too large by its own word", vec![Step::Send(announced.to_vec())], "too_large"),
        ("endless", [vec![Step::Send(chunked.to_vec())], vec![Step::Send(megabyte); 20]].concat(), "too_large"),
    ] {
        let server = Scripted::start([vec![Step::Read], steps].concat()).await;
        let error = server.client().get_participant("room", "ann").await.unwrap_err();
        assert_eq!((error.class(), error.label()), (Class::Refused, label), "{case}: {error:?}");
        assert_silent(&error, case);
    }
}

#[tokio::test]
async fn servers_out_of_reach_are_transient() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    // Refused by the resolver itself, so that no network is needed to fail.
    let too_long = format!("http://{}.invalid", "x".repeat(64));
    for (address, label) in [(format!("http://{closed}"), "connect"), (too_long, "dns")] {
        let error = Client::new(config(&address)).unwrap().list_rooms(vec![]).await.unwrap_err();
        assert_eq!((error.class(), error.label()), (TRANSIENT, label), "{error:?}");
    }
}

#[tokio::test]
async fn a_track_that_has_gone_is_no_error() {
    let server = Scripted::answering(protobuf("")).await;
    assert_eq!(server.client().mute_published_track("room", "ann", "TR", true).await, Ok(None));
}

#[tokio::test]
async fn every_call_is_observed_cancelled_ones_too() {
    let seen: Arc<Mutex<Vec<Observation>>> = Arc::default();
    let watched = |server: &Scripted| {
        let seen = seen.clone();
        let mut config = server.config();
        config.observer = Some(Arc::new(move |call: &Observation| seen.lock().unwrap().push(*call)));
        Client::new(config).unwrap()
    };
    let good = Scripted::answering(protobuf("")).await;
    watched(&good).list_rooms(vec![]).await.unwrap();
    let bad = Scripted::answering(json("404 Not Found", r#"{"code":"not_found"}"#)).await;
    watched(&bad).remove_participant("room", "ann", None).await.unwrap_err();
    let mute = Scripted::start(vec![Step::Read, Step::Pause(Duration::from_secs(5))]).await;
    let client = watched(&mute);
    let call = client.get_participant("room", "ann");
    tokio::time::timeout(Duration::from_millis(100), call).await.unwrap_err();

    let seen = seen.lock().unwrap();
    let seen: Vec<_> = seen.iter().map(|call| (call.method, call.code)).collect();
    let expected =
        [(Method::ListRooms, "ok"), (Method::RemoveParticipant, "not_found"), (Method::GetParticipant, "cancelled")];
    assert_eq!(seen, expected);
}
