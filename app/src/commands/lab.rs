//! `archaeo lab`: models on a page in the browser.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use archaeo_lab::live::{LiveOptions, bundled_run};
use archaeo_lab::{LabError, ModelSource, Session};
use archaeo_server::{Listening, Table, Token, serve};
use serde_json::json;

use crate::cli::Lab;
use crate::printer::Printer;
use crate::talk;

/// Where the lab is, unless that is taken.
const USUAL_PORT: u16 = 7337;

/// Where `excavate` writes to, unless it is told otherwise.
const USUAL_RUN: &str = "archaeo-out";

/// Runs the command, until it is interrupted.
///
/// # Errors
/// Models, images or a folder that cannot be opened, or an address that is taken.
pub fn run(arguments: &Lab, session: &Session, printer: &Printer) -> Result<()> {
    let Lab { weights, add, data, split, run, at, open, port, listen, token } = arguments;
    let token = match token {
        None => Token::random()?,
        Some(word) => Token::given(word).map_err(|reason| anyhow::anyhow!("--token: {reason}"))?,
    };
    let plain = weights.iter().map(|weights| (None, ModelSource::new(weights)));
    let named = add.iter().map(|(name, weights)| (Some(name.clone()), ModelSource::new(weights)));
    let mut options = LiveOptions {
        models: plain.chain(named).collect(),
        data: data.clone(),
        split: split.clone(),
        run: run.clone(),
    };
    if options.models.is_empty() && run.is_none() {
        options.run = Some(match Path::new(USUAL_RUN).join("investigation.json").exists() {
            true => USUAL_RUN.into(),
            false => bundled_run()?,
        });
    }
    let ip = listen.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    if !ip.is_loopback() {
        talk::warning(format!(
            "anyone who can reach {ip} and knows the token can use these models; the connection is not encrypted"
        ));
    }
    let address = SocketAddr::new(ip, port.unwrap_or_else(|| usual_port(ip)));
    let table = || -> Result<Table, LabError> {
        Ok(Table { live: session.live(&options)?, command: command(arguments) })
    };
    let mut shown = Ok(());
    let ready = |url: &str| {
        shown = printer.result(&json!({ "address": url }), |_| format!("{url}\n"));
        session.note("the lab is open until Ctrl-C");
        if *open && !start_browser(url) {
            talk::warning("no browser could be started; open the address above in one");
        }
    };
    let place = at.clone().unwrap_or_default();
    serve(Listening { address, token, place }, table, ready)?;
    shown?;
    bail!("the lab has closed")
}

/// What opens the same lab again, for captions: without what is said of the address, the token above all.
fn command(arguments: &Lab) -> String {
    let mut words = vec!["archaeo lab".to_owned()];
    words.extend(arguments.weights.iter().map(|weights| format!("--weights {}", quoted(weights))));
    words.extend(arguments.add.iter().map(|(name, weights)| format!("--add {name}={}", quoted(weights))));
    words.extend(arguments.data.iter().map(|data| format!("--data {}", quoted(Path::new(data)))));
    words.extend(arguments.split.iter().map(|split| format!("--split {split}")));
    words.extend(arguments.run.iter().map(|run| format!("--run {}", quoted(run))));
    words.join(" ")
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,@+~".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// The usual port where it is free, else any.
fn usual_port(ip: IpAddr) -> u16 {
    if TcpListener::bind((ip, USUAL_PORT)).is_ok() { USUAL_PORT } else { 0 }
}

fn start_browser(url: &str) -> bool {
    let (program, arguments): (&str, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        "windows" => ("explorer", &[]),
        _ => ("xdg-open", &[]),
    };
    let browser =
        Command::new(program).args(arguments).arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    browser.is_ok()
}
