//! Two JSON values, place by place.

use serde_json::Value;

/// Significant digits from which two numbers are taken for the same: rounding of other processors and mathematical libraries stays
/// below it.
pub(super) const SAME_DIGITS: u32 = 10;

/// Digits of a 64-bit float.
const ALL_DIGITS: u32 = 17;

/// To how many significant digits two numbers agree; `None` where they are the same to the last bit.
pub(super) fn agreeing_digits(one: f64, other: f64) -> Option<u32> {
    if one == other || (one.is_nan() && other.is_nan()) {
        return None;
    }
    let relative = (one - other).abs() / one.abs().max(other.abs());
    Some(if relative.is_finite() {
        (-relative.log10()).floor().clamp(0.0, f64::from(ALL_DIGITS)) as u32
    } else {
        0
    })
}

/// A place at which two values differ.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// JSON pointer (RFC 6901).
    pub place: String,
    /// What is there, shortened.
    pub stored: String,
    /// What should be.
    pub again: String,
}

impl Difference {
    /// As part of a sentence.
    pub fn said(&self) -> String {
        let Self { place, stored, again } = self;
        format!("{place} is {stored}, and should be {again}")
    }
}

/// What a comparison of two values gave.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Numbers that were compared.
    pub numbers: usize,
    /// The fewest digits to which numbers agree that are taken for the same and are not so to the last bit.
    pub fewest_digits: Option<u32>,
    /// Where they differ.
    pub differences: Vec<Difference>,
}

impl Compared {
    /// Compares `stored` with what it should be; numbers are the same where `same` says so.
    pub fn of(stored: &Value, again: &Value, same: &dyn Fn(f64, f64) -> bool) -> Self {
        let mut compared = Self::default();
        compared.visit(stored, again, &mut String::new(), same);
        compared
    }

    /// As [`Compared::of`], of numbers in double precision.
    pub fn exactly(stored: &Value, again: &Value) -> Self {
        Self::of(stored, again, &|one, other| {
            agreeing_digits(one, other).is_none_or(|digits| digits >= SAME_DIGITS)
        })
    }

    /// To how many digits the numbers agree, in words.
    pub fn digits(&self) -> String {
        match self.fewest_digits {
            None => "to the last digit".into(),
            Some(digits) => format!("to {digits} significant digits or more"),
        }
    }

    fn visit(&mut self, stored: &Value, again: &Value, place: &mut String, same: &dyn Fn(f64, f64) -> bool) {
        let length = place.len();
        match (stored, again) {
            (Value::Number(one), Value::Number(other)) => {
                self.numbers += 1;
                let [one, other] = [one, other].map(|number| number.as_f64().unwrap_or(f64::NAN));
                match same(one, other) {
                    true => {
                        let digits = agreeing_digits(one, other);
                        self.fewest_digits = [self.fewest_digits, digits].into_iter().flatten().min();
                    }
                    false => self.differ(place, stored, again),
                }
            }
            (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
                for (index, (one, other)) in one.iter().zip(other).enumerate() {
                    *place += &format!("/{index}");
                    self.visit(one, other, place, same);
                    place.truncate(length);
                }
            }
            (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
                for (key, one) in one {
                    *place += &format!("/{}", escaped(key));
                    self.visit(one, &other[key], place, same);
                    place.truncate(length);
                }
            }
            _ if stored == again => {}
            _ => self.differ(place, stored, again),
        }
    }

    fn differ(&mut self, place: &str, stored: &Value, again: &Value) {
        let [stored, again] = [stored, again].map(|value| shortened(&value.to_string()));
        self.differences.push(Difference { place: place.into(), stored, again });
    }
}

/// The places of all numbers of a value, in their order.
pub(super) fn numbers_of(value: &Value) -> Vec<String> {
    fn visit(value: &Value, place: &str, found: &mut Vec<String>) {
        match value {
            Value::Number(_) => found.push(place.to_owned()),
            Value::Array(values) => {
                values
                    .iter()
                    .enumerate()
                    .for_each(|(index, value)| visit(value, &format!("{place}/{index}"), found));
            }
            Value::Object(values) => {
                values
                    .iter()
                    .for_each(|(key, value)| visit(value, &format!("{place}/{}", escaped(key)), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    visit(value, "", &mut found);
    found
}

/// A key within a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// What of a text fits into a sentence.
fn shortened(text: &str) -> String {
    const MOST: usize = 48;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn digits_are_those_that_two_numbers_share() {
        assert_eq!(agreeing_digits(0.1, 0.1), None);
        assert_eq!(agreeing_digits(f64::NAN, f64::NAN), None);
        assert_eq!(agreeing_digits(93.45, 93.46), Some(3));
        assert_eq!(agreeing_digits(1.0, -1.0), Some(0));
        assert_eq!(agreeing_digits(0.0, 1e-300), Some(0));
        assert_eq!(agreeing_digits(1.0, 1.0 + f64::EPSILON), Some(15));
        assert_eq!(agreeing_digits(1.0, f64::INFINITY), Some(0));
    }

    #[test]
    fn every_place_is_compared_and_named() {
        let stored = json!({"a/b": [1.0, 2.0, {"c": "x"}], "d": null, "e": [1]});
        let again = json!({"a/b": [1.0, 2.5, {"c": "y"}], "d": null, "e": [1, 2]});
        let compared = Compared::exactly(&stored, &again);
        let places: Vec<&str> = compared.differences.iter().map(|of| of.place.as_str()).collect();
        assert_eq!(places, ["/a~1b/1", "/a~1b/2/c", "/e"]);
        assert_eq!((compared.numbers, compared.fewest_digits), (2, None));
        assert_eq!(compared.differences[0].said(), "/a~1b/1 is 2.0, and should be 2.5");
        for place in numbers_of(&stored) {
            assert!(stored.pointer(&place).unwrap().is_number(), "{place}");
        }
        assert_eq!(numbers_of(&stored), ["/a~1b/0", "/a~1b/1", "/e/0"]);
    }

    #[test]
    fn what_rounding_changes_agrees_to_fewer_digits() {
        let compared = Compared::exactly(&json!([1.0, 3.0]), &json!([1.0 + 1e-12, 3.0]));
        assert!(compared.differences.is_empty());
        assert_eq!(compared.digits(), "to 11 significant digits or more");
        assert_eq!(Compared::exactly(&json!(1.0), &json!(1.0 + 1e-8)).differences.len(), 1);
    }
}
