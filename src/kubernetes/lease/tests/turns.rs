//! Who takes the lease, and when.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_first_makes_the_lease_and_renews_it() {
    let server = Server::default();
    let a = server.join("a");
    pass(20).await;
    let b = server.join("b");
    watch_for(60, &[&a, &b]).await;
    assert!(a.leads());
    assert_eq!((a.metrics.leader.get(), b.metrics.leader.get()), (1, 0));
    let spec = server.spec();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("a"), Some(0)));
    assert_eq!(spec.lease_duration_seconds, Some(15));
    assert!(spec.renew_time.unwrap() > spec.acquire_time.unwrap());
    let writes = server.kept().writes.len();
    assert!((29..=31).contains(&writes), "{writes} writes in a minute");
}

#[tokio::test(start_paused = true)]
async fn who_is_killed_is_followed_when_the_lease_has_run_out_and_not_before() {
    let server = Server::default();
    let a = server.join("a");
    pass(20).await;
    let b = server.join("b");
    pass(30_000).await;
    a.task.abort();
    let last = server.last_write();
    until_led(&[&b]).await;
    let took = seconds(last.elapsed());
    assert!((15.0..15.0 + 4.5).contains(&took), "{took}");
    assert_eq!((server.holder().as_str(), server.spec().lease_transitions), ("b", Some(1)));
    assert!(server.spec().acquire_time >= server.spec().renew_time);
}

#[tokio::test(start_paused = true)]
async fn of_many_who_see_it_run_out_one_gets_it() {
    let server = Server::held_by_ghost(Timestamp::now());
    let members: Vec<_> = ["a", "b", "c", "d", "e"].map(|identity| server.join(identity)).into();
    let members: Vec<_> = members.iter().collect();
    pass(14_990).await;
    // All at once.
    for _ in 0..10 {
        members.iter().for_each(|member| member.changed.notify_one());
        pass(10).await;
        leader(&members);
    }
    until_led(&members).await;
    watch_for(30, &members).await;
    assert_eq!(server.spec().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn who_ends_gives_the_lease_back_and_another_takes_it_at_once() {
    let server = Server::default();
    let a = server.join("a");
    pass(20).await;
    let b = server.join("b");
    pass(10_000).await;
    let took = a.stop().await;
    assert!(seconds(took) < 0.1, "{took:?}");
    let spec = server.spec();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_duration_seconds), (Some(""), Some(1)));
    // As the watch does.
    b.changed.notify_one();
    pass(20).await;
    assert!(b.leads());
    assert_eq!(server.spec().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn without_the_watch_a_lease_that_is_given_back_is_taken_at_the_next_look() {
    let server = Server::default();
    let a = server.join("a");
    pass(20).await;
    let b = server.join("b");
    pass(10_000).await;
    a.stop().await;
    let (took, _) = until_led(&[&b]).await;
    assert!(seconds(took) <= 4.5, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_ends_leaves_the_lease_alone() {
    let server = Server::default();
    let a = server.join("a");
    pass(20).await;
    let b = server.join("b");
    pass(10_000).await;
    b.stop().await;
    assert_eq!(server.holder(), "a");
    watch_for(10, &[&a]).await;
    assert!(a.leads());
}

#[tokio::test(start_paused = true)]
async fn who_is_told_of_each_change_takes_the_lease_as_soon_as_it_runs_out() {
    let server = Server::default();
    let a = server.join("a");
    pass(20).await;
    let b = server.join("b");
    for _ in 0..1_000 {
        b.changed.notify_one();
        pass(20).await;
    }
    a.task.abort();
    let last = server.last_write();
    until_led(&[&b]).await;
    let took = seconds(last.elapsed());
    assert!((15.0..15.2).contains(&took), "{took}");
}
