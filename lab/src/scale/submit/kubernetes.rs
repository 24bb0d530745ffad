//! An Indexed Job of Kubernetes, a pod per shard, and the Job that merges.
//!
//! Pods are tried again a number of times per index; an index whose program ends with a status that says that it will fail again is given
//! up at once, and a pod that the cluster takes away counts for nothing. Data and results lie on one volume that all pods share.

use serde_json::{Value, json};

use super::shell::quoted;
use super::yaml::document;
use super::{File, Submission, SubmitError};

/// Where the volume is in a pod; names of files on the command line are looked up from here.
const MOUNTED: &str = "/work";

/// The user of the image.
const USER: u32 = 10_001;

/// Exit statuses of what fails again: a failure that will not pass, a command line that is wrong, a panic.
const FAILS_AGAIN: [u8; 3] = [1, 2, 101];

pub(super) fn files(submission: &Submission) -> Result<Vec<File>, SubmitError> {
    let Submission { name, shards, at_once, retries, claim, .. } = submission;
    let rule = |action: &str| {
        json!({
            "action": action,
            "onExitCodes": { "containerName": "archaeo", "operator": "In", "values": FAILS_AGAIN },
        })
    };
    let disrupted = json!({
        "action": "Ignore",
        "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }],
    });
    let seconds = submission.time.as_deref().map(seconds).transpose()?;
    let job = |job: &str, mut spec: Value, words: Vec<String>| -> Result<String, SubmitError> {
        spec["template"] = template(submission, words)?;
        if let Some(seconds) = seconds {
            spec["template"]["spec"]["activeDeadlineSeconds"] = json!(seconds);
        }
        let name = format!("{name}-{job}");
        Ok(document(&json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "name": name, "labels": { "app.kubernetes.io/name": "archaeo" } },
            "spec": spec,
        })))
    };
    let of_shards = json!({
        "completionMode": "Indexed",
        "completions": shards,
        "parallelism": at_once.unwrap_or(*shards).min(*shards),
        "backoffLimitPerIndex": retries,
        "podFailurePolicy": { "rules": [disrupted.clone(), rule("FailIndex")] },
    });
    let of_merge = json!({
        "backoffLimit": retries,
        "podFailurePolicy": { "rules": [disrupted, rule("FailJob")] },
    });
    let choice = format!("auto/{shards}");
    let shards = job("shards", of_shards, submission.command(&["--shard", &choice]))?;
    let merge = job("merge", of_merge, submission.merge(&[]))?;
    let volume = document(&json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": { "name": claim_name(submission) },
        "spec": { "accessModes": ["ReadWriteMany"], "resources": { "requests": { "storage": "50Gi" } } },
    }));
    let options = submission.options.iter().map(|option| format!(" {}", quoted(option))).collect::<String>();
    let apply_volume = match claim {
        Some(_) => String::new(),
        None => format!("kubectl apply{options} -f volume.yaml\n"),
    };
    let submit = format!(
        r#"#!/bin/bash
# Starts the shards, waits until all are complete, and merges them.
set -e
cd "$(dirname "$0")"
{apply_volume}kubectl apply{options} -f shards.yaml
until [ "$(kubectl get{options} job/{name}-shards -o 'jsonpath={{.status.conditions[?(@.status=="True")].type}}')" != "" ]; do
    sleep 10
done
kubectl wait{options} --for=condition=complete --timeout=60s job/{name}-shards
kubectl apply{options} -f merge.yaml
kubectl wait{options} --for=condition=complete --timeout=-1s job/{name}-merge
"#
    );
    let mut files = Vec::new();
    if claim.is_none() {
        files.push(File { name: "volume.yaml", text: volume });
    }
    files.extend([
        File { name: "shards.yaml", text: shards },
        File { name: "merge.yaml", text: merge },
        File { name: "submit.sh", text: submit },
    ]);
    Ok(files)
}

fn claim_name(submission: &Submission) -> String {
    submission.claim.clone().unwrap_or_else(|| format!("{}-work", submission.name))
}

/// A pod that runs the program once. The words begin with the program, which the image starts by itself.
fn template(submission: &Submission, words: Vec<String>) -> Result<Value, SubmitError> {
    let Submission { cpus, memory, image, .. } = submission;
    let threads = ["--threads".to_owned(), cpus.to_string()];
    let arguments: Vec<String> = words.into_iter().skip(1).chain(threads).collect();
    let mut resources = json!({ "requests": { "cpu": cpus.to_string() } });
    if let Some(memory) = memory {
        let memory = quantity(memory)?;
        resources["requests"]["memory"] = json!(memory);
        resources["limits"] = json!({ "memory": memory });
    }
    Ok(json!({
        "spec": {
            "restartPolicy": "Never",
            "securityContext": { "runAsNonRoot": true, "runAsUser": USER, "fsGroup": USER },
            "containers": [{
                "name": "archaeo",
                "image": image,
                "workingDir": MOUNTED,
                "args": arguments,
                "resources": resources,
                "volumeMounts": [{ "name": "work", "mountPath": MOUNTED }],
            }],
            "volumes": [{ "name": "work", "persistentVolumeClaim": { "claimName": claim_name(submission) } }],
        },
    }))
}

/// Memory as Slurm writes it, `8G`, in Kubernetes' binary units.
fn quantity(memory: &str) -> Result<String, SubmitError> {
    let digits = memory.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or_default();
    match !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(format!("{memory}i")),
        false => Err(SubmitError::Amount {
            option: "mem",
            found: memory.into(),
            expected: "a number with K, M, G or T, such as 8G",
        }),
    }
}

/// A time as Slurm writes it, `[DAYS-]HOURS:MINUTES:SECONDS`, in seconds.
fn seconds(time: &str) -> Result<u64, SubmitError> {
    let wrong = || SubmitError::Amount {
        option: "time",
        found: time.into(),
        expected: "hours, minutes and seconds, such as 2:00:00, or 1-12:00:00 with days",
    };
    let number = |digits: &str| digits.parse::<u32>().map(u64::from).map_err(|_| wrong());
    let (days, clock) = match time.split_once('-') {
        Some((days, clock)) => (number(days)?, clock),
        None => (0, time),
    };
    let [hours, minutes, seconds] = clock.split(':').map(number).collect::<Result<Vec<_>, _>>()?[..] else {
        return Err(wrong());
    };
    Ok(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_those_of_slurm() {
        assert_eq!(quantity("8G").unwrap(), "8Gi");
        assert_eq!(quantity("512M").unwrap(), "512Mi");
        assert!(["8", "G", "8GB", "", "8,5G", "1é"].iter().all(|wrong| quantity(wrong).is_err()));
        assert_eq!(seconds("2:00:00").unwrap(), 7200);
        assert_eq!(seconds("1-12:30:05").unwrap(), 131_405);
        assert!(["2", "2:00", "a:00:00", "1-", ""].iter().all(|wrong| seconds(wrong).is_err()));
    }
}
