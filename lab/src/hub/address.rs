//! Web addresses: what a redirect means, and whether two lead to the same host.

use ureq::http::Uri;

/// An address with scheme and host.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Address(Uri);

impl Address {
    /// An `http` or `https` address; what stands behind a `#` is left away.
    ///
    /// # Errors
    /// The text, as a reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a valid address");
        let uri: Uri = text.split('#').next().unwrap_or_default().parse().map_err(|_| wrong())?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        if known && has_host { Ok(Self(uri)) } else { Err(wrong()) }
    }

    /// Where a `Location` at this address leads (RFC 3986, section 5.2, dots left as they are).
    pub fn join(&self, location: &str) -> Result<Self, String> {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        let path = self.0.path();
        let location = location.trim();
        match location {
            "" => Err("it redirects to nowhere".into()),
            _ if location.split(['/', '?', '#']).next().is_some_and(|part| part.contains(':')) => {
                Self::parse(location)
            }
            _ if location.starts_with("//") => Self::parse(&format!("{scheme}:{location}")),
            _ if location.starts_with('/') => Self::parse(&format!("{scheme}://{authority}{location}")),
            _ if location.starts_with(['?', '#']) => {
                Self::parse(&format!("{scheme}://{authority}{path}{location}"))
            }
            _ => {
                let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
                Self::parse(&format!("{scheme}://{authority}{folder}{location}"))
            }
        }
    }

    /// Whether both are of one scheme, host and port: what is told to one may be told to the other.
    pub fn has_origin_of(&self, other: &Self) -> bool {
        self.origin() == other.origin()
    }

    pub fn is_encrypted(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    pub fn text(&self) -> String {
        self.0.to_string()
    }

    fn origin(&self) -> (bool, String, u16) {
        let port = self.0.port_u16().unwrap_or(if self.is_encrypted() { 443 } else { 80 });
        let host = self.0.host().unwrap_or_default().trim_end_matches('.');
        (self.is_encrypted(), host.to_ascii_lowercase(), port)
    }
}

/// A file's name as a part of an address.
pub(super) fn escaped(name: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    name.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        let from = Address::parse("https://Hub.example:8443/a/b?c#d").unwrap();
        for (location, expected) in [
            ("https://cdn.example/x?y=1", "https://cdn.example/x?y=1"),
            ("//cdn.example/x", "https://cdn.example/x"),
            ("/x/y", "https://Hub.example:8443/x/y"),
            ("x", "https://Hub.example:8443/a/x"),
            ("?x", "https://Hub.example:8443/a/b?x"),
        ] {
            assert_eq!(from.join(location).unwrap().text(), expected, "{location}");
        }
        for nowhere in
            ["", "  ", "ftp://host/x", "file:///etc/passwd", "http://", "https:///x", "http://a b/"]
        {
            assert!(from.join(nowhere).is_err(), "{nowhere}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let hub = Address::parse("https://hub.example").unwrap();
        let same = |text: &str| hub.has_origin_of(&Address::parse(text).unwrap());
        assert!(same("https://HUB.example:443/x") && same("https://hub.example./x"));
        for other in [
            "http://hub.example/",
            "https://hub.example:444/",
            "https://cdn.hub.example/",
            "https://hub.example.evil.com/",
            "https://hub.example@evil.com/",
        ] {
            assert!(!same(other), "{other}");
        }
        assert_eq!(escaped("model (1).bin"), "model%20%281%29.bin");
    }
}
