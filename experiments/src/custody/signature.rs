//! Signatures of manifests, in minisign's format (<https://jedisct1.github.io/minisign/>): Ed25519 over BLAKE2b of the file.

use std::fmt;
use std::io::{Cursor, ErrorKind};
use std::path::Path;

use archaeo_store::{StoreError, read_text};

use super::{Check, CustodyError, MANIFEST, Manifest, Part};

/// Name of the signature in a run folder, as `minisign` has it.
pub const SIGNATURE: &str = "manifest.json.minisig";

/// Bytes of the longest key or signature that is read.
const LONGEST: u64 = 1 << 14;

/// Who should have signed.
pub struct PublicKey(minisign::PublicKey);

impl PublicKey {
    /// Reads a key: a file, or the text that `minisign` calls the public key.
    ///
    /// # Errors
    /// Text that is neither a file nor a key, a file that holds none.
    pub fn read(key: &str) -> Result<Self, CustodyError> {
        let error = |reason: &str| CustodyError::Key { name: key.into(), reason: reason.into() };
        let path = Path::new(key);
        if !path.exists() {
            let key = minisign::PublicKey::from_base64(key);
            return Ok(Self(key.map_err(|_| {
                error("is neither a file nor a public key; give the .pub file that `minisign -G` wrote")
            })?));
        }
        let text = read_text(path, LONGEST).map_err(StoreError::io("read", path))?;
        let parsed = minisign::PublicKeyBox::from_string(&text).and_then(|found| found.into_public_key());
        Ok(Self(parsed.map_err(|_| {
            error("holds no public key of minisign; give the .pub file that `minisign -G` wrote")
        })?))
    }
}

impl PublicKey {
    /// Why a text is no signature of these bytes with this key; `None` where it is one.
    fn refuses(&self, signature: &str, bytes: &[u8]) -> Option<String> {
        let signature = minisign::SignatureBox::from_string(signature);
        let signed = signature.and_then(|signature| {
            minisign::verify(&self.0, &signature, Cursor::new(bytes), true, false, false)
        });
        signed.err().map(|error| error.to_string())
    }
}

/// Who signs.
pub struct SecretKey(minisign::SecretKey);

// The key itself must not be shown.
impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

impl SecretKey {
    /// Reads a key from a file; `password` unlocks one that has a password.
    ///
    /// # Errors
    /// A file that holds none, a password that is missing or wrong.
    pub fn read(path: &Path, password: Option<String>) -> Result<Self, CustodyError> {
        let error = |reason: String| CustodyError::Key { name: path.display().to_string(), reason };
        let text = read_text(path, LONGEST).map_err(StoreError::io("read", path))?;
        let key = || minisign::SecretKeyBox::from_string(&text);
        if let Ok(open) = key().and_then(|found| found.into_unencrypted_secret_key()) {
            return Ok(Self(open));
        }
        let Some(password) = password else {
            return Err(error(format!(
                "is no secret key of minisign, or has a password; give the password as ARCHAEO_KEY_PASSWORD, or sign with \
                 `minisign -S -s KEY -m DIR/{MANIFEST}`"
            )));
        };
        let opened = key().and_then(|found| found.into_secret_key(Some(password)));
        Ok(Self(opened.map_err(|_| {
            error("is no secret key of minisign, or ARCHAEO_KEY_PASSWORD is not its password".into())
        })?))
    }

    /// Signs the manifest of a folder.
    ///
    /// # Errors
    /// A folder without a manifest, or that cannot be written.
    pub fn sign(&self, folder: &Path) -> Result<(), CustodyError> {
        let manifest = Manifest::read(folder)?;
        let said = format!("file:{MANIFEST}\tsealed by archaeo {}", manifest.build);
        let signature = self.signature(&manifest_bytes(folder)?, &said)?;
        Ok(archaeo_store::write(&folder.join(SIGNATURE), signature.as_bytes())?)
    }

