//! Which shard a process is: said on the command line, or by the engine that started it.

use archaeo_experiments::shard::Shard;
use thiserror::Error;

/// Which shard is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardChoice {
    /// `K/N`.
    Given(Shard),
    /// `auto` and `auto/N`: the environment says which, and with `auto` also of how many.
    Environment {
        /// How many there are, where that is given.
        of: Option<usize>,
    },
}

/// A shard that cannot be told.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ShardChoiceError {
    /// Neither `K/N` nor `auto`.
    #[error("`{0}` is no shard; give K/N with K from 0 to N - 1, such as 0/7, or auto, or auto/7")]
    Form(String),
    /// A shard that is not one of so many.
    #[error("there is no shard {index} of {of}: they are numbered from 0 to {}", of.saturating_sub(1))]
    Range {
        /// Which was asked for.
        index: String,
        /// How many there are.
        of: usize,
    },
    /// No engine says which.
    #[error(
        "--shard auto: no engine says which shard this is (of Slurm arrays SLURM_ARRAY_TASK_ID, of Kubernetes JOB_COMPLETION_INDEX, of MPI \
         OMPI_COMM_WORLD_RANK or PMI_RANK); give --shard K/N"
    )]
    Nothing,
    /// A variable that is missing next to another, or holds something else than a number.
    #[error("--shard auto: {variable} {reason}; give --shard {remedy}")]
    Half {
        /// Which variable.
        variable: &'static str,
        /// What is wrong with it.
        reason: String,
        /// What to give.
        remedy: &'static str,
    },
    /// An array with gaps, as it is submitted for what is missing.
    #[error(
        "--shard auto: the array of Slurm has {tasks} tasks from {first} to {last}, so that it does not say of how many shards this is \
         one; give --shard auto/N with the N of the first submission"
    )]
    Gaps {
        /// Its tasks.
        tasks: usize,
        /// The first.
        first: usize,
        /// The last.
        last: usize,
    },
    /// Two engines that say different things.
    #[error("--shard auto: {} says shard {one} and {} says shard {other}; give --shard K/N", engines[0], engines[1])]
    Both {
        /// Who says it.
        engines: [&'static str; 2],
        /// What one says.
        one: Shard,
        /// What the other says.
        other: Shard,
    },
}

/// Reads a variable of the environment.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

impl ShardChoice {
    /// What `--shard` means.
    ///
    /// # Errors
    /// Something else than `K/N`, `auto` or `auto/N`; a shard that is not one of N.
    pub fn parse(text: &str) -> Result<Self, ShardChoiceError> {
        let form = || ShardChoiceError::Form(text.into());
        let number = |digits: &str| -> Result<usize, ShardChoiceError> {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| plain).ok_or_else(form)
        };
        let count = |digits: &str| match number(digits)? {
            0 => Err(form()),
            of => Ok(of),
        };
        match text.split_once('/') {
            None if text == "auto" => Ok(Self::Environment { of: None }),
            Some(("auto", of)) => Ok(Self::Environment { of: Some(count(of)?) }),
            Some((index, of)) => Ok(Self::Given(shard(number(index)?, count(of)?)?)),
            None => Err(form()),
        }
    }

    /// The shard, of the environment where it is asked for.
    ///
    /// # Errors
    /// An environment that does not say it, or only half of it.
    pub fn shard(self, variables: Variables) -> Result<Shard, ShardChoiceError> {
        let of = match self {
            Self::Given(shard) => return Ok(shard),
            Self::Environment { of } => of,
        };
        let said = [
            ("Slurm", of_slurm(variables, of)?),
            ("Kubernetes", of_kubernetes(variables, of)?),
            ("MPI", of_mpi(variables, of)?),
        ];
        let said: Vec<(&str, Shard)> =
            said.into_iter().filter_map(|(engine, shard)| Some((engine, shard?))).collect();
        match said[..] {
            [] => Err(ShardChoiceError::Nothing),
            [(first, one), (second, other), ..] if one != other => {
                Err(ShardChoiceError::Both { engines: [first, second], one, other })
            }
            [(_, shard), ..] => Ok(shard),
        }
    }
}

