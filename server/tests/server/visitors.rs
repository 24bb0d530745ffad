//! Many visitors at once on loopback, some of them hostile: honest ones are served, and what is kept stays bounded.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{TOKEN, table};
use archaeo_plot::{Image, to_png};
use archaeo_server::{Listening, Token, serve};

/// Visitors of each kind.
const HONEST: usize = 40;
const HOSTILE: usize = 160;

fn start() -> SocketAddr {
    let (told, tell) = mpsc::channel();
    thread::spawn(move || {
        let listening = Listening {
            address: ([127, 0, 0, 1], 0).into(),
            token: Token::given(TOKEN).unwrap(),
            place: String::new(),
        };
        serve(listening, || Ok(table()), |url| told.send(url.to_owned()).unwrap()).unwrap();
    });
    let url = tell.recv_timeout(Duration::from_secs(60)).unwrap();
    url.strip_prefix("http://").unwrap().split('/').next().unwrap().parse().unwrap()
}

/// Sends bytes, and returns what comes back until the connection ends or `patience` is over.
fn exchange(address: SocketAddr, bytes: &[u8], patience: Duration) -> Vec<u8> {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, patience) else { return Vec::new() };
    stream.set_read_timeout(Some(patience)).unwrap();
    // Who is refused early may find the connection closed while still writing.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn head(address: SocketAddr, method: &str, path: &str, more: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\nX-Archaeo: 1\r\nConnection: close\r\n{more}\r\n"
    )
}

fn upload(address: SocketAddr, body: &[u8], length: usize) -> Vec<u8> {
    let mut bytes =
        head(address, "POST", "/api/images?name=x", &format!("Content-Length: {length}\r\n")).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn hostile(address: SocketAddr, kind: usize) {
    let patience = Duration::from_secs(3);
    let mut bomb = to_png(&Image::filled(8, 8, [0; 3])).unwrap();
    bomb[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let bytes = match kind % 8 {
        0 => upload(address, &bomb, bomb.len()),
        // Half a file, and then nothing.
        1 => upload(address, &to_png(&Image::filled(64, 64, [3; 3])).unwrap()[..90], 4000),
        2 => upload(address, &vec![0; 21 << 20], 21 << 20),
        3 => head(address, "GET", "/api/lab", &format!("X-Long: {}\r\n", "a".repeat(1 << 20))).into_bytes(),
        4 => b"GET /api/lab HTTP/1.1\r\nHost: ".to_vec(),
        5 => head(address, "GET", "/../../../../etc/passwd", "").into_bytes(),
        6 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        _ => upload(address, b"{\"not\": \"an image\"}", 19),
    };
    let answer = exchange(address, &bytes, patience);
    let text = String::from_utf8_lossy(&answer);
    assert!(!text.contains("root:"), "{text}");
    assert!(!text.starts_with("HTTP/1.1 200"), "{kind}: {text}");
}

fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[test]
fn honest_visitors_are_served_among_hostile_ones() {
    let address = start();
    let before = resident();
    let hostiles: Vec<_> = (0..HOSTILE).map(|kind| thread::spawn(move || hostile(address, kind))).collect();
    let honest: Vec<_> = (0..HONEST)
        .map(|number| {
            thread::spawn(move || {
                let began = Instant::now();
                let path = format!("/api/models/vit/answer?image=d{}", number + 1);
                // Who finds the door full knocks again, as a page does.
                loop {
                    let answer = exchange(
                        address,
                        head(address, "GET", &path, "").as_bytes(),
                        Duration::from_secs(20),
                    );
                    if answer.starts_with(b"HTTP/1.1 200") {
                        return began.elapsed();
                    }
                    assert!(
                        began.elapsed() < Duration::from_secs(30),
                        "{}",
                        String::from_utf8_lossy(&answer)
                    );
                    thread::sleep(Duration::from_millis(50));
                }
            })
        })
        .collect();
    let slowest = honest.into_iter().map(|visitor| visitor.join().unwrap()).max().unwrap();
    hostiles.into_iter().for_each(|visitor| visitor.join().unwrap());
    assert!(slowest < Duration::from_secs(30), "{slowest:?}");
    // Uploads are received eight at a time, 20 MiB each; the tests' own buffers are part of this too.
    if let (Some(before), Some(after)) = (before, resident()) {
        let most = (8 * 21 + 20 * 22 + 256) << 20;
        assert!(after - before < most, "{} MiB more than before", (after - before) >> 20);
    }
    let after = exchange(address, head(address, "GET", "/api/lab", "").as_bytes(), Duration::from_secs(5));
    assert!(after.starts_with(b"HTTP/1.1 200"));
}