    /// The signature of a file's bytes, with a comment that is signed as well.
    fn signature(&self, bytes: &[u8], comment: &str) -> Result<String, CustodyError> {
        let signed = minisign::sign(None, &self.0, Cursor::new(bytes), Some(comment), None);
        let signature = signed.map_err(|error| CustodyError::Key {
            name: MANIFEST.into(),
            reason: format!("cannot be signed ({error})"),
        })?;
        Ok(signature.into_string())
    }
}

fn manifest_bytes(folder: &Path) -> Result<Vec<u8>, CustodyError> {
    let path = folder.join(MANIFEST);
    Ok(archaeo_store::read(&path).map_err(StoreError::io("read", &path))?)
}

/// Whether the manifest was signed with a key; nothing where neither is there.
pub(super) fn check(folder: &Path, key: Option<&PublicKey>) -> Result<Option<Check>, CustodyError> {
    let path = folder.join(SIGNATURE);
    let text = match read_text(&path, LONGEST) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        read => Some(read.map_err(StoreError::io("read", &path))?),
    };
    Ok(match (text, key) {
        (None, None) => None,
        (None, Some(_)) => {
            Some(Check::differs(Part::Signature, SIGNATURE, "is missing: nobody signed the manifest"))
        }
        (Some(_), None) => {
            let detail = "the manifest is signed; --public-key says by whom it should be";
            Some(Check::unchecked(Part::Signature, SIGNATURE, detail))
        }
        (Some(text), Some(key)) => {
            let wrong = key.refuses(&text, &manifest_bytes(folder)?).map(|error| {
                format!(
                    "it is no signature of {MANIFEST} with this key ({error}); a manifest that was written again has to be signed again"
                )
            });
            Some(Check::of(Part::Signature, SIGNATURE, "the manifest was signed with this key", wrong))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by py-minisign with `tests/fixtures/make_signature.py`.
    fn fixture(name: &str) -> String {
        format!("{}/tests/fixtures/signature/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    fn text(name: &str) -> String {
        std::fs::read_to_string(fixture(name)).unwrap()
    }

    #[test]
    fn signatures_of_another_implementation_are_understood() {
        let [own, other] = ["key.pub", "other.pub"].map(|name| PublicKey::read(&fixture(name)).unwrap());
        let (signed, signature) = (text("signed.txt"), text("signed.txt.minisig"));
        assert_eq!(own.refuses(&signature, signed.as_bytes()), None);
        assert!(other.refuses(&signature, signed.as_bytes()).is_some());
        for place in 0..signed.len() {
            let mut changed = signed.clone().into_bytes();
            changed[place] ^= 1;
            assert!(own.refuses(&signature, &changed).is_some(), "byte {place}");
        }
        let comment = signature.replace("file:signed.txt", "file:another.txt");
        assert!(comment != signature && own.refuses(&comment, signed.as_bytes()).is_some());
        assert!(own.refuses("nonsense", signed.as_bytes()).is_some());
    }

    #[test]
    fn keys_of_another_implementation_sign_with_their_password_alone() {
        let read = |name: &str, password: Option<&str>| {
            SecretKey::read(Path::new(&fixture(name)), password.map(str::to_owned))
        };
        let public = PublicKey::read(&fixture("key.pub")).unwrap();
        for (name, password) in [("open.key", None), ("locked.key", Some("a shard of glass"))] {
            let signature = read(name, password).unwrap().signature(b"text", "a comment").unwrap();
            assert_eq!(public.refuses(&signature, b"text"), None, "{name}");
            assert!(public.refuses(&signature, b"texts").is_some() && signature.contains("a comment"));
        }
        let refused = |name: &str, password| read(name, password).unwrap_err().to_string();
        assert!(refused("locked.key", None).contains("give the password as ARCHAEO_KEY_PASSWORD"));
        assert!(refused("locked.key", Some("another")).contains("is not its password"));
        assert!(refused("key.pub", None).contains("is no secret key of minisign"));
    }
}
