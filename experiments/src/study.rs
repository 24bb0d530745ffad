//! The contract of a study: one question to the models, what was found, and the chapter that says so.
//!
//! A study is one file or folder under `studies/` and one line in [`STUDIES`](crate::studies::STUDIES); the investigation and the report
//! know nothing else of it.

use std::marker::PhantomData;
use std::path::Path;

use archaeo_analysis::statistics::Estimate;
use archaeo_report::Claim;
use archaeo_report::document::{Block, Section, Text};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use archaeo_training::{RecipeError, from_table};
use toml::Table;

use crate::advice::Advice;
use crate::findings::Investigation;
use crate::options::Options;
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::shard::Shard;
use crate::units::{
    AgainError, AskedAgain, Keep, Recorded, Recorder, SpotCheck, Unit, ask, ask_again, conclude_again,
    record_share,
};

/// Whether a question can be asked of these models and this data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applicability {
    /// It can.
    Applies,
    /// It cannot, for this reason: the end of a sentence, such as `no model has attention heads`.
    No(String),
}

impl Applicability {
    /// Applies where `holds`; otherwise does not, for this reason.
    pub fn only_if(holds: bool, otherwise: &str) -> Self {
        if holds { Self::Applies } else { Self::No(otherwise.to_owned()) }
    }
}

