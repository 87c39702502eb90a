//! The table of condition reasons is complete, and says of each what it makes of the conditions.

use usher::api::{Outcome, Reason};

use crate::table;

#[test]
fn each_reason_has_a_row_with_cause_and_remedy() {
    let rows = table("Condition reasons");
    let expected: Vec<_> = Reason::ALL
        .iter()
        .map(|reason| {
            let outcome = match reason.outcome() {
                Outcome::Ready => "Ready",
                Outcome::Reconciling => "Reconciling",
                Outcome::Stalled => "Stalled",
            };
            [reason.as_str(), outcome]
        })
        .collect();
    let found: Vec<_> = rows.iter().map(|row| [row[0].as_str(), row[1].as_str()]).collect();
    assert_eq!(found, expected, "docs/operations.md, in the order of src/api/reason.rs");
    for row in &rows {
        assert!(row.len() == 4 && row[2].len() > 10 && row[3].len() > 10, "cause and remedy: {row:?}");
    }
}
