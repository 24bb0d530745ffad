//! Whether findings follow from their records, and records from the images.

use std::fs;
use std::path::Path;

use archaeo_data::Split;
use archaeo_random::stratified;
use archaeo_store::StoreError;
use archaeo_training::LearningData;
use archaeo_training::evaluate::evaluate;
use archaeo_training::images::{Preprocessed, Subset};
use serde_json::Value;
use tempfile::TempDir;

use super::compared::{Compared, numbers_of};
use super::manifest::Manifest;
use super::sources::{Finding, others};
use super::{Check, Part, Request};
use crate::findings::Investigation;
use crate::investigation::record::RECORDS;
use crate::investigation::{InvestigationError, Reopened};
use crate::predictions::PREDICTIONS;
use crate::scene::{Progress, Scene, StudyError};
use crate::studies::STUDIES;
use crate::study::AnyStudy;
use crate::units::{AgainError, SpotCheck};

/// Units of a study, and images of each, that are asked about again.
const ASKED_AGAIN: [usize; 2] = [2, 2];

/// How far what a model says again may be off, in units of the largest number of the same record: rounding in 32-bit floats differs
/// between processors.
const ROUNDING: f64 = 1e-3;

/// Concludes a sample of numbers again, and asks about images again where that was asked for.
pub(super) fn check(
    request: &Request,
    manifest: &Manifest,
    investigation: &Investigation,
    data: Result<LearningData, String>,
    progress: &dyn Progress,
) -> Result<Vec<Check>, InvestigationError> {
    let parts = if request.deep { &[Part::Numbers, Part::Images][..] } else { &[Part::Numbers] };
    let unchecked = |reason: String| {
        Ok(parts.iter().map(|&part| Check::unchecked(part, "all", reason.clone())).collect())
    };
    let data = match data {
        Ok(data) => data,
        Err(reason) => return unchecked(reason),
    };
    progress.stage("reading the models");
    let reopened =
        match Reopened::open(request.folder, investigation, data, request.environment, request.device) {
            Ok(reopened) => reopened,
            Err(error) => return unchecked(format!("the models cannot be opened: {error}")),
        };
    if let Some(name) = reopened.replaced(investigation) {
        return unchecked(format!(
            "the weights of {name} hold another network than the one that was investigated"
        ));
    }
    let workplace = workplace(request.folder)?;
    let subjects = reopened.subjects();
    let again = Again {
        request,
        scene: reopened.scene(workplace.path(), &subjects, request.device, progress),
        inputs: &reopened.inputs,
    };
    let mut checks = again.made_from(investigation);
    checks.extend(again.concluded(investigation)?);
    if request.deep {
        checks.extend(again.predicted()?);
        checks.extend(again.recorded(investigation)?);
    }
    let same_machine = manifest.build == request.environment.build()
        && investigation.provenance.processor == request.environment.processor;
    checks.extend(drawn_again(request.folder, workplace.path(), same_machine)?);
    Ok(checks)
}

/// A folder in which studies may draw, with what the models answered.
fn workplace(folder: &Path) -> Result<TempDir, InvestigationError> {
    let made = TempDir::new().map_err(StoreError::io("make a folder in", std::env::temp_dir()))?;
    for inner in ["pictures", PREDICTIONS] {
        let path = made.path().join(inner);
        fs::create_dir(&path).map_err(StoreError::io("make the folder", &path))?;
    }
    for entry in fs::read_dir(folder.join(PREDICTIONS)).into_iter().flatten().flatten() {
        let copy = made.path().join(PREDICTIONS).join(entry.file_name());
        fs::copy(entry.path(), &copy).map_err(StoreError::io("write", &copy))?;
    }
    Ok(made)
}

struct Again<'a> {
    request: &'a Request<'a>,
    scene: Scene<'a>,
    inputs: &'a [String; 2],
}