/// What a study contributes to the report.
#[derive(Debug)]
pub struct Chapter {
    /// Text, tables and figures.
    pub section: Section,
    /// What was found, in sentences that the numbers choose: the summary's.
    pub claims: Vec<Claim>,
    /// What each quantity is, with its source: the method's.
    pub definitions: Vec<(String, Text)>,
    /// What the findings cannot show, a sentence each.
    pub limitations: Vec<String>,
    /// Numbers to know first: name, value.
    pub facts: Vec<(String, Text)>,
    /// What was looked at, where that is a sample: its name and number of images, such as (`head ablation`, 400).
    pub sample: Option<(&'static str, usize)>,
    /// A figure for the top of the report, after what opens it.
    pub frontispiece: Option<Block>,
    /// Which model to choose where what it asks decides.
    pub advice: Vec<Advice>,
    /// One estimate of each kind, under the name of its quantity: how its interval was computed goes into the method.
    pub intervals: Vec<(&'static str, Estimate)>,
}

impl Chapter {
    /// A chapter of a section and its claims, to be filled with the rest.
    pub fn new(section: Section, claims: Vec<Claim>) -> Self {
        Self {
            section,
            claims,
            definitions: Vec::new(),
            limitations: Vec::new(),
            facts: Vec::new(),
            sample: None,
            frontispiece: None,
            advice: Vec::new(),
            intervals: Vec::new(),
        }
    }
}

/// One question.
pub trait Study {
    /// Name of its findings: `findings/ID.json`.
    const ID: &'static str;
    /// Title of its chapter.
    const TITLE: &'static str;
    /// What it asks, as part of a sentence in which `{it}` is a model: `how often {it} is right`.
    const QUESTION: &'static str;
    /// Whether its chapter, with its claims, opens the report.
    const OPENS: bool = false;
    /// Whether it is about how models fail, so that its chapter is part of the failure analysis on paper.
    const FAILURE: bool = false;
    /// Counted up whenever findings mean something else or are written in another way: those under another number are made again.
    const SCHEMA: u32 = 1;
    /// Whether it concludes by asking the models, instead of from what was recorded and predicted.
    const CONCLUDES_WITH_MODELS: bool = false;
    /// What a user may choose of it, under `[studies.ID]`; [`NoOptions`](crate::options::NoOptions) where that is nothing.
    type Options: Options;
    /// What it records of one image; [`NoRecord`](crate::units::NoRecord) where what the models answer is enough.
    type Record: Serialize + DeserializeOwned;
    /// What it finds.
    type Findings: Serialize + DeserializeOwned;

    /// Whether the question can be asked, and why not.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn applies(scene: &Scene) -> Result<Applicability, StudyError>;

    /// What is to be recorded image by image; what models answer to whole splits needs no unit ([`Scene::predicted`]).
    ///
    /// # Errors
    /// Data that cannot be read.
    fn units(_: &Scene) -> Result<Vec<Unit>, StudyError> {
        Ok(Vec::new())
    }

    /// Prepares what the images of a unit share, and returns what records a batch of them. A record depends on its image, the
    /// model, the options and the seed alone; pictures that are saved on the way are named after the image or its place.
    ///
    /// # Errors
    /// Data that cannot be read, a question that does not suit the model.
    fn recorder<'a>(_: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, Self::Record>, StudyError> {
        unreachable!("{} has no unit {unit:?}", Self::ID)
    }

    /// Concludes from what was recorded of every unit, in their order.
    ///
    /// # Errors
    /// Data that cannot be read, an interruption, answers that are not finite.
    fn conclude(scene: &Scene, recorded: Vec<Recorded<Self::Record>>) -> Result<Self::Findings, StudyError>;

    /// What the findings say. Computes nothing that another program would need.
    fn chapter(findings: &Self::Findings, investigation: &Investigation, names: &Names) -> Chapter;
}

/// A [`Study`] whatever its findings are.
pub trait AnyStudy: Sync {
    /// [`Study::ID`].
    fn id(&self) -> &'static str;
    /// [`Study::TITLE`].
    fn title(&self) -> &'static str;
    /// [`Study::QUESTION`].
    fn question(&self) -> &'static str;
    /// [`Study::OPENS`].
    fn opens(&self) -> bool;
    /// [`Study::FAILURE`].
    fn is_about_failure(&self) -> bool;
    /// [`Study::SCHEMA`].
    fn schema(&self) -> u32;
    /// [`Study::CONCLUDES_WITH_MODELS`].
    fn concludes_with_models(&self) -> bool;
    /// [`Study::Options`] when nothing is chosen, with or without `--quick`.
    fn options(&self, quick: bool) -> Table;
    /// [`Study::Options`] of its section, complete.
    ///
    /// # Errors
    /// A key that it does not have, a value of the wrong type or out of range.
    fn checked_options(&self, section: Table) -> Result<Table, RecipeError>;
    /// Whether these are findings of this study.
    fn reads(&self, findings: &Value) -> bool;
    /// [`Study::applies`].
    ///
    /// # Errors
    /// As there.
    fn applies(&self, scene: &Scene) -> Result<Applicability, StudyError>;
    /// Records what is not kept yet, and concludes.
    ///
    /// # Errors
    /// As [`Study::recorder`] and [`Study::conclude`]; a log that cannot be read or written.
    fn run(&self, scene: &Scene, keep: Option<Keep>) -> Result<Value, StudyError>;
    /// [`record_share`].
    ///
    /// # Errors
    /// As there.
    fn record_share(&self, scene: &Scene, keep: Keep, shard: Shard) -> Result<bool, StudyError>;
    /// [`conclude_again`], from the records in a folder.
    ///
    /// # Errors
    /// As there.
    fn conclude_again(&self, scene: &Scene, records: &Path) -> Result<Value, AgainError>;
    /// [`ask_again`], compared with the records in a folder.
    ///
    /// # Errors
    /// As there.
    fn ask_again(
        &self,
        scene: &Scene,
        records: &Path,
        check: SpotCheck,
    ) -> Result<Vec<AskedAgain>, AgainError>;
    /// [`Study::chapter`]; `None` where the study has not run.
    ///
    /// # Errors
    /// Findings that are not this study's.
    fn chapter(
        &self,
        investigation: &Investigation,
        names: &Names,
    ) -> Result<Option<Chapter>, serde_json::Error>;
}

struct Erased<S>(PhantomData<fn() -> S>);

impl<S: Study + 'static> AnyStudy for Erased<S> {
    fn id(&self) -> &'static str {
        S::ID
    }

    fn title(&self) -> &'static str {
        S::TITLE
    }

    fn question(&self) -> &'static str {
        S::QUESTION
    }

    fn opens(&self) -> bool {
        S::OPENS
    }

    fn is_about_failure(&self) -> bool {
        S::FAILURE
    }

    fn schema(&self) -> u32 {
        S::SCHEMA
    }

    fn concludes_with_models(&self) -> bool {
        S::CONCLUDES_WITH_MODELS
    }

    fn options(&self, quick: bool) -> Table {
        let options = if quick { S::Options::quick() } else { S::Options::default() };
        Table::try_from(options).expect("options are plain data")
    }

    fn checked_options(&self, section: Table) -> Result<Table, RecipeError> {
        let options: S::Options = from_table(section, &format!("studies.{}", S::ID))?;
        options.check()?;
        Ok(Table::try_from(options).expect("options are plain data"))
    }

    fn reads(&self, findings: &Value) -> bool {
        S::Findings::deserialize(findings).is_ok()
    }

    fn applies(&self, scene: &Scene) -> Result<Applicability, StudyError> {
        S::applies(scene)
    }

    fn run(&self, scene: &Scene, keep: Option<Keep>) -> Result<Value, StudyError> {
        Ok(serde_json::to_value(ask::<S>(scene, keep)?).expect("findings are plain data"))
    }

    fn record_share(&self, scene: &Scene, keep: Keep, shard: Shard) -> Result<bool, StudyError> {
        record_share::<S>(scene, keep, shard)
    }

    fn conclude_again(&self, scene: &Scene, records: &Path) -> Result<Value, AgainError> {
        Ok(serde_json::to_value(conclude_again::<S>(scene, records)?).expect("findings are plain data"))
    }

    fn ask_again(
        &self,
        scene: &Scene,
        records: &Path,
        check: SpotCheck,
    ) -> Result<Vec<AskedAgain>, AgainError> {
        ask_again::<S>(scene, records, check)
    }

    fn chapter(
        &self,
        investigation: &Investigation,
        names: &Names,
    ) -> Result<Option<Chapter>, serde_json::Error> {
        let findings = investigation.findings::<S>()?;
        Ok(findings.map(|findings| S::chapter(&findings, investigation, names)))
    }
}

/// A study as a member of the list.
pub(crate) const fn study<S: Study + 'static>() -> &'static dyn AnyStudy {
    &Erased::<S>(PhantomData)
}
