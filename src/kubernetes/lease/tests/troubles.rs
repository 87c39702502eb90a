//! What goes wrong, and who meddles.

use jiff::ToSpan;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::*;

#[tokio::test(start_paused = true)]
async fn clocks_that_differ_do_no_harm() {
    for renewed in [Timestamp::now() - 24.hours(), Timestamp::now() + 24.hours()] {
        let server = Server::held_by_ghost(renewed);
        let a = server.join("a");
        let (took, _) = until_led(&[&a]).await;
        assert!((15.0..20.0).contains(&seconds(took)), "{took:?} with {renewed}");
    }
    // A living holder whose clock is a day behind or ahead, or stands almost still.
    let server = Server::held_by_ghost(Timestamp::now());
    let a = server.join("a");
    for round in 0..30 {
        server.meddle(|lease| {
            let spec = lease.spec.as_mut().unwrap();
            spec.renew_time =
                Some(MicroTime("2020-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + round.microseconds()));
        });
        pass(2_000).await;
        assert!(!a.leads());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_record_of_the_holder_does_not_prolong_its_lease() {
    let server = Server::held_by_ghost(Timestamp::now());
    let a = server.join("a");
    for round in 0..10 {
        server.meddle(|lease| {
            lease.metadata.annotations = Some([("seen".to_owned(), round.to_string())].into());
        });
        pass(2_000).await;
    }
    assert!(a.leads());
    let annotations = server.kept().lease.clone().unwrap().metadata.annotations.unwrap();
    assert_eq!(annotations["seen"], "9", "what others wrote stays");
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_cannot_renew_leads_for_ten_seconds_and_takes_the_lease_again_when_it_can() {
    for mood in [Mood::Fails, Mood::Hangs] {
        let server = Server::default();
        let a = server.join("a");
        pass(5_000).await;
        let last = server.last_write();
        a.mood.send_replace(mood);
        while a.leads() {
            pass(10).await;
        }
        pass(10).await;
        assert_eq!(a.metrics.leader.get(), 0);
        let led = seconds(last.elapsed());
        assert!((9.98..=10.04).contains(&led), "{led}");
        a.mood.send_replace(Mood::Well);
        until_led(&[&a]).await;
        assert_eq!(server.spec().lease_transitions, Some(0), "nobody else had it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_trouble_is_no_turn() {
    let server = Server::default();
    let a = server.join("a");
    let b = server.join("b");
    let (_, first) = until_led(&[&a, &b]).await;
    for member in [&a, &b] {
        member.mood.send_replace(Mood::Fails);
    }
    watch_for(7, &[&a, &b]).await;
    for member in [&a, &b] {
        member.mood.send_replace(Mood::Well);
    }
    for _ in 0..300 {
        assert_eq!(leader(&[&a, &b]), Some(first));
        pass(100).await;
    }
}

#[tokio::test(start_paused = true)]
async fn never_two_lead_whatever_happens_to_whom() {
    fastrand::seed(3);
    let server = Server::default();
    let members = ["a", "b", "c"].map(|identity| server.join(identity));
    let members: Vec<_> = members.iter().collect();
    let mut led = std::collections::BTreeSet::new();
    for _ in 0..2_000 {
        let mood = match fastrand::u8(..8) {
            0 => Mood::Fails,
            1 => Mood::Hangs,
            2 => Mood::Slow(Duration::from_millis(fastrand::u64(..6_000))),
            _ => Mood::Well,
        };
        members[fastrand::usize(..3)].mood.send_replace(mood);
        watch_for(fastrand::u64(..8), &members).await;
        led.extend(leader(&members));
    }
    assert_eq!(led.len(), 3, "the test lets each of them lead at some time");
}

#[tokio::test(start_paused = true)]
async fn a_stolen_lease_is_noticed_at_the_next_try() {
    let server = Server::default();
    let a = server.join("a");
    until_led(&[&a]).await;
    server.meddle(|lease| lease.spec.as_mut().unwrap().holder_identity = Some("thief".into()));
    pass(2_050).await;
    assert_eq!((a.leads(), a.metrics.leader.get()), (false, 0));
    assert_eq!(server.holder(), "thief");
    until_led(&[&a]).await;
    assert_eq!(server.spec().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_label_on_the_lease_or_its_deletion_is_no_turn() {
    let server = Server::default();
    let a = server.join("a");
    until_led(&[&a]).await;
    for round in 0..20 {
        match round % 4 {
            0 => server.kept().lease = None,
            2 => server.meddle(|lease| lease.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into())),
            _ => {}
        }
        watch_for(3, &[&a]).await;
        assert!(a.leads());
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_in_the_middle_of_a_write_gives_the_lease_back_as_well() {
    let server = Server::default();
    let a = server.join("a");
    a.mood.send_replace(Mood::Slow(Duration::from_millis(500)));
    pass(700).await;
    assert_eq!((server.holder().as_str(), a.leads()), ("a", false), "it does not know yet");
    a.stop().await;
    assert_eq!(server.holder(), "");
}

#[tokio::test(start_paused = true)]
async fn an_end_without_an_api_server_takes_three_seconds() {
    let server = Server::default();
    let a = server.join("a");
    until_led(&[&a]).await;
    a.mood.send_replace(Mood::Hangs);
    assert_eq!(a.stop().await.as_secs(), 3);
    assert_eq!(server.holder(), "a");
}
