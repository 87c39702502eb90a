//! The section "Scale" of docs/benchmarks.md.

use std::fmt::Write;

use usher_testkit::{Section, figures::millis, repository};

use super::{
    contender::Contender,
    extent::Extent,
    results::{Outcome, Phase, Results},
};

const SECTION: Section = Section { name: "scale", command: "make scale" };

const METHOD: &str = "## Scale

What many participants under many policies cost, without Kubernetes and without LiveKit: the operator as `usher run
--from` and the simulated server as `usher simulate` are a process each, and speak real HTTP over loopback. The server
logs each call with the moment at which it took effect, and the figures are made from that log. One policy governs all
rooms and sets one right of everybody; each other governs a few rooms and sets what guests may publish and an attribute.
So each participant is to be changed once. Settings are the defaults: 32 requests at the same time, no limit a second,
every room listed again each 30 s, which goes on meanwhile and is counted.

- **Cold**: everybody is there before the operator starts, and no webhook has told of them. The time runs from the start
  of its process to the last participant's change.
- **Change**: one edit of the policy for all rooms takes another right from everybody. The time runs from the edit to the
  last participant's change, and contains the 200 ms in which files are looked at.
- **Joins**: more participants join the same rooms. The time is from the join to the effect of the change, by the
  server's clock: the webhook's way, the decision, and the request's way.
- **floor**: the least that can be done. For cold and change a loop on one thread that lists the rooms and sends one
  request for each participant without looking at it; for joins a receiver that verifies nothing. Both send tokens that
  were signed before. The memory of the loop is that of the bench itself, with the log of calls.

Repeat it with `make scale`. This section and `benchmarks/scale.json` are written by that command.
";

const BOUNDS: &str = "
### What bounds it

Usher decides and sends on one thread, and its CPU in cold and change is near to the time that they take: that thread
bounds them. (The CPU contains a second and a half of rest after the last change.) The floor decides nothing and keeps
nothing. What the slowest joins wait for is the one task that keeps the state of a server, which takes in 64 webhooks,
or goes through 256 participants for the status, in one turn, and has every room listed again meanwhile. What the change
adds to memory is what the allocator keeps of the work: counted by allocations, no more is in use after it than before.
";

/// Writes the section into the page.
pub fn write(results: &Results) {
    let text = format!("{METHOD}\n{}{BOUNDS}", text(results));
    SECTION.write(&repository().join("docs/benchmarks.md"), "Benchmarks", &text);
}

/// The figures as text.
pub fn text(results: &Results) -> String {
    let Extent { participants, rooms, policies, joins_per_second, seconds } = results.extent;
    let mut text = format!(
        "Measured on {}, {} cores for all processes together: {participants} participants in {rooms} rooms under \
         {policies} policies, then {joins_per_second} joins a second for {seconds} s.\n",
        results.date, results.cores
    );
    for (title, of) in [
        ("Cold", (|outcome| &outcome.cold) as fn(&Outcome) -> &Phase),
        ("A change that touches everybody", |outcome| &outcome.change),
        ("Joins", |outcome| &outcome.joins),
    ] {
        text += &table(title, results.outcomes.iter().map(|outcome| (outcome.contender, of(outcome))));
    }
    if let Some(Outcome { undeclared: Some(undeclared), .. }) = results.outcomes.first() {
        let _ = writeln!(text, "\nAt last, {} not as declared under Usher.", people(*undeclared));
    }
    text + &memory(results) + &aims(results)
}

/// What is kept of each participant.
fn memory(results: &Results) -> String {
    let (Some(usher), Some(alone)) = (results.of(Contender::Usher), results.alone) else { return String::new() };
    let participants = results.extent.participants as f64;
    let kibibytes = |mebibytes: f64, participants: f64| (mebibytes - alone) * 1024.0 / participants;
    format!(
        "\n### Memory for each participant\n\nUnder the policies, with nobody there, {alone} MiB are resident. Beyond that, with \
         its share of its room, a participant takes {:.1} KiB after the cold start and {:.1} KiB after all joins.\n",
        kibibytes(usher.cold.resident, participants),
        kibibytes(usher.joins.resident, participants + usher.joins.changed as f64)
    )
}

fn people(count: usize) -> String {
    match count {
        0 => "nobody was".to_owned(),
        1 => "one participant was".to_owned(),
        some => format!("{some} participants were"),
    }
}

fn table<'a>(title: &str, rows: impl Iterator<Item = (Contender, &'a Phase)>) -> String {
    let rows: Vec<_> = rows.collect();
    let timed = rows.iter().any(|(_, phase)| phase.times.is_some());
    let (times, lines) = if timed { (" p50 ms | p95 | p99 | worst |", "---|---|---|---|") } else { ("", "") };
    let mut text = format!(
        "\n### {title}\n\n| | seconds |{times} never | changes each | requests each | CPU | server's CPU | resident | at \
         most |\n|---|---|{lines}---|---|---|---|---|---|---|\n"
    );
    for (contender, phase) in &rows {
        let changed = phase.changed.max(1) as f64;
        let times: String = phase.times.iter().flatten().map(|time| format!(" {} |", millis(Some(*time)))).collect();
        let never = if phase.unchanged == 0 { "none".to_owned() } else { phase.unchanged.to_string() };
        let _ = writeln!(
            text,
            "| {} | {:.1} |{times} {never} | {:.3} | {:.3} | {:.1} s | {:.1} s | {} MiB | {} MiB |",
            contender.title(),
            phase.seconds,
            phase.changes() as f64 / changed,
            phase.all_requests() as f64 / changed,
            phase.cpu,
            phase.server_cpu,
            phase.resident,
            phase.most
        );
    }
    for (contender, phase) in &rows {
        let requests: Vec<_> = phase.requests.iter().map(|(method, count)| format!("{method} {count}")).collect();
        let _ = writeln!(text, "\nRequests, {}: {}.", contender.title(), requests.join(", "));
    }
    text
}

/// What was wanted beside what was measured.
fn aims(results: &Results) -> String {
    let Some(usher) = results.of(Contender::Usher) else { return String::new() };
    let met = |met: bool| if met { "met" } else { "missed" };
    let resident = usher.cold.resident.max(usher.change.resident);
    let each = usher.joins.changes() as f64 / usher.joins.changed.max(1) as f64;
    let p99 = usher.joins.times.map_or(f64::NAN, |[_, _, p99, _]| p99);
    format!(
        "\n### Aims\n\n| aim | measured | |\n|---|---|---|\n\
         | under 150 MiB resident with {} participants | {resident} MiB | {} |\n\
         | one change for each participant who joins | {each:.3} | {} |\n\
         | p99 under 50 ms at that rate | {p99:.1} ms | {} |\n",
        results.extent.participants,
        met(resident < 150.0),
        met(each <= 1.0005),
        met(p99 < 50.0)
    )
}
