//! How figures are made of measurements.

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
