//! The investigation that the program brings along: two small models trained on Sherds, and what was found of them.

use std::path::PathBuf;

use crate::error::LabError;

/// The two models by name, as safetensors.
pub(crate) const BUNDLED_MODELS: [(&str, &[u8]); 2] = [("vit", FILES[0].1), ("cnn", FILES[1].1)];

/// Its files, as `excavate` wrote them, and where they stand in its folder.
const FILES: [(&str, &[u8]); 5] = [
    ("vit/model.safetensors", include_bytes!("bundled/vit.safetensors")),
    ("cnn/model.safetensors", include_bytes!("bundled/cnn.safetensors")),
    ("findings/faithfulness.json", include_bytes!("bundled/faithfulness.json")),
    ("findings/atlas.json", include_bytes!("bundled/atlas.json")),
    ("investigation.json", include_bytes!("bundled/investigation.json")),
];

/// The folder of that investigation, unpacked where the system keeps temporary files, unless its files are there already. The
/// folder's name holds the hash of its contents.
///
/// # Errors
/// A folder that cannot be written.
pub fn bundled_run() -> Result<PathBuf, LabError> {
    let mut all = Vec::new();
    FILES.iter().for_each(|(_, bytes)| all.extend_from_slice(bytes));
    let folder = std::env::temp_dir().join(format!("archaeo-lab-{}", &archaeo_store::sha256(&all)[..16]));
    for (name, bytes) in FILES {
        let file = folder.join(name);
        if std::fs::read(&file).is_ok_and(|known| known == bytes) {
            continue;
        }
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|source| LabError::Unpack { file: file.clone(), source })?;
        }
        archaeo_store::write(&file, bytes)?;
    }
    Ok(folder)
}
