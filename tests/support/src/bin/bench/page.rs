//! The section "Enforcement" of docs/benchmarks.md.

use std::fmt::Write;

use usher_testkit::{
    Section,
    figures::{millis, quantile},
    repository,
};

use super::{
    contender::Contender,
    flood::Flooded,
    picture,
    results::{Results, Scenario},
    sample::Outcome,
    solo::Solo,
};

const SECTION: Section = Section { name: "enforcement", command: "make bench" };

const METHOD: &str = "## Enforcement

How long participants may do what they may not. The rule is that nobody publishes; the time runs from the moment at
which a participant's own client is connected to the moment at which that client sees the right gone, in milliseconds.
Real participants (LiveKit's own test client) on the real livekit-server, one for each contender; contenders take turns,
round by round, in an order drawn anew for each. Everything shares the machine's cores: the clients, the servers,
Kubernetes and whoever is measured.

- **Usher**: the release build, one replica without leader election, against a real API server. Resync interval 30 s; in
  the drift 5 s, as often as the polling script looks.
- **floor**: the least that can be done. A compiled receiver that verifies nothing, reads two names and sends one request
  with a token signed before.
- **Python script, Node script**: LiveKit's official SDKs on aiohttp and Node's own server; they verify, answer before
  they act and keep their connections. Versions are locked in `tests/bench`.
- **polling, 5 s**: lists everything every five seconds.

Repeat it with `make bench` (half an hour beside the builds; Node and Python are needed beside what the tests
need), or see that it works with `make bench SHORT=1`. This section, its picture and `benchmarks/enforcement.json` are
written by that command.

![How long participants stayed unenforced](benchmarks/enforcement.svg)
";

/// What a scenario's name means.
pub fn title(name: &str) -> &str {
    match name {
        "steady" => "Joins at five a second into ten rooms",
        "burst-one-room" => "150 joins at once into one room",
        "burst-many-rooms" => "150 joins at once into 30 rooms",
        "livekit-killed" => "LiveKit killed, 20 participants come back with their first token",
        "receiver-down-6s" => "Who enforces is away for 6 s, 20 joins meanwhile",
        "receiver-down-45s" => "Who enforces is away for 45 s, 20 joins meanwhile",
        "drift" => "Another administrator lets 20 participants publish again",
        other => other,
    }
}

/// Writes the section into the page, and the picture beside it.
pub fn write(results: &Results) {
    let folder = repository().join("docs");
    SECTION.write(&folder.join("benchmarks.md"), "Benchmarks", &format!("{METHOD}\n{}", text(results)));
    std::fs::write(folder.join("benchmarks/enforcement.svg"), picture::draw(results)).expect("the picture too");
}

/// The figures as text.
pub fn text(results: &Results) -> String {
    let mut text = format!("Measured on {}, {} cores.\n", results.date, results.cores);
    for scenario in &results.scenarios {
        text += &table(scenario);
    }
    text += &ratios(results);
    text += &memory(results);
    if let Some(solo) = &results.solo {
        text += &alone(solo);
    }
    text
}

fn table(scenario: &Scenario) -> String {
    let mut text = format!(
        "\n### {}\n\n{}\n\n| | p50 | p95 | p99 | worst | never enforced | requests each (changes) | CPU of 100 |\n\
         |---|---|---|---|---|---|---|---|\n",
        title(&scenario.name),
        sizes(scenario)
    );
    for outcome in &scenario.outcomes {
        let Outcome { contender, participants, unenforced, p50, p95, p99, worst, .. } = outcome;
        let times: String = [p50, p95, p99, worst].map(|time| format!(" {} |", millis(*time))).concat();
        let never = if *unenforced == 0 { "none".to_owned() } else { format!("{unenforced} of {participants}") };
        let _ = writeln!(
            text,
            "| {} |{times} {never} | {:.2} ({:.2}) | {:.2} s |",
            contender.title(),
            outcome.requests_each,
            outcome.writes_each,
            outcome.cpu_of_100
        );
    }
    text
}

/// How much the figures rest on.
fn sizes(scenario: &Scenario) -> String {
    let Some(Outcome { participants, medians, .. }) = scenario.outcomes.first() else { return String::new() };
    match medians.len() {
        0 | 1 => format!("Once, {participants} participants for each contender: p99 is nearly the worst."),
        rounds => format!("{rounds} rounds, together {participants} participants for each contender."),
    }
}

/// Usher beside the floor, where the floor does its work at all.
fn ratios(results: &Results) -> String {
    let mut text = "\n### Usher beside the floor\n\nThe aims: median within 1.15, p99 within 1.5, CPU of steady joins \
                    within 3, one change for each participant, nobody left.\n\
                    Beside the ratio of the medians stand the quartiles of the ratio in each round.\n\n\
                    | | p50 | by round | p99 | CPU | changes each | never enforced |\n|---|---|---|---|---|---|---|\n"
        .to_owned();
    for scenario in &results.scenarios {
        let (Some(usher), Some(floor)) = (scenario.of(Contender::Usher), scenario.of(Contender::Floor)) else {
            continue;
        };
        let ratio = |ours: Option<f64>, theirs: Option<f64>, aim: f64| match (ours, theirs) {
            (Some(ours), Some(theirs)) => against(ours / theirs, aim),
            _ => "–".to_owned(),
        };
        let cpu_aim = if scenario.name == "steady" { 3.0 } else { f64::INFINITY };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.2} | {} |",
            title(&scenario.name),
            ratio(usher.p50, floor.p50, 1.15),
            by_round(usher, floor),
            ratio(usher.p99, floor.p99, 1.5),
            ratio(Some(usher.cpu_of_100), Some(floor.cpu_of_100), cpu_aim),
            usher.writes_each,
            usher.unenforced
        );
    }
    text
}

