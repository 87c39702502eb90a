//! Draws a picture on the terminal.

#[cfg(test)]
mod tests;

use std::iter;

use jiff::tz::TimeZone;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Padding, Paragraph, Wrap},
};

use super::{
    ledger::words,
    picture::{Object, Picture, Room, span},
};
use crate::engine::Done;

/// From this size on the rooms show who is in them, beside everything else.
const LARGE: (u16, u16) = (120, 36);

/// The styles, which are without colour where the user wants none (no-color.org).
#[derive(Clone, Copy)]
pub(super) struct Theme {
    colours: bool,
}

impl Theme {
    /// By the environment.
    pub(super) fn of_environment() -> Self {
        Self { colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    fn colour(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn faint(self) -> Style {
        if self.colours { Style::new().fg(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    fn good(self) -> Style {
        self.colour(Color::Green)
    }

    fn odd(self) -> Style {
        self.colour(Color::Yellow)
    }

    fn bad(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn of(self, what: &Done) -> Style {
        match what {
            Done::Removed(_) => self.colour(Color::Red),
            Done::Retired(_) => self.colour(Color::Magenta),
            Done::Brought(..) => self.colour(Color::Cyan),
            Done::Changed(_) => self.good(),
        }
    }
}

/// Draws the whole.
pub(super) fn draw(frame: &mut Frame<'_>, picture: &Picture<'_>, theme: Theme) {
    let area = frame.area();
    let mistakes = u16::try_from(picture.ledger.mistakes.len()).unwrap_or(u16::MAX);
    let foot = if mistakes > 0 { 6 } else { 3 };
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(6), Constraint::Length(foot)]).areas(area);
    draw_head(frame, head, picture, theme);
    if area.width >= LARGE.0 && area.height >= LARGE.1 {
        let [left, right] = Layout::horizontal([Constraint::Percentage(42), Constraint::Percentage(58)]).areas(body);
        let objects = u16::try_from(picture.objects.len()).unwrap_or(u16::MAX).saturating_add(2);
        let [top, bottom] = Layout::vertical([Constraint::Length(objects), Constraint::Min(4)]).areas(right);
        draw_rooms(frame, left, picture, theme, true);
        draw_objects(frame, top, picture, theme);
        draw_deeds(frame, bottom, picture, theme);
    } else {
        let rows = picture.rooms.len().max(picture.objects.len());
        let rows = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2).min(body.height / 2);
        let [top, bottom] = Layout::vertical([Constraint::Length(rows), Constraint::Min(4)]).areas(body);
        let [left, right] = Layout::horizontal([Constraint::Percentage(40), Constraint::Percentage(60)]).areas(top);
        draw_rooms(frame, left, picture, theme, false);
        draw_objects(frame, right, picture, theme);
        draw_deeds(frame, bottom, picture, theme);
    }
    draw_foot(frame, foot, picture, theme);
}

fn panel(title: String, theme: Theme) -> Block<'static> {
    Block::bordered()
        .border_style(theme.faint())
        .title(Span::styled(title, theme.strong()))
        .padding(Padding::horizontal(1))
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, picture: &Picture<'_>, theme: Theme) {
    let seconds = picture.elapsed.as_secs();
    let line = Line::from(vec![
        Span::styled(" usher demo ", theme.strong()),
        Span::raw(format!(" {}:{:02}  ", seconds / 60, seconds % 60)),
        Span::styled(format!("LiveKit Cloud, simulated, on {}", picture.url), theme.faint()),
    ]);
    let quit = Line::from(Span::styled("q quits ", theme.faint())).right_aligned();
    frame.render_widget(Paragraph::new(line), area);
    let width = 8.min(area.width);
    frame.render_widget(quit, Rect { x: area.right() - width, width, ..area });
}

fn draw_rooms(frame: &mut Frame<'_>, area: Rect, picture: &Picture<'_>, theme: Theme, with_people: bool) {
    let title = format!(" Rooms: {}, participants: {} ", picture.rooms.len(), picture.participants());
    let block = panel(title, theme);
    let width = usize::from(block.inner(area).width);
    let lines: Vec<_> = if with_people {
        let shown = picture.rooms.iter().map(|room| people(room, width, theme));
        shown.flat_map(|lines| lines.into_iter().chain(iter::once(Line::default()))).collect()
    } else {
        picture.rooms.iter().map(|room| bar(room, width, theme)).collect()
    };
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// A room in one line: a block for each who is there, lighter for a copy.
fn bar(room: &Room, width: usize, theme: Theme) -> Line<'static> {
    let copies = room.people.iter().filter(|person| person.is_copy).count();
    let own = room.people.len() - copies;
    let left = width.saturating_sub(16);
    Line::from(vec![
        Span::raw(format!("{:<11.11} {:>3} ", room.name, room.people.len())),
        Span::styled("█".repeat(own.min(left)), theme.good()),
        Span::styled("░".repeat(copies.min(left.saturating_sub(own))), theme.colour(Color::Cyan)),
    ])
}

/// A room with everybody in it: bold who may publish, in brackets who is a copy.
fn people(room: &Room, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = vec![Line::from(vec![
        Span::styled(room.name.clone(), theme.strong()),
        Span::styled(format!("  {}", room.people.len()), theme.faint()),
    ])];
    let (mut line, mut used) = (Vec::new(), 2);
    for person in &room.people {
        let text = if person.is_copy { format!("[{}]", person.identity) } else { person.identity.clone() };
        let style = match (person.is_copy, person.may_publish) {
            (true, _) => theme.colour(Color::Cyan),
            (false, true) => theme.good(),
            (false, false) => theme.faint(),
        };
        let taken = text.chars().count() + 1;
        if used + taken > width && !line.is_empty() {
            lines.push(indented(std::mem::take(&mut line)));
            used = 2;
        }
        used += taken;
        line.push(Span::styled(text, style));
        line.push(Span::raw(" "));
    }
    lines.push(indented(line));
    lines
}

fn indented(spans: Vec<Span<'static>>) -> Line<'static> {
    iter::once(Span::raw("  ")).chain(spans).collect()
}

fn draw_objects(frame: &mut Frame<'_>, area: Rect, picture: &Picture<'_>, theme: Theme) {
    let block = panel(format!(" {}/ ", picture.folder.display()), theme);
    let is_wide = block.inner(area).width >= 52;
    let lines: Vec<_> = picture.objects.iter().map(|object| object_line(object, is_wide, theme)).collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn object_line(object: &Object, is_wide: bool, theme: Theme) -> Line<'static> {
    let kind = object.kind.strip_prefix("Participant").or(object.kind.strip_prefix("Room")).unwrap_or(object.kind);
    let (counted, style) = match (&object.counts, object.audits) {
        (None, _) => (String::new(), theme.faint()),
        (Some(counts), true) => {
            let words = if is_wide { " fields would change" } else { " to change" };
            (format!("{:>3}{words}", counts.violations), theme.odd())
        }
        (Some(counts), false) => {
            let style = if counts.compliant < counts.participants { theme.odd() } else { theme.good() };
            let words = if is_wide { " as declared" } else { "" };
            (format!("{:>3} of {}{words}", counts.compliant, counts.participants), style)
        }
    };
    let good = ["Enforced", "NoActiveRooms", "Audited", "Suspended"].contains(&object.reason.as_str());
    let reason = if good { theme.good() } else { theme.odd() };
    Line::from(vec![
        Span::raw(format!("{kind:<8}{:<11.11}", object.name)),
        Span::styled(format!("{:<9.9} ", object.reason), reason),
        Span::styled(counted, style),
    ])
}

fn draw_deeds(frame: &mut Frame<'_>, area: Rect, picture: &Picture<'_>, theme: Theme) {
    let block = panel(format!(" Done: {} ", picture.ledger.count), theme);
    let inner = block.inner(area);
    let width = usize::from(inner.width);
    // Time, room and participant, and at the end the rule and how long it took; what was done gets the rest.
    let (by, took) = if width >= 100 { (18, 9) } else { (17, 8) };
    let who = if width >= 100 { (11, 12) } else { (10, 11) };
    let what = width.saturating_sub(9 + who.0 + who.1 + by + took + 3);
    let shown = picture.ledger.deeds.iter().take(usize::from(inner.height));
    let lines: Vec<_> = shown
        .map(|(at, deed)| {
            let (done, rule) = words(deed);
            let at = at.to_zoned(TimeZone::system()).strftime("%H:%M:%S");
            Line::from(vec![
                Span::styled(format!("{at} "), theme.faint()),
                Span::raw(format!("{} {} ", cut(&deed.room, who.0), cut(&deed.identity, who.1))),
                Span::styled(cut(&done, what), theme.of(&deed.what)),
                Span::styled(format!(" {}", cut(&rule, by)), theme.faint()),
                Span::raw(format!("{:>took$}", span(deed.after))),
            ])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// Exactly so wide.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() > width {
        let kept: String = text.chars().take(width.saturating_sub(1)).collect();
        format!("{kept}…")
    } else {
        format!("{text:<width$}")
    }
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, picture: &Picture<'_>, theme: Theme) {
    let ledger = picture.ledger;
    let (changed, looked) = picture.requests;
    let numbers = Line::from(vec![
        Span::raw(" Enforced in "),
        Span::styled(span(ledger.times.median()), theme.strong()),
        Span::raw(" (median), "),
        Span::styled(span(ledger.times.slowest()), theme.strong()),
        Span::raw(" at most. Requests: "),
        Span::styled(changed.to_string(), theme.strong()),
        Span::raw(" to act, "),
        Span::styled(looked.to_string(), theme.strong()),
        Span::raw(" to look."),
    ]);
    let mut lines = vec![numbers];
    let folder = picture.folder.display();
    match ledger.mistakes.as_slice() {
        [] => {
            lines.push(Line::from(vec![
                Span::raw(" Try it: edit "),
                Span::styled(format!("{folder}/webinar.yaml"), theme.strong()),
                Span::raw(" and save; the first lines of each file say how."),
            ]));
            if let Some(loaded) = ledger.loaded {
                let at = loaded.to_zoned(TimeZone::system()).strftime("%H:%M:%S");
                lines.push(Line::from(Span::styled(format!(" The manifests were read at {at}."), theme.faint())));
            }
        }
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            lines.push(Line::from(" What the manifests said before stays in force until this is corrected:"));
            lines.push(Line::from(Span::styled(format!(" {first}{more}"), theme.bad())));
        }
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}
