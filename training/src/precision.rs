//! The names of precisions in recipes: `f32` and `bf16`.

/// For `#[serde(with = "precision_name")]` on a [`Precision`](archaeo_ops::Precision).
pub mod precision_name {
    use archaeo_ops::Precision;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "Precision", rename_all = "lowercase")]
    enum Name {
        F32,
        Bf16,
    }

    /// Writes the name.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(precision: &Precision, serializer: S) -> Result<S::Ok, S::Error> {
        Name::serialize(precision, serializer)
    }

    /// Reads the name.
    ///
    /// # Errors
    /// An unknown name.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Precision, D::Error> {
        Name::deserialize(deserializer)
    }
}
