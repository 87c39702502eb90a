//! What goes wrong, one after the other: each cycle has the same weather.

use std::time::Duration;

use usher::{
    livekit::TwirpCode,
    simulator::{Effect, Fault, Refusal, Simulator, WebhookFaults},
};

/// What goes wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spell {
    Fair,
    Slow,
    SlowAnswers,
    TooMany,
    Failing,
    Refusing,
    Cut,
    Hanging,
    Webhooks,
    /// LiveKit itself goes down and comes back.
    Crash,
}

impl Spell {
    /// All of them, in their order.
    pub const ALL: [Self; 10] = [
        Self::Fair,
        Self::Slow,
        Self::SlowAnswers,
        Self::TooMany,
        Self::Failing,
        Self::Refusing,
        Self::Cut,
        Self::Hanging,
        Self::Webhooks,
        Self::Crash,
    ];

    /// It begins; what was before is over.
    pub fn begin(self, simulator: &Simulator) {
        simulator.heal();
        let millis = |from, to| Duration::from_millis(from)..=Duration::from_millis(to);
        let often = |effect| Fault::always(effect).with_chance(0.5);
        let faults = match self {
            Self::Fair | Self::Crash => vec![],
            Self::Slow => vec![Fault::always(Effect::Latency(millis(0, 300)))],
            Self::SlowAnswers => vec![Fault::always(Effect::SlowAnswer(millis(0, 300)))],
            Self::TooMany => vec![often(Effect::Status { status: 429, retry_after: Some(1) })],
            Self::Failing => vec![500, 502, 503]
                .into_iter()
                .map(|status| Fault::always(Effect::Status { status, retry_after: None }).with_chance(0.3))
                .collect(),
            Self::Refusing => vec![often(Effect::Refused(Refusal::new(TwirpCode::Unavailable, "try again")))],
            Self::Cut => vec![
                Fault::always(Effect::Cut { acted_upon: false }).with_chance(0.3),
                Fault::always(Effect::Cut { acted_upon: true }).with_chance(0.3),
            ],
            Self::Hanging => vec![Fault::always(Effect::Hangs).times(4)],
            Self::Webhooks => {
                let delay = millis(10, 2000);
                simulator.set_webhook_faults(WebhookFaults { lost: 0.3, doubled: 0.3, late: 0.3, swapped: 0.3, delay });
                vec![]
            }
        };
        for fault in faults {
            simulator.add_fault(fault);
        }
    }
}
