//! Renaming by tables, and the rearrangements it requires.

use crate::state::{Array, State};

/// The name of an array elsewhere, and here. Both are leading segments of a name; the rest is kept: with
/// `("encoder.layer.*.norm1", "blocks.*.norm1")`, `encoder.layer.3.norm1.bias` becomes `blocks.3.norm1.bias`. `*` at
/// the end of a segment stands for a number that is kept, `#` for one that is dropped; an empty right side drops the array.
pub(crate) type Rule = (&'static str, &'static str);

/// Renames every array by the first matching rule; arrays without one keep their names.
pub(crate) fn rename(state: State, rules: &[Rule]) -> State {
    let renamed = |name: String| match rules.iter().find_map(|rule| apply(rule, &name)) {
        Some(name) => name,
        None => name,
    };
    state
        .into_iter()
        .map(|(name, array)| (renamed(name), array))
        .filter(|(name, _)| !name.is_empty())
        .collect()
}

fn apply((from, to): &Rule, name: &str) -> Option<String> {
    let mut rest = name.split('.');
    let mut numbers = Vec::new();
    for expected in from.split('.') {
        let found = rest.next()?;
        match expected.strip_suffix(['*', '#']) {
            None if expected == found => {}
            None => return None,
            Some(before) => {
                let number = found.strip_prefix(before).filter(|number| is_number(number))?;
                if expected.ends_with('*') {
                    numbers.push(number);
                }
            }
        }
    }
    if to.is_empty() {
        return Some(String::new());
    }
    let mut numbers = numbers.into_iter();
    let kept = to.split('.').map(|segment| match segment {
        "*" => numbers.next().expect("a rule has no more numbers on its right side than on its left"),
        segment => segment,
    });
    Some(kept.chain(rest).collect::<Vec<_>>().join("."))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Stacks arrays along their first axis: `STEM.a.weight`, `STEM.b.weight`, … become `STEM.whole.weight`, and so on for every
/// suffix. Where one of the parts is missing, all keep their names.
pub(crate) fn stack(mut state: State, parts: &[&str], whole: &str) -> State {
    let name_of = |stem: &str, part: &str, ending: &str| format!("{stem}.{part}.{ending}");
    let first = parts[0];
    let places: Vec<(String, String)> = state
        .keys()
        .filter_map(|name| {
            let (stem, ending) = name.split_once(&format!(".{first}."))?;
            let complete = parts.iter().all(|part| state.contains_key(&name_of(stem, part, ending)));
            complete.then(|| (stem.to_owned(), ending.to_owned()))
        })
        .collect();
    for (stem, ending) in places {
        let mut stacked = Array { shape: vec![0], values: Vec::new() };
        for part in parts {
            let Array { shape, values } = state.remove(&name_of(&stem, part, &ending)).expect("it was there");
            let rows = stacked.shape[0] + shape.first().copied().unwrap_or(1);
            stacked.shape = std::iter::once(rows).chain(shape.into_iter().skip(1)).collect();
            stacked.values.extend(values);
        }
        state.insert(name_of(&stem, whole, &ending), stacked);
    }
    state
}

/// `array` with axis `order[i]` as its axis i.
///
/// # Panics
/// If `order` does not name each axis once.
pub(crate) fn permuted(array: &Array, order: &[usize]) -> Array {
    let mut strides = vec![1; array.shape.len()];
    for axis in (1..strides.len()).rev() {
        strides[axis - 1] = strides[axis] * array.shape[axis];
    }
    let shape: Vec<usize> = order.iter().map(|&axis| array.shape[axis]).collect();
    let mut offsets = vec![0];
    for &axis in order {
        let along = (0..array.shape[axis]).map(|index| index * strides[axis]);
        offsets =
            offsets.into_iter().flat_map(|offset| along.clone().map(move |step| offset + step)).collect();
    }
    Array { shape, values: offsets.into_iter().map(|offset| array.values[offset]).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(shape: &[usize]) -> Array {
        let count = shape.iter().product::<usize>();
        Array { shape: shape.to_vec(), values: (0..count).map(|value| value as f32).collect() }
    }

    fn names(state: &State) -> Vec<&str> {
        state.keys().map(String::as_str).collect()
    }

    #[test]
    fn the_first_rule_that_fits_names_an_array() {
        let rules = [
            ("layer.*.attention", "blocks.*.attn"),
            ("layer.#.*", "blocks.*"),
            ("layer", "never"),
            ("mask", ""),
        ];
        let given = ["layer.12.attention.q.weight", "layer.0.7.norm", "layer.x.y", "mask.a", "head.weight"];
        let state: State = given.map(|name| (name.to_owned(), array(&[1]))).into();
        let renamed = rename(state, &rules);
        assert_eq!(names(&renamed), ["blocks.12.attn.q.weight", "blocks.7.norm", "head.weight", "never.x.y"]);
    }

    #[test]
    fn parts_are_stacked_only_when_all_are_there() {
        let given = [
            "a.query.weight",
            "a.key.weight",
            "a.value.weight",
            "a.query.bias",
            "a.value.bias",
            "b.key.weight",
        ];
        let state: State = given.map(|name| (name.to_owned(), array(&[2, 3]))).into();
        let stacked = stack(state, &["query", "key", "value"], "qkv");
        assert_eq!(names(&stacked), ["a.qkv.weight", "a.query.bias", "a.value.bias", "b.key.weight"]);
        assert_eq!(stacked["a.qkv.weight"].shape, [6, 3]);
        assert_eq!(stacked["a.qkv.weight"].values[6..12], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn a_permuted_array_is_numpys_transpose() {
        // numpy.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)[1].ravel()
        let turned = permuted(&array(&[2, 3, 4]), &[2, 0, 1]);
        assert_eq!(turned.shape, [4, 2, 3]);
        assert_eq!(turned.values[6..12], [1.0, 5.0, 9.0, 13.0, 17.0, 21.0]);
    }
}