impl Again<'_> {
    /// Whether findings say that they were made from this configuration, data and weights.
    fn made_from(&self, investigation: &Investigation) -> Vec<Check> {
        let [of_data, of_models] = self.inputs;
        let parts = [("data", of_data), ("models", of_models)].into_iter();
        let studies = investigation.studies.keys().map(|study| (study.as_str(), of_models));
        let mut checks = Vec::new();
        let mut count = 0;
        for (part, inputs) in parts.chain(studies) {
            // One that cannot be read was told before.
            let Ok(Finding { made_by, .. }) = Finding::read(self.request.folder, part) else { continue };
            count += 1;
            if made_by.inputs != *inputs {
                let detail =
                    "it says that it was made from another configuration, other data or other weights";
                checks.push(Check::differs(Part::Findings, format!("findings/{part}.json"), detail));
            }
        }
        if checks.is_empty() {
            let detail = "they say that they were made from this configuration, these data and weights";
            checks.push(Check::agrees(Part::Findings, format!("{count} parts"), detail));
        }
        checks
    }

    /// Concludes the studies of a sample of numbers from their records.
    fn concluded(&self, investigation: &Investigation) -> Result<Vec<Check>, InvestigationError> {
        let mut checks = Vec::new();
        let mut studies = Vec::new();
        for &study in STUDIES.iter().filter(|study| investigation.studies.contains_key(study.id())) {
            let name = format!("findings/{}.json", study.id());
            // One that cannot be read was told before.
            let Ok(finding) = Finding::read(self.request.folder, study.id()) else { continue };
            if finding.made_by.schema != study.schema() {
                let detail = "this version concludes something else; check it with the build that made it";
                checks.push(Check::unchecked(Part::Numbers, name, detail));
            } else if study.concludes_with_models() && !self.request.deep {
                let detail = "they follow from the models rather than from records: --deep asks them";
                checks.push(Check::unchecked(Part::Numbers, name, detail));
            } else {
                let places = numbers_of(&finding.findings);
                studies.push((study, finding, places));
            }
        }
        let counts: Vec<usize> = studies.iter().map(|(.., places)| places.len()).collect();
        let chosen = shares(self.request.seed, self.request.sample, &counts);
        for ((study, finding, places), count) in studies.into_iter().zip(chosen) {
            if count > 0 {
                let stream = format!("numbers of {}", study.id());
                let places: Vec<&str> = stratified(self.request.seed, &stream, &vec![0; places.len()], count)
                    .into_iter()
                    .map(|place| places[place].as_str())
                    .collect();
                checks.extend(self.study(study, &finding.findings, &places)?);
            }
        }
        Ok(checks)
    }

    /// Concludes one study: the chosen numbers, one check each, and whether all others agree.
    fn study(
        &self,
        study: &dyn AnyStudy,
        stored: &Value,
        places: &[&str],
    ) -> Result<Vec<Check>, InvestigationError> {
        let file = format!("findings/{}.json", study.id());
        self.scene.progress.stage(&format!("concluding {} again", study.id()));
        let again = match study.conclude_again(&self.scene, &self.records_of(study)) {
            Ok(again) => written(&again),
            Err(AgainError::Study(StudyError::Interrupted)) => return Err(StudyError::Interrupted.into()),
            Err(error) => {
                let detail = format!("it cannot be concluded again: {error}");
                return Ok(vec![Check::unchecked(Part::Numbers, file, detail)]);
            }
        };
        let missing = Value::Null;
        let mut checks = Vec::new();
        for place in places {
            let of = |value: &'_ Value| value.pointer(place).unwrap_or(&missing).clone();
            let (stored, again) = (of(stored), of(&again));
            let compared = Compared::exactly(&stored, &again);
            let wrong = (!compared.differences.is_empty())
                .then(|| format!("it is {stored}, and the records give {again}"));
            let agreeing = format!("{again} again, {}", compared.digits());
            checks.push(Check::of(Part::Numbers, format!("{file}#{place}"), agreeing, wrong));
        }
        let all = Compared::exactly(stored, &again);
        let further: Vec<_> =
            all.differences.iter().filter(|of| !places.contains(&of.place.as_str())).collect();
        let wrong = further.first().map(|first| format!("{}{}", first.said(), others(further.len() - 1)));
        let agreeing = format!("all {} numbers agree {}", all.numbers, all.digits());
        checks.push(Check::of(Part::Numbers, file, agreeing, wrong));
        Ok(checks)
    }

    fn records_of(&self, study: &dyn AnyStudy) -> std::path::PathBuf {
        self.request.folder.join(RECORDS).join(study.id())
    }

    /// Asks every model about a few images of every split again.
    fn predicted(&self) -> Result<Vec<Check>, InvestigationError> {
        let mut checks = Vec::new();
        for (split_name, split) in self.scene.dataset.splits() {
            for subject in self.scene.subjects {
                for run in 0..subject.runs() {
                    let name = match run {
                        0 => format!("{PREDICTIONS}/{split_name}-{}.safetensors", subject.name),
                        run => format!("{PREDICTIONS}/{split_name}-{}.run-{run}.safetensors", subject.name),
                    };
                    if self.request.folder.join(&name).exists() {
                        self.scene
                            .progress
                            .stage(&format!("asking {} about images of {split_name}", subject.name));
                        let stored = self.scene.predicted_by_run(split_name, subject.name, run)?;
                        checks.push(self.answers(split, split_name, subject.run(run), &stored, name)?);
                    }
                }
            }
        }
        Ok(checks)
    }

    fn answers(
        &self,
        split: &Split,
        split_name: &str,
        model: &archaeo_models::Classifier,
        stored: &archaeo_training::evaluate::Evaluation,
        name: String,
    ) -> Result<Check, InvestigationError> {
        let stream = format!("images of {split_name}");
        let count = self.request.sample.max(1);
        let indices = stratified(self.request.seed, &stream, &split.labels(), count);
        let images = Preprocessed { split, preprocessing: &model.card().preprocessing };
        let source = Subset { images, indices: indices.clone() };
        let batch = self.scene.options.batch_size;
        let again =
            evaluate(model, &source, batch, self.scene.device, &mut |_| {}).map_err(StudyError::from)?;
        let classes = stored.classes;
        let mut different = Vec::new();
        for (place, &index) in indices.iter().enumerate() {
            let [then, now] = [(stored, index), (&again, place)]
                .map(|(of, at)| serde_json::json!([of.logits[at * classes..][..classes], of.labels[at]]));
            if !close(&then, &now).differences.is_empty() {
                different.push(split.identifier(index));
            }
        }
        let wrong = different.first().map(|first| {
            format!(
                "the model answers {} of {} images differently, {first} among them",
                different.len(),
                indices.len()
            )
        });
        let agreeing = format!("the model answers {} images as before", indices.len());
        Ok(Check::of(Part::Images, name, agreeing, wrong))
    }

    /// Makes a few records of every study again.
    fn recorded(&self, investigation: &Investigation) -> Result<Vec<Check>, InvestigationError> {
        let [units, images] = ASKED_AGAIN;
        let check = SpotCheck { seed: self.request.seed, units, images };
        let mut checks = Vec::new();
        for &study in STUDIES.iter().filter(|study| investigation.studies.contains_key(study.id())) {
            self.scene.progress.stage(&format!("asking again for {}", study.id()));
            let asked = match study.ask_again(&self.scene, &self.records_of(study), check) {
                Ok(asked) if asked.is_empty() => continue,
                Ok(asked) => asked,
                Err(AgainError::Study(StudyError::Interrupted)) => return Err(StudyError::Interrupted.into()),
                Err(error) => {
                    let folder = format!("{RECORDS}/{}", study.id());
                    checks.push(Check::unchecked(Part::Images, folder, error.to_string()));
                    continue;
                }
            };
            let mut files: Vec<&str> = asked.iter().map(|of| of.file.as_str()).collect();
            files.dedup();
            for file in files {
                let of_file: Vec<_> = asked.iter().filter(|of| of.file == file).collect();
                let wrong = of_file.iter().find_map(|of| {
                    let differences = close(&of.kept, &of.now).differences;
                    let first = differences.first()?;
                    Some(format!("image {}: {}{}", of.image, first.said(), others(differences.len() - 1)))
                });
                let agreeing = format!("{} images recorded again", of_file.len());
                checks.push(Check::of(
                    Part::Images,
                    format!("{RECORDS}/{}/{file}", study.id()),
                    agreeing,
                    wrong,
                ));
            }
        }
        Ok(checks)
    }
}

