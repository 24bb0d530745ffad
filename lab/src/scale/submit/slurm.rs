//! An array of Slurm jobs, and the job that merges what they record.
//!
//! A shard that ends with the exit status of a failure that may pass is queued again. What is killed in another way is missing when all
//! have ended: the merge job then submits an array of just that, as often as a shard may be tried again; never where a shard has failed
//! for good.

use std::path::Path;

use super::shell::{line, quoted};
use super::{File, Submission};

/// What the script of every job begins with.
fn head(submission: &Submission, job: &str, log: &str, directives: &[String]) -> String {
    let Submission { name, time, memory, cpus, options, .. } = submission;
    let mut lines = vec![format!("--job-name={name}-{job}"), format!("--cpus-per-task={cpus}")];
    lines.extend(time.iter().map(|time| format!("--time={time}")));
    lines.extend(memory.iter().map(|memory| format!("--mem={memory}")));
    lines.push(format!("--output={log}"));
    lines.push("--open-mode=append".into());
    lines.extend(directives.iter().cloned());
    lines.extend(options.iter().cloned());
    let lines: String = lines.iter().map(|line| format!("#SBATCH {line}\n")).collect();
    format!("#!/bin/bash\n{lines}\n")
}

pub(super) fn files(submission: &Submission, directory: &Path) -> Vec<File> {
    let Submission { shards, at_once, retries, trains, cpus, folder, .. } = submission;
    let folder = quoted(&directory.join(folder).display().to_string());
    let directory = quoted(&directory.display().to_string());
    let threads = ["--threads".to_owned(), cpus.to_string()];
    let with_threads = |words: Vec<String>| line(&[words, threads.to_vec()].concat());
    let most = at_once.map(|most| format!("%{most}")).unwrap_or_default();
    let array = [format!("--array=0-{}{most}", shards - 1), "--requeue".into()];
    let array = head(submission, "shards", "shard-%a.log", &array)
        + &format!(
            r#"# Records shard $SLURM_ARRAY_TASK_ID of {shards}. Exit status 75 is a failure that may pass: the task is queued again.
cd {directory} || exit 75
failed={folder}/failed-$SLURM_ARRAY_TASK_ID
rm -f "$failed"
{command} --shard "$SLURM_ARRAY_TASK_ID/{shards}"
status=$?
if [ $status = 75 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {retries} ]; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID" && sleep 60
fi
# What fails for good is not tried again.
case $status in 1 | 2) echo $status >"$failed" ;; esac
exit $status
"#,
            command = with_threads(submission.command(&[])),
        );
    let merge = head(submission, "merge", "merge.log", &[])
        + &format!(
            r#"# Merges the shards. Those that are missing are submitted again, unless one has failed for good.
cd {directory} || exit 75
{merge}
status=$?
round=${{ARCHAEO_ROUND:-0}}
if [ $status = 75 ] && [ "$round" -lt {retries} ] && ! compgen -G {folder}/'failed-*' >/dev/null; then
    missing=$({missing}) && [ -n "$missing" ] || exit $status
    cd {folder} || exit $status
    again=$(sbatch --parsable --array="$missing{most}" shards.sbatch) || exit $status
    echo "shards $missing are submitted again as job ${{again%%;*}}"
    ARCHAEO_ROUND=$((round + 1)) sbatch --parsable --export=ALL --dependency="afterany:${{again%%;*}}" merge.sbatch
fi
exit $status
"#,
            merge = with_threads(submission.merge(&[])),
            missing = line(&submission.merge(&["--missing"])),
        );
    let mut files = Vec::new();
    if *trains {
        let text = head(submission, "models", "models.log", &[])
            + &format!(
                "# Trains the models, which all shards share.\ncd {directory} || exit 75\n{}\n",
                with_threads(submission.command(&["--models-only"]))
            );
        files.push(File { name: "models.sbatch", text });
    }
    let (first, after) = match trains {
        true => (
            "models=$(sbatch --parsable models.sbatch)\n",
            " --kill-on-invalid-dep=yes --dependency=\"afterok:${models%%;*}\"",
        ),
        false => ("", ""),
    };
    let submit = format!(
        r#"#!/bin/bash
# Submits everything; prints the numbers of the array and of the job that merges.
set -e
cd {folder}
rm -f failed-*
{first}shards=$(sbatch --parsable{after} shards.sbatch)
merge=$(sbatch --parsable --dependency="afterany:${{shards%%;*}}" merge.sbatch)
echo "${{shards%%;*}} ${{merge%%;*}}"
"#
    );
    files.extend([
        File { name: "shards.sbatch", text: array },
        File { name: "merge.sbatch", text: merge },
        File { name: "submit.sh", text: submit },
    ]);
    files
}
