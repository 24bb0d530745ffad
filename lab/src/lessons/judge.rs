//! Whether numbers are those that are expected, and which well-known slip gives those that are there.

/// What is said of an answer.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// It is right; what that shows.
    Right(String),
    /// What is off, and a hint.
    Wrong(String),
}

/// What a slip would give, and the hint that it gets.
pub type Slip = (Vec<f64>, &'static str);

impl Verdict {
    /// Right where all of `checks` hold; the sentence of the first that does not, otherwise.
    pub fn all(checks: &[(bool, String)], right: &str) -> Self {
        match checks.iter().find(|(holds, _)| !holds) {
            Some((_, sentence)) => Self::Wrong(sentence.clone()),
            None => Self::Right(right.into()),
        }
    }
}

/// Compares an array with what is expected, to `tolerance`, and with what slips would give.
pub fn compare(given: &[f64], expected: &[f64], tolerance: f64, slips: &[Slip], right: &str) -> Verdict {
    let (largest, place) = difference(given, expected);
    if largest <= tolerance {
        return Verdict::Right(format!("{right} (largest difference {largest:.0e})"));
    }
    // A slip explains an answer only where it differs from what is right.
    let made = slips.iter().find(|(values, _)| difference(given, values).0 <= tolerance);
    Verdict::Wrong(match made {
        Some((_, hint)) => (*hint).into(),
        None => format!(
            "value {} in order is {:.5}, and {:.5} is right; the largest difference is {largest:.2}",
            place + 1,
            given[place],
            expected[place]
        ),
    })
}

/// Compares a few whole numbers; `names` say which of them is off.
pub fn counts(given: &[f64], names: &[&str], expected: &[f64], slips: &[Slip], right: &str) -> Verdict {
    if given == expected {
        return Verdict::Right(right.into());
    }
    if let Some((_, hint)) = slips.iter().find(|(values, _)| values == given) {
        return Verdict::Wrong((*hint).into());
    }
    let off = names.iter().zip(given).zip(expected).filter(|((_, given), expected)| given != expected);
    let off: Vec<String> = off.map(|((name, _), _)| format!("`{name}`")).collect();
    let more = given
        .iter()
        .zip(expected)
        .find(|(given, expected)| given != expected)
        .map(|(given, expected)| given / expected);
    let times = more.map_or(String::new(), |more| format!("; the first is {more:.3} times what is right"));
    Verdict::Wrong(format!(
        "{} {} not right{times}",
        off.join(", "),
        if off.len() == 1 { "is" } else { "are" }
    ))
}

/// The largest difference, and where it is.
fn difference(a: &[f64], b: &[f64]) -> (f64, usize) {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs()).enumerate();
    differences.fold((0.0, 0), |largest, (place, one)| if one > largest.0 { (one, place) } else { largest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_named_and_anything_else_is_shown() {
        let slips: [Slip; 1] = [(vec![4.0, 2.0], "doubled")];
        let judged = |given: &[f64]| compare(given, &[2.0, 1.0], 1e-3, &slips, "so it is");
        assert_eq!(judged(&[2.0, 1.0005]), Verdict::Right("so it is (largest difference 5e-4)".into()));
        assert_eq!(judged(&[4.0, 2.0]), Verdict::Wrong("doubled".into()));
        assert_eq!(
            judged(&[2.0, 3.0]),
            Verdict::Wrong(
                "value 2 in order is 3.00000, and 1.00000 is right; the largest difference is 2.00".into()
            )
        );
    }

    #[test]
    fn counts_have_to_be_exact() {
        let slips: [Slip; 1] = [(vec![3.0, 12.0], "one too many")];
        let judged = |given: &[f64]| counts(given, &["a", "b"], &[3.0, 4.0], &slips, "yes");
        assert_eq!(judged(&[3.0, 4.0]), Verdict::Right("yes".into()));
        assert_eq!(judged(&[3.0, 12.0]), Verdict::Wrong("one too many".into()));
        assert_eq!(
            judged(&[3.0, 8.0]),
            Verdict::Wrong("`b` is not right; the first is 2.000 times what is right".into())
        );
    }
}