/// Compares what a model says with what it said: numbers may be off by rounding.
fn close(stored: &Value, again: &Value) -> Compared {
    fn largest(value: &Value) -> f64 {
        match value {
            Value::Number(number) => number.as_f64().unwrap_or(0.0).abs(),
            Value::Array(values) => values.iter().map(largest).fold(0.0, f64::max),
            Value::Object(values) => values.values().map(largest).fold(0.0, f64::max),
            _ => 0.0,
        }
    }
    let scale = largest(stored).max(largest(again));
    Compared::of(stored, again, &|one, other| (one - other).abs() <= ROUNDING * scale)
}

/// A value with the digits that a file has of it.
fn written(value: &Value) -> Value {
    serde_json::from_str(&value.to_string()).expect("it was written as JSON")
}

/// How many numbers of each study are chosen: as many of each as of any other, as far as it has so many.
fn shares(seed: u64, sample: usize, counts: &[usize]) -> Vec<usize> {
    let mut chosen = vec![0; counts.len()];
    let mut left = sample.min(counts.iter().sum());
    while left > 0 {
        let open: Vec<usize> = (0..counts.len()).filter(|&study| chosen[study] < counts[study]).collect();
        let round = stratified(seed, "studies to verify", &vec![0; open.len()], left.min(open.len()));
        left -= round.len();
        round.into_iter().for_each(|place| chosen[open[place]] += 1);
    }
    chosen
}

