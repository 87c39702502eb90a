//! The terminal: taken over, and given back whatever happens.

#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};

use super::{
    ledger::Ledger,
    picture::Scene,
    view::{Theme, draw},
};

/// Between two pictures, where nobody presses a key.
const BETWEEN: Duration = Duration::from_millis(100);

/// The terminal while it is ours. It is given back when this is dropped, also by a panic.
struct Screen(DefaultTerminal);

impl Screen {
    fn take() -> io::Result<Self> {
        let terminal = ratatui::try_init()?;
        // That has put a hook before the one that there was, which gives the terminal back at any panic and prints. The
        // engine catches those of its own work, and counts them: they must not end the picture. Ours ends by dropping.
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let message = panic.payload_as_str().unwrap_or("no message");
            let mut last = LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(format!("panic at {place}: {message}"));
        }));
        Ok(Self(terminal))
    }

    /// Draws again and again.
    fn show(mut self, hang_up: &mpsc::Receiver<()>, draw: impl Fn(&mut Frame<'_>)) -> io::Result<()> {
        loop {
            self.0.draw(&draw)?;
            if !matches!(hang_up.try_recv(), Err(mpsc::TryRecvError::Empty)) {
                return Ok(());
            }
            if event::poll(BETWEEN)? && quits(&event::read()?) {
                return Ok(());
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// What the last panic said, if there was one.
pub(super) fn last_panic() -> Option<String> {
    LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The ledger, shared with who fills it.
pub(super) type Shared = Arc<Mutex<Ledger>>;

/// The ledger, for a moment.
pub(super) fn look(ledger: &Shared) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows the demo until somebody quits, or nobody is left who could hang up. Blocks.
pub(super) fn show(scene: &Scene, ledger: &Shared, hang_up: &mpsc::Receiver<()>) -> io::Result<()> {
    let theme = Theme::of_environment();
    Screen::take()?.show(hang_up, |frame| {
        let ledger = look(ledger);
        draw(frame, &scene.picture(&ledger), theme);
    })
}

fn quits(event: &Event) -> bool {
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else { return false };
    match code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        // In raw mode it is a key like any other.
        KeyCode::Char('c') => modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}
