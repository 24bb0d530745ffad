//! Several runs of one recipe that differ only in their seed, and how much their results differ.
//!
//! `seeds = 3` in a recipe asks for runs 0, 1 and 2, with the seeds `seed`, `seed + 1` and `seed + 2`, in the folders `run-0`,
//! `run-1` and `run-2` of the run folder; each of them is a run folder like any other, and resumes like any other. A single run
//! uses the run folder itself. The seed decides initial values, order of the images, augmentation, dropout and stochastic depth.
//! It does not decide the data: splits that are made where the source has none follow `data.split_seed` ([`crate::DataChoice`]),
//! which all runs share, so that all are validated on the same images.

use std::path::{Path, PathBuf};

use archaeo_analysis::statistics::{self, DEFAULT_LEVEL, Estimate, StatisticsError};
use archaeo_store::run_folder::{DataIdentity, Environment, RunFolder, RunFolderError};
use serde::Serialize;

use crate::events::LOG;
use crate::{EpochRecord, Recipe, TrainError};

/// Keys of a recipe that do not affect results, so that a run may resume with other values; the last is that of a folder of several
/// runs alone.
const FREE: [&str; 6] = ["trackers", "project", "track_images", "track_every", "keep_checkpoints", "seeds"];

/// Those of one run.
pub(crate) fn free_of_a_run() -> impl Iterator<Item = &'static str> {
    FREE.into_iter().filter(|key| *key != "seeds")
}

/// One run of a recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its recipe: that of all runs with the seed of this one.
    pub recipe: Recipe,
    /// Its folder within that of all runs; `None` if it is the only run.
    pub folder: Option<String>,
}

impl Recipe {
    /// The runs that the recipe asks for.
    pub fn runs(&self) -> Vec<Run> {
        let run = |index: usize| Run {
            recipe: Self { seed: self.seed + index as u64, seeds: 1, ..self.clone() },
            folder: (self.seeds > 1).then(|| name(index)),
        };
        (0..self.seeds).map(run).collect()
    }
}

impl Run {
    /// Where the run lies, within the folder `of` all runs.
    pub fn path(&self, of: &Path) -> PathBuf {
        self.folder.as_ref().map_or_else(|| of.to_owned(), |name| of.join(name))
    }

    /// Opens its folder within that `of` all runs; an existing run is resumed.
    ///
    /// # Errors
    /// As [`RunFolder::open`].
    pub fn open(
        &self,
        of: &Path,
        data: &DataIdentity,
        environment: &Environment,
    ) -> Result<RunFolder, RunFolderError> {
        let free: Vec<String> = free_of_a_run().map(String::from).collect();
        RunFolder::open_changing(&self.path(of), &self.recipe.to_toml(), &free, data, environment)
    }
}

/// Opens the folder at `path` for several runs of a recipe. Later calls may ask for more or fewer runs.
///
/// # Errors
/// As [`RunFolder::open`], and a folder that holds a single run.
pub fn open_runs(
    recipe: &Recipe,
    path: &Path,
    data: &DataIdentity,
    environment: &Environment,
) -> Result<RunFolder, TrainError> {
    if path.join(LOG).exists() || path.join("checkpoints/last.safetensors").exists() {
        return Err(TrainError::SingleRun(path.to_owned()));
    }
    Ok(RunFolder::open_changing(path, &recipe.to_toml(), &FREE.map(String::from), data, environment)?)
}

/// The folders of the runs in the folder at `path`, in their order; the folder itself, if it holds a single run.
pub fn run_folders(path: &Path) -> Vec<PathBuf> {
    let of_run = |index: usize| path.join(name(index));
    let several: Vec<PathBuf> = (0..).map(of_run).take_while(|folder| folder.is_dir()).collect();
    if several.is_empty() { vec![path.to_owned()] } else { several }
}

/// Name of a run's folder.
fn name(index: usize) -> String {
    format!("run-{index}")
}

/// How much the results of several runs differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Of the accuracy on the validation split.
    pub validation_accuracy: OverRuns,
    /// Of the mean loss on the validation split, nats.
    pub validation_loss: OverRuns,
}

/// A quantity over several runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OverRuns {
    /// Mean over runs, with Student's t interval; its `n` is the number of runs.
    pub mean: Estimate,
    /// Standard deviation over runs, with `n − 1`.
    pub standard_deviation: f64,
}

