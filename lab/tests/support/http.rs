//! What servers that a test starts have in common.

use std::io::{Result, Write};
use std::net::TcpStream;

/// An answer, with these headers and no others than that the connection closes.
pub fn send(stream: &mut TcpStream, status: &str, headers: &[(&str, String)], body: &[u8]) -> Result<()> {
    let mut head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    stream.write_all(body)
}
