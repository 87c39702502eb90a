//! The table of flags is what `usher run --help` says.

use std::{collections::BTreeMap, process::Command};

use crate::table;

/// Each flag of `usher run`, with its environment variable and its default, as it tells them itself.
fn told() -> BTreeMap<String, (String, Option<String>)> {
    let output = Command::new(env!("CARGO_BIN_EXE_usher")).args(["run", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let mut told = BTreeMap::new();
    let mut last = String::new();
    for line in help.lines().map(str::trim) {
        let between = |before: &str| line.strip_prefix(before)?.strip_suffix(']').map(str::to_owned);
        if let Some(flag) =
            line.split_whitespace().find(|word| word.starts_with("--")).filter(|_| line.starts_with('-'))
        {
            last = flag.trim_end_matches(',').to_owned();
        } else if let Some(variable) = between("[env: ") {
            told.insert(last.clone(), (variable.trim_end_matches('=').to_owned(), None));
        } else if let (Some(default), Some(flag)) = (between("[default: "), told.get_mut(&last)) {
            flag.1 = Some(default);
        }
    }
    told
}

#[test]
fn each_flag_has_a_row_with_its_default() {
    let rows: BTreeMap<_, _> = table("Install").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let told = told();
    assert_eq!(rows.keys().collect::<Vec<_>>(), told.keys().collect::<Vec<_>>(), "docs/operations.md against --help");
    for (flag, (variable, default)) in &told {
        assert_eq!(*variable, format!("USHER_{}", flag.trim_start_matches('-').to_uppercase().replace('-', "_")));
        if let Some(default) = default {
            assert_eq!(rows[flag], *default, "{flag}");
        }
    }
}
