//! Which of two classes a test is for.

/// Words that name the finding that is looked for.
const POSITIVE: [&str; 26] = [
    "abnormal",
    "anomalous",
    "anomaly",
    "cancer",
    "carcinoma",
    "covid",
    "damaged",
    "defect",
    "defective",
    "disease",
    "diseased",
    "fake",
    "glaucoma",
    "infected",
    "lesion",
    "malignant",
    "melanoma",
    "parasitized",
    "pneumonia",
    "positive",
    "sick",
    "true",
    "tuberculosis",
    "tumor",
    "tumour",
    "yes",
];

/// Words that name its absence.
const NEGATIVE: [&str; 17] = [
    "absent", "benign", "clean", "clear", "control", "false", "good", "healthy", "intact", "negative", "no",
    "non", "normal", "not", "ok", "real", "without",
];

/// The positive one of two classes, and whether their names say so. A word for absence decides before a word for the finding,
/// for `no tumor` names both; where the names say nothing, it is the second class.
pub(super) fn positive_class(names: [&str; 2]) -> (usize, bool) {
    let of = |words: &[&str], digit: &str| names.map(|name| name.trim() == digit || says(name, words));
    match (of(&NEGATIVE, "0"), of(&POSITIVE, "1")) {
        ([true, false], _) => (1, true),
        ([false, true], _) => (0, true),
        (_, [true, false]) => (0, true),
        (_, [false, true]) => (1, true),
        _ => (1, false),
    }
}

/// Whether one of the words stands in a name, as in `01_Normal` or `NonTumor`.
fn says(name: &str, words: &[&str]) -> bool {
    let mut spaced = String::new();
    let mut before = ' ';
    for character in name.chars() {
        if character.is_uppercase() && before.is_lowercase() {
            spaced.push(' ');
        }
        spaced.push(if character.is_alphabetic() { character } else { ' ' });
        before = character;
    }
    spaced.to_lowercase().split_whitespace().any(|word| words.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::positive_class;

    #[test]
    fn names_tell_which_class_is_tested_for() {
        for (names, expected) in [
            (["0", "1"], (1, true)),
            (["normal", "pneumonia"], (1, true)),
            (["PNEUMONIA", "NORMAL"], (0, true)),
            (["malignant", "normal, benign"], (0, true)),
            (["tumor", "no_tumor"], (0, true)),
            (["NonTumor", "Tumor"], (1, true)),
            (["00-healthy", "01-leaf rust"], (1, true)),
            (["Parasitized", "Uninfected"], (0, true)),
            (["cats", "dogs"], (1, false)),
            (["1", "2"], (0, true)),
            (["abnormal", "normal"], (0, true)),
            (["", ""], (1, false)),
        ] {
            assert_eq!(positive_class(names), expected, "{names:?}");
        }
    }
}
