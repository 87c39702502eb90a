//! A scenario that is played, and another in its place.

use super::{Play, Scenario, ScriptFile, Simulator};

/// A scenario that is played. It ends when this is dropped; the participants stay, and so do the faults.
#[derive(Debug)]
pub struct Playing {
    simulator: Simulator,
    scripts: Vec<(ScriptFile, Play)>,
    /// Scripts that have begun, which are their seeds.
    begun: u64,
}

impl Scenario {
    /// Lets it happen.
    #[must_use]
    pub fn play(self, simulator: &Simulator) -> Playing {
        let mut playing = Playing { simulator: simulator.clone(), scripts: Vec::new(), begun: 0 };
        playing.change_to(self);
        playing
    }
}

impl Playing {
    /// Plays another scenario from now on. Scripts that are in both go on, those that are not in it end, and their
    /// participants stay. All faults are those of the other one, and begin anew.
    pub fn change_to(&mut self, scenario: Scenario) {
        self.simulator.heal();
        for fault in scenario.faults() {
            self.simulator.add_fault(fault);
        }
        self.simulator.set_webhook_faults(scenario.webhook_faults());
        let mut before = std::mem::take(&mut self.scripts);
        for script in scenario.scripts {
            let known = before.iter().position(|(known, _)| *known == script);
            let played = match known {
                Some(at) => before.swap_remove(at),
                None => {
                    let play = self.simulator.play(script.clone().into(), self.begun);
                    self.begun += 1;
                    (script, play)
                }
            };
            self.scripts.push(played);
        }
    }
}
