//! Sizes in bytes, in human-readable form.

const UNITS: [(&str, u64); 9] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

/// Parses `4GiB`, `512MiB`, `1.5 GB`.
///
/// # Errors
/// As the end of a sentence: text that is not a number with a unit, or a size larger than any memory.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let unclear = || "it is not a size such as 4GiB or 512MiB".to_owned();
    let lower = text.trim().to_ascii_lowercase();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(unit, bytes)| Some((lower.strip_suffix(unit)?, *bytes)))
        .ok_or_else(unclear)?;
    let number = number.trim();
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(unclear());
    }
    let bytes = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(unit),
        Err(_) => {
            let bytes = number.parse::<f64>().map_err(|_| unclear())? * unit as f64;
            // Up to here every whole number is a float.
            (bytes < 9e15).then_some(bytes as u64)
        }
    };
    bytes.filter(|bytes| *bytes <= 1 << 53).ok_or_else(|| "it is more than any machine has".to_owned())
}

/// `3.7 GiB`, `512.0 MiB`, `17 bytes`.
pub fn bytes_in_words(bytes: u64) -> String {
    let scaled = |unit: u64| bytes as f64 / unit as f64;
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..0x10_0000 => format!("{:.1} KiB", scaled(1 << 10)),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", scaled(1 << 20)),
        _ => format!("{:.1} GiB", scaled(1 << 30)),
    }
}
