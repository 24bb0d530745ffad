//! A file in which the user says which class is which output.

use std::collections::{BTreeMap, HashMap};

use super::names::{key, number, wordnet_id_in};
use super::outputs::{Catalogue, Outputs};

/// The lines of a class map: the data's class, and the model's by name, WordNet identifier or number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassMap {
    file: String,
    rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    line: u64,
    class: String,
    /// `None` for a class that is to be left out.
    output: Option<String>,
}

/// First lines that name the columns instead of two classes.
const HEADINGS: [&str; 10] =
    ["class", "data", "dataclass", "folder", "label", "name", "output", "model", "modelclass", "target"];

impl ClassMap {
    /// Understands a table of two columns with commas, semicolons or tabs between them. A class with nothing, or `-`, in
    /// the second column is left out.
    ///
    /// # Errors
    /// One sentence for lines without two columns.
    pub fn parse(file: &str, text: &str) -> Result<Self, String> {
        let delimiter = match (text.contains('\t'), text.contains(','), text.contains(';')) {
            (true, ..) => b'\t',
            (false, false, true) => b';',
            _ => b',',
        };
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .trim(csv::Trim::All)
            .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let (mut rows, mut mistakes) = (Vec::new(), Vec::new());
        for (i, record) in reader.records().enumerate() {
            let record =
                record.map_err(|error| format!("{file} is not a valid table ({error}); correct it"))?;
            let line = record.position().map_or(i as u64 + 1, csv::Position::line);
            let mut fields = record.iter();
            let class = fields.next().unwrap_or("").to_owned();
            // A list of synonyms may have commas of its own.
            let rest: Vec<&str> = fields.collect();
            if rest.is_empty() || class.is_empty() {
                mistakes.push(format!("line {line} has no two columns"));
                continue;
            }
            let output = Some(rest.join(", ")).filter(|output| !["", "-"].contains(&output.as_str()));
            let heading = |text: &str| HEADINGS.contains(&key(text).as_str());
            if !(i == 0 && heading(&class) && output.as_deref().is_some_and(heading)) {
                rows.push(Row { line, class, output });
            }
        }
        match mistakes.is_empty() {
            true => Ok(Self { file: file.to_owned(), rows }),
            false => Err(wrong(file, &mistakes)),
        }
    }

    /// What the map says of the classes `data`: the output of each that it names, `None` for one that it leaves out.
    ///
    /// # Errors
    /// One sentence with every line that names a class or an output that is not there, or a class again.
    pub(super) fn resolve(
        &self,
        data: &[String],
        outputs: &Outputs,
    ) -> Result<BTreeMap<usize, Option<usize>>, String> {
        let catalogue = Catalogue::new(outputs);
        let classes = Classes::of(data);
        let (mut said, mut mistakes) = (BTreeMap::new(), Vec::new());
        for Row { line, class, output } in &self.rows {
            // What may have been meant is looked for among all, and said of a few.
            let few = mistakes.len() < MOST_MISTAKES;
            let found = classes.find(class).ok_or_else(|| {
                let near = if few { nearest(class, data) } else { String::new() };
                format!("line {line}: the data has no class `{class}`{near}")
            });
            let output = match output {
                None => Ok(None),
                Some(name) => output_of(name, &catalogue, few)
                    .map(Some)
                    .map_err(|reason| format!("line {line}: {reason}")),
            };
            match (found, output) {
                (Ok(class), Ok(output)) => {
                    if said.insert(class, output).is_some() {
                        mistakes.push(format!("line {line}: `{}` has a line already", data[class]));
                    }
                }
                (found, output) => mistakes.extend([found.err(), output.err()].into_iter().flatten()),
            }
        }
        if mistakes.is_empty() { Ok(said) } else { Err(wrong(&self.file, &mistakes)) }
    }
}

/// Mistakes that are listed; the rest is counted.
const MOST_MISTAKES: usize = 10;

fn wrong(file: &str, mistakes: &[String]) -> String {
    let listed = mistakes[..mistakes.len().min(MOST_MISTAKES)].join("; ");
    let more = match mistakes.len().saturating_sub(MOST_MISTAKES) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("{file} cannot be used as a class map: {listed}{more}; correct it")
}

/// The classes of the data by their names.
struct Classes<'a> {
    names: HashMap<&'a str, usize>,
    /// Under the key of their names; nothing where several have it.
    keys: HashMap<String, Option<usize>>,
}

impl<'a> Classes<'a> {
    fn of(data: &'a [String]) -> Self {
        let (mut names, mut keys) = (HashMap::new(), HashMap::new());
        for (class, name) in data.iter().enumerate() {
            names.entry(name.as_str()).or_insert(class);
            keys.entry(key(name)).and_modify(|only| *only = None).or_insert(Some(class));
        }
        Self { names, keys }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied().or_else(|| *self.keys.get(&key(name))?)
    }
}

fn output_of(name: &str, catalogue: &Catalogue, few: bool) -> Result<usize, String> {
    let outputs = &catalogue.outputs.names;
    if let Some(output) = catalogue.named(name) {
        return Ok(output);
    }
    if let Some(output) = wordnet_id_in(name).and_then(|id| catalogue.with_id(id)) {
        return Ok(output);
    }
    let found = catalogue.called(name);
    let whole: Vec<usize> =
        found.iter().copied().filter(|&output| catalogue.is_called(output, name)).collect();
    match (&found[..], &whole[..]) {
        ([only], _) => Ok(*only),
        (_, [only]) if name.contains(',') => Ok(*only),
        ([], _) => match number(name) {
            Some(output) if output < outputs.len() => Ok(output),
            Some(output) => {
                Err(format!("the model has no output {output}; they are 0 to {}", outputs.len() - 1))
            }
            None => {
                let near = if few { nearest(name, outputs) } else { String::new() };
                Err(format!("the model has no class `{name}`{near}"))
            }
        },
        (several, _) => {
            let several: Vec<String> = several.iter().map(|&output| catalogue.describe(output)).collect();
            Err(format!("`{name}` may be {}; write its number", several.join(" or ")))
        }
    }
}

/// A name among `names` that may have been meant.
fn nearest(name: &str, names: &[String]) -> String {
    let likeness = |other: &String| strsim::jaro_winkler(&key(name), &key(other));
    let best = names.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match best.filter(|best| likeness(best) > 0.8) {
        Some(best) => format!(" (did you mean `{best}`?)"),
        None => String::new(),
    }
}
