//! How figures are made of measurements, and kept.

use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};

/// Reads what [`save`] has written.
///
/// # Panics
///
/// When the file is not there, or holds something else.
pub fn load<T: DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Writes figures as JSON for people to read, into a folder that is made where it is not there.
///
/// # Panics
///
/// When that is not possible.
pub fn save(figures: &impl Serialize, path: &Path) {
    let text = serde_json::to_string_pretty(figures).expect("figures are JSON") + "\n";
    std::fs::create_dir_all(path.parent().expect("it is in a directory")).expect("the directory can be made");
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The smallest value that is not exceeded by this part of all (nearest rank).
pub fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().map(rounded)
}

/// To three digits after the point: more would be noise.
pub fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// Bytes in MiB, to a tenth.
pub fn mebibytes(bytes: u64) -> f64 {
    (bytes as f64 / 1024.0 / 1024.0 * 10.0).round() / 10.0
}

/// Milliseconds as a table shows them, to a tenth below a hundred.
pub fn millis(time: Option<f64>) -> String {
    match time {
        None => "–".to_owned(),
        Some(time) if time < 100.0 => format!("{time:.1}"),
        Some(time) => format!("{time:.0}"),
    }
}
