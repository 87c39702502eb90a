//! The picture: for each scenario and contender a line from the median to the 99th percentile, on a logarithmic scale.

use std::fmt::Write;

use super::{contender::Contender, page::title, results::Results, sample::Outcome};

const WIDTH: f64 = 860.0;
/// Where the scale begins and ends, and what times these are, in milliseconds.
const SCALE: (f64, f64) = (150.0, 690.0);
const TIMES: (f64, f64) = (1.0, 100_000.0);
const TICKS: [(f64, &str); 6] =
    [(1.0, "1 ms"), (10.0, "10 ms"), (100.0, "100 ms"), (1_000.0, "1 s"), (10_000.0, "10 s"), (100_000.0, "100 s")];
const LINE: f64 = 18.0;
const HEADING: f64 = 30.0;
const TOP: f64 = 50.0;

/// An SVG.
pub fn draw(results: &Results) -> String {
    let lines: usize = results.scenarios.iter().map(|scenario| scenario.outcomes.len()).sum();
    let height = TOP + HEADING * results.scenarios.len() as f64 + LINE * lines as f64 + 20.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"20\" font-size=\"14\" font-weight=\"bold\">From connected to enforced: the dot is the \
         median, the line ends at the 99th percentile</text>\n"
    );
    for (time, label) in TICKS {
        let x = place(time);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"42\" fill=\"#555\" text-anchor=\"middle\">{label}</text>",
            height - 14.0
        );
    }
    let mut y = TOP;
    for scenario in &results.scenarios {
        y += HEADING;
        let _ =
            writeln!(svg, "<text x=\"12\" y=\"{:.1}\" font-weight=\"bold\">{}</text>", y - 9.0, title(&scenario.name));
        for outcome in &scenario.outcomes {
            y += LINE;
            svg += &line(outcome, y - 6.0);
        }
    }
    svg + "</svg>\n"
}

fn line(outcome: &Outcome, y: f64) -> String {
    let color = match outcome.contender {
        Contender::Usher => "#c2410c",
        Contender::Floor => "#111827",
        Contender::Python => "#2563eb",
        Contender::Node => "#15803d",
        Contender::Poll => "#7e22ce",
    };
    let mut svg = format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"{color}\">{}</text>\n",
        SCALE.0 - 14.0,
        y + 4.0,
        outcome.contender.title()
    );
    if let (Some(p50), Some(p99)) = (outcome.p50, outcome.p99) {
        let (from, to) = (place(p50), place(p99));
        let _ = writeln!(
            svg,
            "<line x1=\"{from:.1}\" y1=\"{y:.1}\" x2=\"{to:.1}\" y2=\"{y:.1}\" stroke=\"{color}\" stroke-width=\"3\"/>\
             <circle cx=\"{from:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{color}\"/>"
        );
    }
    if outcome.unenforced > 0 {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{color}\">{} of {} never</text>",
            SCALE.1 + 20.0,
            y + 4.0,
            outcome.unenforced,
            outcome.participants
        );
    }
    svg
}

/// Where a time stands on the scale.
fn place(time: f64) -> f64 {
    let part = (time.clamp(TIMES.0, TIMES.1) / TIMES.0).log10() / (TIMES.1 / TIMES.0).log10();
    SCALE.0 + part * (SCALE.1 - SCALE.0)
}