impl Spread {
    /// Spread over the last epochs of runs, whose models are saved. The best epoch of each run would be selected on the images
    /// that it is measured on.
    ///
    /// # Errors
    /// Fewer than two runs.
    pub fn of(last: &[EpochRecord]) -> Result<Self, StatisticsError> {
        let over = |value: fn(&EpochRecord) -> f64| {
            let values: Vec<f64> = last.iter().map(value).collect();
            let standard_deviation = statistics::standard_deviation(&values)?;
            Ok(OverRuns { mean: statistics::mean_t(&values, DEFAULT_LEVEL)?, standard_deviation })
        };
        Ok(Self {
            validation_accuracy: over(|record| record.validation_accuracy)?,
            validation_loss: over(|record| record.validation_loss)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RecipeFile;

    fn recipe(lines: &str) -> Result<Recipe, String> {
        let text = format!(
            "model = \"vit_micro\"\nimage_size = 32\nepochs = 2\nbatch_size = 8\nlearning_rate = 1e-3\n{lines}"
        );
        let file = RecipeFile::parse(&text, &[]).map_err(|error| error.to_string())?;
        Ok(file.recipe(None).unwrap())
    }

    #[test]
    fn runs_differ_in_their_seed_and_a_single_one_has_the_folder_to_itself() {
        let single = recipe("seed = 7").unwrap();
        assert_eq!(single.runs(), [Run { recipe: single.clone(), folder: None }]);
        assert!(!single.to_toml().contains("seeds"), "recipes of earlier runs are still the same");
        let free = "trackers = [\"csv\"]\nproject = \"shards\"\ntrack_images = 2\ntrack_every = 2\nkeep_checkpoints = [1]";
        let followed = recipe(&format!("seed = 7\n{free}")).unwrap();
        for key in free_of_a_run() {
            assert!(
                followed.to_toml().contains(key) && !followed.to_toml_of_results().contains(key),
                "{key}"
            );
        }
        assert_eq!(followed.to_toml_of_results(), single.to_toml());
        let out = Path::new("out");
        assert_eq!(single.runs()[0].path(out), out);

        let several = recipe("seed = 7\nseeds = 3\n[data]\nsplit_seed = 5").unwrap();
        let runs = several.runs();
        assert_eq!(runs.iter().map(|run| run.recipe.seed).collect::<Vec<_>>(), [7, 8, 9]);
        assert_eq!(runs[2].path(out), out.join("run-2"));
        for run in runs {
            assert_eq!(Recipe { seed: 7, seeds: 3, ..run.recipe }, several, "nothing else differs");
        }
    }

    #[test]
    fn a_number_of_runs_that_cannot_be_is_refused() {
        for (lines, expected) in [
            ("seeds = 0", "`seeds` must be from 1 to 1000, not 0"),
            ("seeds = 1001", "`seeds` must be from 1 to 1000, not 1001"),
            ("seed = 9223372036854775807\nseeds = 2", "no seed is left for each of the 2 of `seeds`"),
        ] {
            let sentence = recipe(lines).unwrap_err();
            assert!(sentence.contains(expected), "{lines}: {sentence}");
        }
        assert!(recipe("seed = 9223372036854775806\nseeds = 2").is_ok());
    }

    #[test]
    fn the_spread_is_that_of_the_last_epochs() {
        let record = |validation_accuracy, validation_loss| EpochRecord {
            epoch: 1,
            step: 1,
            learning_rate: 0.0,
            train_loss: 0.0,
            validation_loss,
            validation_accuracy,
            images_per_second: 0.0,
            waiting: None,
            exchanging: None,
            seconds: 0.0,
        };
        let last = [record(0.7, 1.0), record(0.8, 1.0), record(0.75, 1.0)];
        let spread = Spread::of(&last).unwrap();
        let OverRuns { mean, standard_deviation } = &spread.validation_accuracy;
        assert!((mean.value - 0.75).abs() < 1e-12 && (standard_deviation - 0.05).abs() < 1e-12);
        // The 97.5th percentile of Student's t with two degrees of freedom is √(2 · 0.95² / (1 − 0.95²)).
        let t = (2.0 * 0.95f64.powi(2) / (1.0 - 0.95f64.powi(2))).sqrt();
        assert!((mean.high - (0.75 + t * 0.05 / 3f64.sqrt())).abs() < 1e-9, "{mean:?}");
        assert_eq!((mean.n, spread.validation_loss.standard_deviation), (3, 0.0));
        assert!(Spread::of(&last[..1]).is_err());
    }
}