/// Compares the pictures that were drawn again on the way with those of the folder.
fn drawn_again(
    folder: &Path,
    workplace: &Path,
    same_machine: bool,
) -> Result<Vec<Check>, InvestigationError> {
    let again = workplace.join("pictures");
    let mut names: Vec<String> = (fs::read_dir(&again).into_iter().flatten().flatten())
        .map(|entry| format!("pictures/{}", entry.file_name().to_string_lossy()))
        .collect();
    names.sort();
    let (mut checks, mut same) = (Vec::new(), 0);
    for name in names {
        let again = workplace.join(&name);
        let again = archaeo_store::read(&again).map_err(StoreError::io("read", &again))?;
        match archaeo_store::read(&folder.join(&name)) {
            Ok(there) if there == again => same += 1,
            // That it is missing is said where hashes are compared.
            Err(_) => {}
            Ok(_) if same_machine => {
                checks.push(Check::differs(
                    Part::Pictures,
                    name,
                    "it is drawn differently from the same records",
                ));
            }
            Ok(_) => {
                let detail = "it is drawn differently by this build or on this processor";
                checks.push(Check::unchecked(Part::Pictures, name, detail));
            }
        }
    }
    if same > 0 {
        let detail = "the records give the same pictures, byte by byte";
        checks.push(Check::agrees(Part::Pictures, format!("{same} drawn again"), detail));
    }
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_study_has_its_share_of_the_sample() {
        assert_eq!(shares(0, 6, &[100, 100, 100]), [2, 2, 2]);
        assert_eq!(shares(0, 9, &[1, 100, 2]), [1, 6, 2]);
        assert_eq!(shares(0, 9, &[1, 2]), [1, 2]);
        assert_eq!(shares(3, 2, &[5; 40]).iter().sum::<usize>(), 2);
        assert_ne!(shares(3, 2, &[5; 40]), shares(4, 2, &[5; 40]));
        assert!(shares(0, 3, &[]).is_empty());
    }
}
