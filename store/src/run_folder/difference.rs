//! Differences between two configurations or data sets, in words.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::DataIdentity;

/// The first differences between two configurations, in words, except for keys that begin with one of `free`; `None` if they are
/// equal.
pub fn difference_of_configs(there: &str, here: &str, free: &[String]) -> Option<String> {
    let flat = |text: &str| -> Option<BTreeMap<String, String>> {
        let mut flat = BTreeMap::new();
        flatten(&toml::from_str::<Table>(text).ok()?, "", &mut flat);
        Some(flat)
    };
    let (Some(there), Some(here)) = (flat(there), flat(here)) else {
        return (there != here).then(|| "it cannot be read".to_owned());
    };
    let missing = "not set".to_owned();
    let keys: BTreeSet<&String> = there.keys().chain(here.keys()).collect();
    let differences: Vec<String> = keys
        .into_iter()
        .filter(|key| there.get(*key) != here.get(*key) && !free.iter().any(|free| key.starts_with(free)))
        .map(|key| {
            let (there, here) = (there.get(key).unwrap_or(&missing), here.get(key).unwrap_or(&missing));
            format!("{key} is {there} there and {here} here")
        })
        .collect();
    match differences.len() {
        0 => None,
        count @ 1..=3 => Some(differences[..count].join(", ")),
        count => Some(format!("{}, and {} more", differences[..3].join(", "), count - 3)),
    }
}

fn flatten(table: &Table, prefix: &str, flat: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => flatten(inner, &format!("{prefix}{key}."), flat),
            value => drop(flat.insert(format!("{prefix}{key}"), value.to_string())),
        }
    }
}

pub(super) fn difference_of_data(there: &DataIdentity, here: &DataIdentity) -> String {
    if there.classes != here.classes {
        format!("{} classes there and {} here, or other names", there.classes.len(), here.classes.len())
    } else if there.counts != here.counts {
        format!("{:?} images there and {:?} here", there.counts, here.counts)
    } else {
        format!("fingerprint {:.12} there and {:.12} here", there.fingerprint, here.fingerprint)
    }
}
