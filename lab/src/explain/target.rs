//! Which class is explained.

use archaeo_analysis::attribution::Evidence;
use archaeo_experiments::classes::{Naming, Outputs, imagenet};

use crate::error::LabError;
use crate::opened::Opened;

/// Names that are suggested in place of one that is not there.
const NEAR: usize = 3;

/// How much two names must have in common for the one to be suggested for the other (Jaro-Winkler).
const ALIKE: f64 = 0.75;

/// Which class is explained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// That of the largest logit.
    #[default]
    Predicted,
    /// That of the image's label.
    Label,
    /// One for all images: a name, a WordNet identifier, or the number of an output, from 0.
    Class(String),
}

impl Target {
    /// `predicted`, `label`, or a class.
    pub fn parse(text: &str) -> Self {
        match text {
            "predicted" => Self::Predicted,
            "label" => Self::Label,
            class => Self::Class(class.into()),
        }
    }
}

/// The class of each image.
pub(super) enum Targets {
    /// There are no classes.
    None,
    Predicted,
    Labels,
    Class(usize),
}

impl Targets {
    pub fn of(target: &Target, outputs: &Outputs, opened: &Opened) -> Result<Self, LabError> {
        match target {
            Target::Predicted if outputs.is_empty() => Ok(Self::None),
            _ if outputs.is_empty() => Err(LabError::NoHead(opened.subject.model.weights.clone())),
            Target::Predicted => Ok(Self::Predicted),
            Target::Label => Ok(Self::Labels),
            Target::Class(class) => found(class, outputs)
                .map(Self::Class)
                .map_err(|reason| LabError::Target { class: class.clone(), reason }),
        }
    }

    /// The class of each image of a batch; `None` without classes. `labels` are outputs where they are asked for.
    pub fn classes(&self, evidence: &Evidence, labels: &[usize]) -> Result<Option<Vec<usize>>, LabError> {
        match self {
            Self::None => Ok(None),
            Self::Predicted => Ok(Some(evidence.predicted()?)),
            Self::Labels => Ok(Some(labels.to_vec())),
            Self::Class(class) => Ok(Some(vec![*class; labels.len()])),
        }
    }
}

/// The output of a class, or what is wrong with its name.
fn found(class: &str, outputs: &Outputs) -> Result<usize, String> {
    let asked = key(class);
    let known: Vec<Vec<&str>> = (0..outputs.len()).map(|output| names(outputs, output)).collect();
    let exactly = |output: &usize| outputs.names[*output].trim() == class.trim();
    let called = |output: &usize| known[*output].iter().any(|name| key(name) == asked);
    let every = || 0..outputs.len();
    let mut bearers: Vec<usize> = every().filter(exactly).collect();
    if bearers.is_empty() {
        bearers = every().filter(called).collect();
    }
    match (&bearers[..], class.trim().parse::<usize>()) {
        ([output], _) => Ok(*output),
        ([_, _, ..], _) => {
            let numbers: Vec<String> = bearers.iter().map(ToString::to_string).collect();
            Err(format!("outputs {} are called that; give the number of one", numbers.join(" and ")))
        }
        ([], Ok(number)) if number < outputs.len() => Ok(number),
        ([], Ok(_)) => Err(format!("the model's outputs are numbered from 0 to {}", outputs.len() - 1)),
        ([], Err(_)) if outputs.naming == Naming::None => Err(format!(
            "nothing names the model's outputs; give a number from 0 to {}, or name them with --class-names FILE",
            outputs.len() - 1
        )),
        ([], Err(_)) => Err(format!("the model has no such class; {}", near(&asked, outputs, &known))),
    }
}

/// What an output is called: its name, what stands between commas in it, and what ImageNet-1k calls it.
fn names(outputs: &Outputs, output: usize) -> Vec<&str> {
    let name = outputs.names[output].as_str();
    let mut names = vec![name];
    names.extend(name.split(','));
    if outputs.naming == Naming::Assumed {
        let synset = imagenet::synsets()[output];
        names.push(synset.id);
        names.extend(synset.names.split(','));
    }
    names
}

/// The end of a sentence: classes whose names are like `asked`, or some that there are.
fn near(asked: &str, outputs: &Outputs, known: &[Vec<&str>]) -> String {
    let likeness = |names: &Vec<&str>| {
        let of_name = |name: &&str| {
            let name = key(name);
            let inside = asked.len() > 2 && name.contains(asked);
            if inside { 1.0 } else { strsim::jaro_winkler(&name, asked) }
        };
        names.iter().map(of_name).fold(0.0, f64::max)
    };
    let mut alike: Vec<(f64, &str)> =
        known.iter().zip(&outputs.names).map(|(names, name)| (likeness(names), name.as_str())).collect();
    alike.sort_by(|one, other| other.0.total_cmp(&one.0));
    let quoted = |name: &str| format!("`{name}`");
    let suggested: Vec<String> = (alike.iter().filter(|(likeness, _)| *likeness >= ALIKE).take(NEAR))
        .map(|(_, name)| quoted(name))
        .collect();
    match suggested.split_last() {
        Some((last, [])) => format!("did you mean {last}?"),
        Some((last, others)) => format!("did you mean {} or {last}?", others.join(", ")),
        None => {
            let some: Vec<String> = outputs.names.iter().take(NEAR).map(|name| quoted(name)).collect();
            let more = if outputs.len() > NEAR { " and others" } else { "" };
            format!("there are {}{more}", some.join(", "))
        }
    }
}

/// What two spellings of a name have in common.
fn key(name: &str) -> String {
    name.to_lowercase().chars().filter(|character| character.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(names: &[&str]) -> Outputs {
        Outputs::named(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_class_is_found_by_name_or_number() {
        let outputs = outputs(&["golden_retriever", "tench, Tinca tinca", "crane", "crane", "3", "Crane"]);
        for (class, expected) in [
            ("golden retriever", 0),
            ("Golden-Retriever", 0),
            ("tinca tinca", 1),
            ("tench, Tinca tinca", 1),
            ("1", 1),
            // A name comes before a number, and one that is spelled alike before others.
            ("3", 4),
            ("Crane", 5),
        ] {
            assert_eq!(found(class, &outputs), Ok(expected), "{class}");
        }
        for (class, expected) in [
            ("crane", "outputs 2 and 3 are called that; give the number of one"),
            ("6", "the model's outputs are numbered from 0 to 5"),
            ("golden retreiver", "the model has no such class; did you mean `golden_retriever`?"),
            ("retriever", "the model has no such class; did you mean `golden_retriever`?"),
            (
                "zzz",
                "the model has no such class; there are `golden_retriever`, `tench, Tinca tinca`, `crane` and others",
            ),
        ] {
            assert_eq!(found(class, &outputs), Err(expected.into()), "{class}");
        }
    }

    #[test]
    fn imagenets_classes_bear_all_their_names() {
        let names = imagenet::short_names();
        let outputs = Outputs { names, naming: Naming::Assumed };
        for class in ["n02099601", "golden retriever", "207"] {
            assert_eq!(found(class, &outputs), Ok(207), "{class}");
        }
        assert_eq!(found("Tinca tinca", &outputs), Ok(0));
        let numbers = Outputs { names: vec!["0".into(), "1".into()], naming: Naming::None };
        assert!(found("dog", &numbers).unwrap_err().contains("nothing names the model's outputs"));
        assert_eq!(found("1", &numbers), Ok(1));
    }
}
