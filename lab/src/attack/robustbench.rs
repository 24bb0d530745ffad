//! An entry of RobustBench's list of models (`model_info/DATASET/Linf/KEY.json`; Croce et al., 2021).

use std::path::{Path, PathBuf};

use archaeo_analysis::attacks::Norm;
use serde::Serialize;

use super::{Attacked, Minimal};
use crate::destination::check_destination;
use crate::error::LabError;
use crate::opened::Opened;

/// Title of the attack that RobustBench ranks by.
const AUTOATTACK: &str = "AutoAttack";

/// A file for the entry.
#[derive(Clone, Debug)]
pub struct RobustBench {
    file: PathBuf,
    size: f64,
}

/// The entry, with the names that RobustBench gives its fields. What a checkpoint does not tell is `null`, for its author to fill in.
#[derive(Serialize)]
struct Entry {
    link: Option<String>,
    name: String,
    authors: Option<String>,
    additional_data: Option<bool>,
    number_forward_passes: usize,
    dataset: String,
    venue: Option<String>,
    architecture: String,
    eps: String,
    clean_acc: String,
    /// What was measured, where it is not AutoAttack.
    reported: Option<String>,
    autoattack_acc: Option<String>,
    footnote: String,
    unreliable: bool,
}

impl RobustBench {
    /// An entry of one size in the norm's unit.
    ///
    /// # Errors
    /// No size, or several; a file that could not be written.
    pub fn new(file: &Path, sizes: &[f64]) -> Result<Self, LabError> {
        check_destination(file, &[])?;
        match sizes {
            [size] => Ok(Self { file: file.to_owned(), size: *size }),
            _ => Err(LabError::RobustBenchSize { given: sizes.len() }),
        }
    }

    /// Writes the entry of an attack.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, opened: &Opened, attacked: &Attacked) -> Result<(), LabError> {
        let robust = attacked.points.last().map_or(0.0, |point| point.accuracy);
        let clean = attacked.points.first().map_or(0.0, |point| point.accuracy);
        let settings = attacked.settings.join("; ");
        self.entry(opened, attacked.norm, [clean, robust], (attacked.attack, &settings))
    }

    /// Writes the entry of the smallest perturbations: the accuracy where they are larger than the size.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_minimal(&self, opened: &Opened, minimal: &Minimal) -> Result<(), LabError> {
        let Some(of) = minimal.norms.first() else { return Ok(()) };
        let place = of.curve.partition_point(|point| point.at <= self.size);
        let robust = place.checked_sub(1).map_or(0.0, |place| of.curve[place].share);
        let titles: Vec<&str> = of.attacks.iter().map(|attack| attack.title).collect();
        let settings: Vec<&str> = of.attacks.iter().map(|attack| attack.settings.as_str()).collect();
        let title = titles.join(" and ");
        self.entry(opened, of.norm, [minimal.accuracy.value, robust], (&title, &settings.join("; ")))
    }

    fn entry(
        &self,
        opened: &Opened,
        norm: Norm,
        [clean, robust]: [f64; 2],
        (attack, settings): (&str, &str),
    ) -> Result<(), LabError> {
        let percent = |share: f64| format!("{:.2}", 100.0 * share);
        let card = opened.model.card();
        let ranked = attack == AUTOATTACK;
        let seen = opened.indices.len();
        let entry = Entry {
            link: None,
            name: card.name.clone(),
            authors: None,
            additional_data: None,
            number_forward_passes: 1,
            dataset: opened.dataset.name.clone(),
            venue: None,
            architecture: card.network.describe(),
            eps: match norm {
                Norm::Linf => format!("{}/255", self.size),
                _ => self.size.to_string(),
            },
            clean_acc: percent(clean),
            reported: (!ranked).then(|| percent(robust)),
            autoattack_acc: ranked.then(|| percent(robust)),
            footnote: format!(
                "{attack} in {norm} on {seen} images of {}/{}: {settings}",
                opened.dataset.name, opened.split
            ),
            unreliable: !ranked,
        };
        let json = serde_json::to_string_pretty(&entry).expect("plain data") + "\n";
        Ok(archaeo_store::write(&self.file, json.as_bytes())?)
    }
}
