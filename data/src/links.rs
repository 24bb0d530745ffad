//! Links in archives, which are files under further names.

use std::collections::{BTreeMap, HashMap};

use super::split::Skipped;
use super::storage::Storage;

pub(super) const NOWHERE: &str = "a link that leads nowhere";
pub(super) const CIRCLE: &str = "a link that leads in a circle";
pub(super) const OUT: &str = "a path that leads out of the archive";

/// What stands under a path.
pub(super) enum Entry {
    Folder,
    File(Storage),
    Link { target: String, hard: bool },
    Unusable(&'static str),
}

/// The files that links stand for, under the links' names, and the links that stand for nothing.
pub(super) fn resolve(known: &HashMap<String, Entry>) -> (Vec<(String, Storage)>, Vec<Skipped>) {
    let (mut files, mut broken) = (Vec::new(), Vec::new());
    // Only a link to a folder asks for all paths in order.
    let mut ordered: Option<BTreeMap<&str, &Entry>> = None;
    for (path, entry) in known {
        let Entry::Link { .. } = entry else { continue };
        let mut left_out =
            |reason: &str| broken.push(Skipped { identifier: path.clone(), reason: reason.to_string() });
        let real = match follow(known, path) {
            Ok(real) => real,
            Err(reason) => {
                left_out(reason);
                continue;
            }
        };
        if let Some(Entry::File(storage)) = known.get(&real) {
            files.push((path.clone(), storage.clone()));
            continue;
        }
        let start = format!("{real}/");
        if path.starts_with(&start) || real.is_empty() {
            left_out(CIRCLE);
            continue;
        }
        let ordered =
            ordered.get_or_insert_with(|| known.iter().map(|(path, entry)| (path.as_str(), entry)).collect());
        let before = files.len();
        for (member, entry) in
            ordered.range(start.as_str()..).take_while(|(member, _)| member.starts_with(&start))
        {
            if let Entry::File(storage) = entry {
                files.push((format!("{path}/{}", &member[start.len()..]), storage.clone()));
            }
        }
        if files.len() == before && !matches!(known.get(&real), Some(Entry::Folder)) {
            left_out(NOWHERE);
        }
    }
    (files, broken)
}

/// The path that `path` leads to, through at most as many links as systems permit.
fn follow(known: &HashMap<String, Entry>, path: &str) -> Result<String, &'static str> {
    let parts = |text: &str| text.rsplit('/').map(str::to_string).collect::<Vec<_>>();
    let mut pending = parts(path);
    let mut done: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = pending.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                done.pop().ok_or(OUT)?;
                continue;
            }
            _ => done.push(part),
        }
        if let Some(Entry::Link { target, hard }) = known.get(&done.join("/")) {
            links += 1;
            if links > 40 {
                return Err(CIRCLE);
            }
            if *hard {
                done.clear();
            } else if target.starts_with('/') {
                return Err("a link that leads out of the archive");
            } else {
                done.pop();
            }
            pending.extend(parts(target));
        }
    }
    Ok(done.join("/"))
}
