//! Addresses of data: which store, and which objects of it.

use archaeo_data::expand;

use super::error::RemoteError;

/// Where data lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// As it was given, without what a query may have of secrets.
    pub name: String,
    pub place: Place,
    pub selection: Selection,
}

/// A store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Amazon S3, and what speaks like it.
    S3(String),
    /// Google Cloud Storage.
    Gcs(String),
    /// A web server: its address up to the path, and what follows the path, `?` included.
    Web { origin: String, query: String },
}

/// Objects of a store, by their keys; those of a web server are escaped as they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// One object, or all below it if there is no such object.
    Key(String),
    /// All below.
    Prefix(String),
    /// These.
    Keys(Vec<String>),
}

impl Address {
    /// Reads `s3://BUCKET/KEY`, `gs://BUCKET/KEY` or `https://HOST/PATH`. A key may be a pattern, and that of a bucket may end with a `/`.
    pub fn parse(source: &str) -> Result<Self, RemoteError> {
        let (scheme, rest) = source.split_once("://").unwrap_or(("", source));
        let wrong =
            |reason: &str| RemoteError::Address { data: source.to_owned(), reason: reason.to_owned() };
        match scheme {
            "s3" | "s3a" | "gs" => {
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() || bucket.contains(['{', '}', '@', '?', '#', ':', ' ']) {
                    return Err(wrong("there is no name of a bucket in it, as in s3://BUCKET/shards/"));
                }
                let place = match scheme {
                    "gs" => Place::Gcs(bucket.to_owned()),
                    _ => Place::S3(bucket.to_owned()),
                };
                let selection = match key {
                    key if key.contains(['{', '}']) => Selection::Keys(names(source, key)?),
                    key if key.is_empty() || key.ends_with('/') => Selection::Prefix(key.to_owned()),
                    key => Selection::Key(key.to_owned()),
                };
                Ok(Self { name: source.to_owned(), place, selection })
            }
            "http" | "https" => {
                let (rest, query) = rest.find('?').map_or((rest, ""), |start| rest.split_at(start));
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                if host.contains('@') {
                    return Err(RemoteError::Address {
                        // A password would be in every report.
                        data: format!("{scheme}://…@{}", host.rsplit('@').next().unwrap_or_default()),
                        reason: "it has a user or a password, which would be written into reports; give an address without them"
                            .into(),
                    });
                }
                if host.is_empty() || host.contains(['{', '}', ' ']) {
                    return Err(wrong("there is no host in it, as in https://HOST/train-{000..009}.tar"));
                }
                let keys = names(source, path)?;
                if keys.iter().any(|key| key.is_empty() || key.ends_with('/')) {
                    return Err(wrong(
                        "a web server does not say what a folder holds; name the shards, as in https://HOST/train-{000..009}.tar",
                    ));
                }
                let origin = format!("{scheme}://{host}");
                let name = format!("{origin}/{path}");
                Ok(Self {
                    name,
                    place: Place::Web { origin, query: query.to_owned() },
                    selection: Selection::Keys(keys),
                })
            }
            _ => Err(wrong("data are read from s3://, gs://, https:// and http://")),
        }
    }

    /// The address of an object.
    pub fn of(&self, key: &str) -> String {
        match &self.place {
            Place::S3(bucket) => format!("s3://{bucket}/{key}"),
            Place::Gcs(bucket) => format!("gs://{bucket}/{key}"),
            Place::Web { origin, .. } => format!("{origin}/{key}"),
        }
    }
}

fn names(source: &str, pattern: &str) -> Result<Vec<String>, RemoteError> {
    expand(pattern)
        .map_err(|error| RemoteError::Address { data: source.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(source: &str) -> (Place, Selection) {
        let address = Address::parse(source).expect(source);
        assert_eq!(address.name, source.split('?').next().unwrap());
        (address.place, address.selection)
    }

    #[test]
    fn addresses_name_objects() {
        let (s3, gcs) = (|name: &str| Place::S3(name.into()), |name: &str| Place::Gcs(name.into()));
        let keys = |keys: &[&str]| Selection::Keys(keys.iter().map(|key| key.to_string()).collect());
        assert_eq!(parsed("s3://b/a/x.tar"), (s3("b"), Selection::Key("a/x.tar".into())));
        assert_eq!(parsed("s3://b/a/"), (s3("b"), Selection::Prefix("a/".into())));
        assert_eq!(parsed("s3://b"), (s3("b"), Selection::Prefix(String::new())));
        assert_eq!(parsed("gs://b/x-{08..10}.tar"), (gcs("b"), keys(&["x-08.tar", "x-09.tar", "x-10.tar"])));
        let web = |origin: &str, query: &str| Place::Web { origin: origin.into(), query: query.into() };
        assert_eq!(
            parsed("https://host:8443/a/{0..1}.parquet"),
            (web("https://host:8443", ""), keys(&["a/0.parquet", "a/1.parquet"]))
        );
        let signed = Address::parse("http://host/x.tar?X-Amz-Signature=secret").unwrap();
        assert_eq!(
            (signed.name.as_str(), signed.of("x.tar").as_str()),
            ("http://host/x.tar", "http://host/x.tar")
        );
        assert_eq!(signed.place, web("http://host", "?X-Amz-Signature=secret"));
    }

    #[test]
    fn other_addresses_are_refused() {
        for (source, reason) in [
            ("s3:///key", "no name of a bucket"),
            ("s3://{a,b}/key", "no name of a bucket"),
            ("https://host/folder/", "does not say what a folder holds"),
            ("https://host", "does not say what a folder holds"),
            ("https:///x.tar", "no host in it"),
            ("s3://b/x-{0..}.tar", "whole numbers"),
            ("https://host/x-{0.tar", "brace without its counterpart"),
            ("ftp://host/x.tar", "from s3://, gs://, https:// and http://"),
        ] {
            let sentence = Address::parse(source).expect_err(source).to_string();
            assert!(sentence.contains(reason) && sentence.contains(source), "{sentence}");
        }
        let secret = Address::parse("https://user:secret@host/x.tar").expect_err("a password").to_string();
        assert!(secret.contains("https://…@host") && !secret.contains("secret"), "{secret}");
    }
}