fn shard(index: usize, of: usize) -> Result<Shard, ShardChoiceError> {
    Shard::new(index, of).ok_or_else(|| ShardChoiceError::Range { index: index.to_string(), of })
}

/// The number in a variable; `None` where there is none.
fn number(variables: Variables, variable: &'static str) -> Result<Option<usize>, ShardChoiceError> {
    let Some(text) = variables(variable).filter(|text| !text.is_empty()) else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|_| ShardChoiceError::Half {
        variable,
        reason: format!("is `{text}`, which is no number"),
        remedy: "K/N",
    })
}

/// The number in a variable that has to be there.
fn needed(variables: Variables, variable: &'static str) -> Result<usize, ShardChoiceError> {
    number(variables, variable)?.ok_or_else(|| ShardChoiceError::Half {
        variable,
        reason: "is not set, although the rest of its engine's variables is".into(),
        remedy: "auto/N",
    })
}

/// A job array: with N given, its task numbers are those of the shards, so that an array of some of them is what it says; without, the
/// tasks are numbered from the first on, and all have to be there.
fn of_slurm(variables: Variables, of: Option<usize>) -> Result<Option<Shard>, ShardChoiceError> {
    let Some(task) = number(variables, "SLURM_ARRAY_TASK_ID")? else { return Ok(None) };
    if let Some(of) = of {
        return shard(task, of).map(Some);
    }
    let [first, last] =
        [needed(variables, "SLURM_ARRAY_TASK_MIN")?, needed(variables, "SLURM_ARRAY_TASK_MAX")?];
    let tasks = needed(variables, "SLURM_ARRAY_TASK_COUNT")?;
    let step = number(variables, "SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
    let inside = (first..=last).contains(&task) && (task - first).is_multiple_of(step);
    if !inside || (last - first) / step + 1 != tasks {
        return Err(ShardChoiceError::Gaps { tasks, first, last });
    }
    shard((task - first) / step, tasks).map(Some)
}

/// An Indexed Job, whose pods are not told how many there are.
fn of_kubernetes(variables: Variables, of: Option<usize>) -> Result<Option<Shard>, ShardChoiceError> {
    let Some(index) = number(variables, "JOB_COMPLETION_INDEX")? else { return Ok(None) };
    let of = of.ok_or_else(|| ShardChoiceError::Half {
        variable: "JOB_COMPLETION_INDEX",
        reason: "says which shard this is, but Kubernetes does not say of how many".into(),
        remedy: "auto/N, with the completions of the Job",
    })?;
    shard(index, of).map(Some)
}

/// A rank of Open MPI, or of MPICH and its relatives. A single rank is what Slurm's `srun` makes of any program, and says nothing.
fn of_mpi(variables: Variables, of: Option<usize>) -> Result<Option<Shard>, ShardChoiceError> {
    for [rank, size] in [["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"], ["PMI_RANK", "PMI_SIZE"]] {
        let Some(index) = number(variables, rank)? else {
            if number(variables, size)?.is_some() {
                needed(variables, rank)?;
            }
            continue;
        };
        let ranks = needed(variables, size)?;
        if let Some(of) = of.filter(|of| *of != ranks) {
            let reason = format!("is {ranks}, and {of} shards are asked for");
            return Err(ShardChoiceError::Half { variable: size, reason, remedy: "auto, or start N ranks" });
        }
        if ranks > 1 || of.is_some() {
            return shard(index, ranks).map(Some);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_environment(choice: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let choice = ShardChoice::parse(choice).map_err(|error| error.to_string())?;
        let value = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        choice.shard(&value).map(|shard| shard.to_string()).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(choice: &str, variables: &[(&str, &str)], part: &str) {
        let sentence = in_environment(choice, variables).unwrap_err();
        assert!(sentence.contains(part), "{sentence}");
    }

    const ARRAY: [(&str, &str); 5] = [
        ("SLURM_ARRAY_TASK_ID", "5"),
        ("SLURM_ARRAY_TASK_MIN", "0"),
        ("SLURM_ARRAY_TASK_MAX", "6"),
        ("SLURM_ARRAY_TASK_COUNT", "7"),
        ("SLURM_ARRAY_TASK_STEP", "1"),
    ];

    fn array_with(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        let changed = |name: &str| changes.iter().find(|(known, _)| *known == name);
        ARRAY.iter().map(|&(name, value)| changed(name).copied().unwrap_or((name, value))).collect()
    }

    #[test]
    fn a_shard_is_given_by_its_number() {
        assert_eq!(in_environment("0/1", &[]), Ok("0/1".into()));
        assert_eq!(in_environment("6/7", &ARRAY), Ok("6/7".into()), "what is given wins");
        for wrong in ["7/7", "1/1"] {
            refused(wrong, &[], "they are numbered from 0 to");
        }
        for wrong in
            ["", "3", "/", "3/", "/7", "-1/7", "+1/7", "1/0", "auto/0", "auto/", "3/7/1", "AUTO", "1 / 7"]
        {
            refused(wrong, &[], "is no shard; give K/N");
        }
    }

    #[test]
    fn an_array_of_slurm_says_which_and_of_how_many() {
        assert_eq!(in_environment("auto", &ARRAY), Ok("5/7".into()));
        let from_one = array_with(&[("SLURM_ARRAY_TASK_MIN", "1"), ("SLURM_ARRAY_TASK_MAX", "7")]);
        assert_eq!(in_environment("auto", &from_one), Ok("4/7".into()));
        let by_two = array_with(&[
            ("SLURM_ARRAY_TASK_ID", "4"),
            ("SLURM_ARRAY_TASK_MAX", "6"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
        ]);
        assert_eq!(in_environment("auto", &by_two), Ok("2/4".into()));
    }

    /// `sbatch --array=3,5-6` for what is missing.
    #[test]
    fn an_array_of_what_is_missing_needs_to_be_told_how_many_there_are() {
        let some = array_with(&[("SLURM_ARRAY_TASK_MIN", "3"), ("SLURM_ARRAY_TASK_COUNT", "3")]);
        refused("auto", &some, "has 3 tasks from 3 to 6");
        assert_eq!(in_environment("auto/7", &some), Ok("5/7".into()));
        refused("auto/5", &some, "there is no shard 5 of 5");
    }

    #[test]
    fn pods_and_ranks_are_shards() {
        let pod = [("JOB_COMPLETION_INDEX", "2")];
        assert_eq!(in_environment("auto/3", &pod), Ok("2/3".into()));
        refused("auto", &pod, "does not say of how many; give --shard auto/N");
        let rank = [("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "4")];
        assert_eq!(in_environment("auto", &rank), Ok("1/4".into()));
        assert_eq!(in_environment("auto/4", &rank), Ok("1/4".into()));
        refused("auto/5", &rank, "OMPI_COMM_WORLD_SIZE is 4, and 5 shards are asked for");
        assert_eq!(in_environment("auto", &[("PMI_RANK", "0"), ("PMI_SIZE", "2")]), Ok("0/2".into()));
    }

    #[test]
    fn half_an_environment_is_refused() {
        refused("auto", &[], "no engine says which shard this is");
        refused("auto", &ARRAY[..1], "SLURM_ARRAY_TASK_MIN is not set");
        refused("auto", &ARRAY[..3], "SLURM_ARRAY_TASK_COUNT is not set");
        refused("auto", &[("OMPI_COMM_WORLD_RANK", "1")], "OMPI_COMM_WORLD_SIZE is not set");
        refused("auto", &[("PMI_SIZE", "2")], "PMI_RANK is not set");
        refused("auto", &[("PMI_RANK", "one"), ("PMI_SIZE", "2")], "PMI_RANK is `one`, which is no number");
        refused("auto", &[("PMI_RANK", "2"), ("PMI_SIZE", "2")], "there is no shard 2 of 2");
    }

    #[test]
    fn engines_that_contradict_each_other_are_refused() {
        let with = |more: [(&'static str, &'static str); 2]| [&ARRAY[..], &more].concat();
        refused(
            "auto",
            &with([("PMI_RANK", "0"), ("PMI_SIZE", "2")]),
            "Slurm says shard 5/7 and MPI says shard 0/2",
        );
        // What `srun` starts in a task of the array is a world of one rank.
        assert_eq!(in_environment("auto", &with([("PMI_RANK", "0"), ("PMI_SIZE", "1")])), Ok("5/7".into()));
    }
}
