//! What is written for each engine, as far as it can be checked without one; `scripts/test_engines` runs them.

use std::process::Command;

use super::*;
use crate::session::{Session, SessionOptions};

fn submission(engine: Engine, folder: &Path) -> Submission {
    Submission {
        engine,
        shards: 7,
        program: "archaeo".into(),
        arguments: ["excavate", "--data", "my scans", "--out", "out"].map(str::to_owned).to_vec(),
        out: "out".into(),
        trains: false,
        folder: folder.to_owned(),
        name: "archaeo".into(),
        at_once: Some(4),
        time: Some("2:00:00".into()),
        memory: Some("8G".into()),
        cpus: 2,
        retries: 3,
        options: Vec::new(),
        image: "archaeo:0.1.0".into(),
        claim: None,
    }
}

/// The files that were written, by name.
fn written(submission: &Submission) -> Vec<(String, String)> {
    let session = Session::new(SessionOptions::default(), std::sync::Arc::new(crate::Silent)).unwrap();
    let submitted = session.submit(submission, false).unwrap();
    assert!(submitted.said.is_none());
    let read = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    submitted.files.iter().map(read).collect()
}

/// Asserts that a text holds each of these lines, in this order.
#[track_caller]
fn assert_lines(text: &str, expected: &[&str]) {
    let mut lines = text.lines().map(str::trim);
    for line in expected {
        assert!(lines.any(|found| found == *line), "`{line}` is missing, or out of order, in\n{text}");
    }
}

/// Asserts that a program finds nothing wrong with the form of a file; says so where the program is not there.
fn assert_well_formed(program: &str, arguments: &[&str], file: &Path) {
    match Command::new(program).args(arguments).arg(file).output() {
        Ok(checked) => assert!(checked.status.success(), "{}: {checked:?}", file.display()),
        Err(error) => eprintln!("{} is not checked: {program}: {error}", file.display()),
    }
}

#[test]
fn slurm_gets_an_array_and_a_job_that_merges() {
    let folder = tempfile::tempdir().unwrap();
    let mut asked = submission(Engine::Slurm, &folder.path().join("sub mit"));
    asked.options = vec!["--partition=long".into()];
    let files = written(&asked);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["shards.sbatch", "merge.sbatch", "submit.sh"]);
    assert_lines(
        &files[0].1,
        &[
            "#!/bin/bash",
            "#SBATCH --job-name=archaeo-shards",
            "#SBATCH --cpus-per-task=2",
            "#SBATCH --time=2:00:00",
            "#SBATCH --mem=8G",
            "#SBATCH --array=0-6%4",
            "#SBATCH --requeue",
            "#SBATCH --partition=long",
            "archaeo excavate --data 'my scans' --out out --threads 2 --shard \"$SLURM_ARRAY_TASK_ID/7\"",
            "status=$?",
            "exit $status",
        ],
    );
    assert!(files[1].1.contains("\narchaeo merge out --threads 2\n"), "{}", files[1].1);
    assert!(files[2].1.contains("shards=$(sbatch --parsable shards.sbatch)"), "{}", files[2].1);
    assert!(files[2].1.contains("--dependency=\"afterany:${shards%%;*}\" merge.sbatch"), "{}", files[2].1);

    asked.trains = true;
    let files = written(&asked);
    assert_eq!(files[0].0, "models.sbatch");
    assert!(files[0].1.contains("--out out --models-only --threads 2\n"), "{}", files[0].1);
    assert!(files[3].1.contains("--dependency=\"afterok:${models%%;*}\" shards.sbatch"), "{}", files[3].1);
    for (name, _) in &files {
        assert_well_formed("bash", &["-n"], &asked.folder.join(name));
    }
}

#[test]
fn kubernetes_gets_an_indexed_job() {
    let folder = tempfile::tempdir().unwrap();
    let mut asked = submission(Engine::Kubernetes, folder.path());
    let files = written(&asked);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["volume.yaml", "shards.yaml", "merge.yaml", "submit.sh"]);
    let shards = &files[1].1;
    for line in [
        "apiVersion: \"batch/v1\"",
        "kind: \"Job\"",
        "name: \"archaeo-shards\"",
        "completionMode: \"Indexed\"",
        "completions: 7",
        "parallelism: 4",
        "backoffLimitPerIndex: 3",
        "restartPolicy: \"Never\"",
        "activeDeadlineSeconds: 7200",
        "runAsNonRoot: true",
        "- \"auto/7\"",
        "memory: \"8Gi\"",
        "claimName: \"archaeo-work\"",
    ] {
        assert!(shards.lines().any(|found| found.trim() == line), "`{line}` is missing in\n{shards}");
    }
    // A pod that is taken away is looked at first: what its program ended with then means nothing.
    let rules: Vec<&str> =
        shards.lines().map(str::trim).filter(|line| line.starts_with("- action:")).collect();
    assert_eq!(rules, ["- action: \"Ignore\"", "- action: \"FailIndex\""]);
    assert_lines(shards, &["operator: \"In\"", "values:", "- 1", "- 2", "- 101"]);
    let merge = &files[2].1;
    assert!(merge.contains("backoffLimit: 3") && merge.contains("- action: \"FailJob\""), "{merge}");
    assert!(!merge.contains("backoffLimitPerIndex") && !merge.contains("completions"), "{merge}");
    assert_well_formed("bash", &["-n"], &folder.path().join("submit.sh"));

    asked.claim = Some("scans".into());
    asked.at_once = None;
    let files = written(&asked);
    assert!(
        files[0].1.contains("claimName: \"scans\"") && files[0].1.contains("parallelism: 7"),
        "{}",
        files[0].1
    );
    assert!(!files[2].1.contains("volume.yaml"), "{}", files[2].1);
}

#[test]
fn ray_gets_a_driver() {
    let folder = tempfile::tempdir().unwrap();
    let files = written(&submission(Engine::Ray, folder.path()));
    assert_eq!(files.len(), 1);
    let task = files[0].1.lines().find_map(|line| line.strip_prefix("TASK = json.loads(")).unwrap();
    let text: String = serde_json::from_str(task.strip_suffix(')').unwrap()).unwrap();
    let task: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        task["record"],
        serde_json::json!(["archaeo", "excavate", "--data", "my scans", "--out", "out", "--threads", "2"])
    );
    assert_eq!((&task["shards"], &task["retries"]), (&7.into(), &3.into()));
    assert_well_formed("python3", &["-m", "py_compile"], &folder.path().join("shards.py"));
}

#[test]
fn what_cannot_be_submitted_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::new(SessionOptions::default(), std::sync::Arc::new(crate::Silent)).unwrap();
    let refused = |change: &dyn Fn(&mut Submission)| {
        let mut asked = submission(Engine::Kubernetes, &folder.path().join("none"));
        change(&mut asked);
        session.submit(&asked, false).unwrap_err().to_string()
    };
    assert!(refused(&|asked| asked.shards = 0).contains("at least one shard"));
    assert!(
        refused(&|asked| asked.time = Some("2h".into())).starts_with("--time 2h: hours, minutes and seconds")
    );
    assert!(refused(&|asked| asked.memory = Some("8 GB".into())).contains("such as 8G"));
    assert!(!folder.path().join("none").exists(), "nothing is written");
}
