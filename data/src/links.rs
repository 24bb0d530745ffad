//! Links in archives: additional names of files.

use std::collections::{BTreeMap, HashMap};

use super::places::OUT;
use super::split::Skipped;
use super::storage::Storage;

pub(super) const NOWHERE: &str = "a link that leads nowhere";
pub(super) const CIRCLE: &str = "a link that leads in a circle";
pub(super) const TOO_MANY_LINKS: &str = "a link to a folder that more than 64 links lead to";
const TOO_DEEP: &str = "a link that leads through too many folders";

/// Links that may lead to one folder.
pub(super) const MOST_LINKS: usize = 64;

/// Parts of paths that a link is followed through.
const MOST_PARTS: usize = 1024;

/// What a path refers to.
pub(super) enum Entry {
    Folder,
    File(Storage),
    Link { target: String, hard: bool },
    Unusable(&'static str),
}

/// The files that links point to, under the links' names, and the broken links.
pub(super) fn resolve(known: &HashMap<String, Entry>) -> (Vec<(String, Storage)>, Vec<Skipped>) {
    let (mut files, mut broken) = (Vec::new(), Vec::new());
    // Only a link to a folder needs all paths in order.
    let mut ordered: Option<BTreeMap<&str, &Entry>> = None;
    let mut led: HashMap<String, usize> = HashMap::new();
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
        let links = led.entry(real.clone()).or_default();
        *links += 1;
        if *links > MOST_LINKS {
            left_out(TOO_MANY_LINKS);
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

/// The path that `path` resolves to, through at most as many links as systems permit.
fn follow(known: &HashMap<String, Entry>, path: &str) -> Result<String, &'static str> {
    let is_absolute = |target: &str| target.starts_with('/');
    let mut pending: Vec<&str> = path.rsplit('/').collect();
    let mut done = String::new();
    let (mut links, mut steps) = (0, 0);
    while let Some(part) = pending.pop() {
        steps += 1;
        if steps > MOST_PARTS {
            return Err(TOO_DEEP);
        }
        let parent = done.rfind('/').unwrap_or(0);
        match part {
            "" | "." => continue,
            ".." if done.is_empty() => return Err(OUT),
            ".." => {
                done.truncate(parent);
                continue;
            }
            _ if done.is_empty() => done.push_str(part),
            _ => done.extend(["/", part]),
        }
        if let Some(Entry::Link { target, hard }) = known.get(&done) {
            links += 1;
            if links > 40 {
                return Err(CIRCLE);
            }
            if is_absolute(target) {
                return Err("a link that leads out of the archive");
            }
            // A hard link's target is relative to the root, a symbolic one's to its folder.
            done.truncate(if *hard { 0 } else { done.rfind('/').unwrap_or(0) });
            pending.extend(target.rsplit('/'));
        }
    }
    Ok(done)
}