/// The quartiles of the ratio of the medians of each round: how sure the ratio of all is.
fn by_round(usher: &Outcome, floor: &Outcome) -> String {
    let pairs = usher.medians.iter().zip(&floor.medians);
    let mut ratios: Vec<_> = pairs.filter_map(|(ours, theirs)| Some((*ours)? / (*theirs)?)).collect();
    ratios.sort_by(f64::total_cmp);
    match [0.25, 0.5, 0.75].map(|part| quantile(&ratios, part)) {
        [Some(low), Some(middle), Some(high)] => format!("{low:.2}, {middle:.2}, {high:.2}"),
        _ => "–".to_owned(),
    }
}

fn against(ratio: f64, aim: f64) -> String {
    format!("{ratio:.2}{}", if ratio > aim { " (missed)" } else { "" })
}

fn memory(results: &Results) -> String {
    let mut text = "\n### Memory after the joins\n\n| | resident | at most |\n|---|---|---|\n".to_owned();
    for memory in &results.memory {
        let _ = writeln!(text, "| {} | {} MiB | {} MiB |", memory.contender.title(), memory.resident, memory.most);
    }
    text
}

fn alone(solo: &Solo) -> String {
    let Solo { resident, cpu_at_rest, cold_start: (median, worst), flood } = solo;
    format!(
        "\n### Usher alone\n\n\
         - At rest, before any join: {resident} MiB resident (aim: under 20), {cpu_at_rest:.3} s of CPU in 30 s.\n\
         - Cold start, from the start of the process to the first participant that is as declared: {median:.0} ms at \
         the median, {worst:.0} at worst (aim: under 500).\n\
         {}",
        self::flood(flood)
    )
}

/// What a flood of forged webhooks did.
fn flood(flood: &Flooded) -> String {
    let Flooded { possible, sent, answered, counted: (counted, all), quiet, flooded } = flood;
    let (before, during) = (quiet.p50.unwrap_or(f64::NAN), flooded.p50.unwrap_or(f64::NAN));
    let answered: Vec<_> = answered.iter().map(|(status, rate)| format!("{rate:.0} with {status}")).collect();
    format!(
        "- A flood of forged webhooks over 600 connections, sent by the same cores. To somebody who answers at once \
         they can send {possible:.0} a second; to Usher, at which a stranger waits 200 ms for its refusal, {sent:.0}: \
         answered a second {} ({counted:.0} of all {all:.0} counted as forged). Joins at five a second took \
         {during:.1} ms at the median and {before:.1} without it, {} times as much (aim: 2; quartiles of its {} rounds: \
         {}), and 100 of them {:.1} s of CPU instead of {:.1}; never enforced: {}.\n",
        answered.join(", "),
        against(during / before, 2.0),
        quiet.medians.len(),
        by_round(flooded, quiet),
        flooded.cpu_of_100,
        quiet.cpu_of_100,
        flooded.unenforced,
    )
}
