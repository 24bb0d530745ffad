//! Numbers of layers and heads as people count them: from 1 in files, from 0 in arrays of the program.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::Serializer;

#[expect(clippy::trivially_copy_pass_by_ref)] // what serde calls
pub(crate) fn serialize<S: Serializer>(index: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(*index as u64 + 1)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let number = usize::deserialize(deserializer)?;
    number.checked_sub(1).ok_or_else(|| {
        D::Error::custom("layers and heads are numbered from 1, and here one has the number 0, as earlier versions wrote it")
    })
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Place {
        #[serde(with = "super")]
        layer: usize,
    }

    #[test]
    fn the_first_layer_is_1_in_a_file_and_0_is_none() {
        assert_eq!(serde_json::to_string(&Place { layer: 0 }).unwrap(), r#"{"layer":1}"#);
        assert_eq!(serde_json::from_str::<Place>(r#"{"layer":12}"#).unwrap(), Place { layer: 11 });
        let error = serde_json::from_str::<Place>(r#"{"layer":0}"#).unwrap_err().to_string();
        assert!(error.contains("numbered from 1"), "{error}");
    }
}
