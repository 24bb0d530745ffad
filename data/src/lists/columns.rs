//! Finds the columns of a list that hold files, classes and splits.

use std::collections::BTreeMap;

use super::super::names::split_name;
use super::files::{Index, Match};
use super::table::Table;

/// What was found.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) file: usize,
    pub(crate) label: Label,
    pub(crate) split: Option<usize>,
    /// The names of the columns, if the first row is a header.
    pub(crate) names: Option<Vec<String>>,
}

/// Location of the classes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Column(usize),
    /// One column per class, with a 1 in that of the image.
    OneHot(Vec<usize>),
}

/// Why a table is not used as a list of images.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// It does not name existing images.
    Unrelated(String),
    /// It names images without their classes.
    Unlabelled,
    /// It names images, but is ambiguous otherwise; the end of a sentence.
    Unclear(String),
}

/// Matches that settle which column holds the files.
const ENOUGH: usize = 1000;

const FILES: &[&str] = &[
    "file",
    "filename",
    "filepath",
    "files",
    "image",
    "images",
    "imageid",
    "imagename",
    "imageindex",
    "imagepath",
    "imagefile",
    "imagefilename",
    "imgid",
    "img",
    "imgname",
    "imgpath",
    "imgfile",
    "id",
    "ids",
    "path",
    "paths",
    "relativepath",
    "name",
    "picture",
    "photo",
    "isicid",
    "key",
    "uid",
    "uuid",
];
const LABELS: &[&str] = &[
    "label",
    "labels",
    "class",
    "classes",
    "classname",
    "classlabel",
    "labelname",
    "category",
    "categoryname",
    "target",
    "targets",
    "y",
    "groundtruth",
    "gt",
    "truth",
    "classid",
    "classindex",
    "classnumber",
    "labelid",
    "labelindex",
    "categoryid",
];
/// Column names that describe classes.
const KINDS: &[&str] = &[
    "species",
    "diagnosis",
    "dx",
    "breed",
    "breedname",
    "disease",
    "finding",
    "findings",
    "findinglabels",
    "level",
    "grade",
    "severity",
    "type",
    "kind",
    "variety",
    "cultivar",
    "pathology",
    "condition",
    "emotion",
    "expression",
    "style",
    "artist",
    "person",
    "identity",
    "identityid",
    "tag",
    "tags",
    "object",
    "animal",
    "plant",
    "character",
    "digit",
    "letter",
    "sign",
    "benignmalignant",
];
const SPLITS: &[&str] = &["split", "subset", "partition", "set", "dataset", "usage", "fold", "phase"];

/// Lower case without separators.
fn plain(name: &str) -> String {
    name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

impl Columns {
    /// Chooses columns by their names and by which of them name images of `index`; the list lies in the folder `home`.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub(crate) fn of(table: &Table, index: &Index, home: &str) -> Result<Self, Unfit> {
        if table.columns() < 2 {
            let names_images =
                table.rows.iter().any(|(_, row)| index.find(Table::field(row, 0), home) != Match::None);
            return Err(if names_images {
                Unfit::Unlabelled
            } else {
                Unfit::Unrelated("it has one column only; add one called `label`".into())
            });
        }
        let Some((_, first)) = table.rows.first() else {
            return Err(Unfit::Unrelated("it is empty".into()));
        };
        let names: Vec<String> = first.iter().map(|name| plain(name)).collect();
        let known = |list: &[&str]| -> Vec<usize> {
            let mut found: Vec<usize> =
                (0..names.len()).filter(|&i| list.contains(&names[i].as_str())).collect();
            found.sort_by_key(|&i| list.iter().position(|name| *name == names[i]));
            found
        };
        let (files, labels, kinds) = (known(FILES), known(LABELS), known(KINDS));
        let is_there = |field: &str| index.find(field, home) != Match::None;
        // A header may by chance name an image; then the rows below it do not.
        let is_image = |(column, field): (usize, &String)| {
            let below = || table.rows[1..].iter().map(|(_, row)| Table::field(row, column)).take(ENOUGH);
            Index::looks_like_name(field)
                || is_there(field) && 2 * below().filter(|field| is_there(field)).count() >= below().count()
        };
        let named = table.has_names
            || !files.is_empty() && (!labels.is_empty() || !kinds.is_empty())
            || !first.iter().enumerate().any(is_image);
        let rows = if named { &table.rows[1..] } else { &table.rows[..] };
        if rows.is_empty() {
            return Err(Unfit::Unrelated("it lists no image; add a line for each".into()));
        }
        let shown = || first.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");

        let matches = |column: usize| {
            let fields = rows.iter().map(|(_, row)| Table::field(row, column));
            fields.filter(|field| is_there(field)).take(ENOUGH).count()
        };
        let most = |columns: &[usize]| {
            // The first of equals: names are ordered by how common they are.
            let counts = columns.iter().map(|&column| (matches(column), column));
            counts
                .rev()
                .max_by_key(|(count, _)| *count)
                .filter(|(count, _)| *count > 0)
                .map(|(_, column)| column)
        };
        let all: Vec<usize> = (0..table.columns()).collect();
        let file = if named { most(&files) } else { None };
        let anonymous: Vec<usize> =
            all.iter().copied().filter(|i| !named || !labels.contains(i) && !kinds.contains(i)).collect();
        let Some(file) = file.or_else(|| most(&anonymous)) else {
            let example = |&file: &usize| rows.first().map(|(_, row)| Table::field(row, file).to_string());
            let files = files.first().filter(|_| named).and_then(example);
            return Err(Unfit::Unrelated(match files {
                Some(file) => format!("none of the images that it lists is there, such as {file}"),
                None if named => format!(
                    "it has the columns {}, of which none names an image that is there; call the column of the files `file` and \
                     that of the classes `label`",
                    shown()
                ),
                None => "none of its columns names an image that is there".into(),
            }));
        };

        let is_split = |column: &usize| {
            let mut fields = rows.iter().map(|(_, row)| Table::field(row, *column)).peekable();
            *column != file && fields.peek().is_some() && fields.all(|field| split_name(field).is_some())
        };
        if !named {
            let split = all.iter().copied().find(is_split);
            let others: Vec<usize> =
                all.into_iter().filter(|&column| column != file && Some(column) != split).collect();
            return match others.as_slice() {
                [] => Err(Unfit::Unlabelled),
                [label] => Ok(Columns { file, label: Label::Column(*label), split, names: None }),
                _ => Err(Unfit::Unclear(format!(
                    "it has {} columns without names; add a first line that calls the column of the files `file` and that of the \
                     classes `label`",
                    table.columns()
                ))),
            };
        }
        // A column called `split` is one, whatever it holds, and is validated as such.
        let called =
            |column: &usize| names.get(*column).is_some_and(|name| name == "split" || name == "subset");
        let split = known(SPLITS)
            .into_iter()
            .filter(|column| *column != file)
            .find(|column| called(column) || is_split(column));
        let free = |columns: Vec<usize>| -> Vec<usize> {
            columns.into_iter().filter(|&column| column != file && Some(column) != split).collect()
        };
        let names = Some(first.clone());
        let found = |label: Label| Ok(Columns { file, label, split, names: names.clone() });
        let others = free(all);
        for candidates in [free(labels), free(kinds)] {
            if let Some(label) = same_classes(rows, &candidates) {
                return found(Label::Column(label));
            }
            if !candidates.is_empty() {
                let clear = candidates.iter().find(|&&column| plain(&first[column]) == "label");
                return match clear {
                    Some(&label) => found(Label::Column(label)),
                    None => Err(unclear(&shown())),
                };
            }
        }
        if let [label] = others.as_slice() {
            return match rows.iter().all(|(_, row)| Table::field(row, *label).is_empty()) {
                true => Err(Unfit::Unlabelled),
                false => found(Label::Column(*label)),
            };
        }
        if others.is_empty() {
            return Err(Unfit::Unlabelled);
        }
        match one_hot(rows, &others) {
            Some(Ok(columns)) => found(Label::OneHot(columns)),
            Some(Err(line)) => Err(Unfit::Unclear(format!(
                "its columns of 0 and 1 do not give each image exactly one class (line {line}); only one class per image can be used"
            ))),
            None => Err(unclear(&shown())),
        }
    }
}

fn unclear(columns: &str) -> Unfit {
    Unfit::Unclear(format!(
        "it has the columns {columns}, and which of them holds the classes is not clear; call it `label`"
    ))
}

/// The preferred one of `columns` if all of them encode the same classes: names before numbers.
fn same_classes(rows: &[(u64, Vec<String>)], columns: &[usize]) -> Option<usize> {
    let (&first, rest) = columns.split_first()?;
    for &other in rest {
        let (mut there, mut back) = (BTreeMap::new(), BTreeMap::new());
        let alike = rows.iter().all(|(_, row)| {
            let (a, b) = (Table::field(row, first), Table::field(row, other));
            *there.entry(a).or_insert(b) == b && *back.entry(b).or_insert(a) == a
        });
        if !alike {
            return None;
        }
    }
    let is_text =
        |column: &&usize| rows.iter().any(|(_, row)| Table::field(row, **column).parse::<f64>().is_err());
    columns.iter().find(is_text).or(Some(&first)).copied()
}

/// The columns among `columns` that hold nothing but 0 and 1, if there are some; the first line whose sum is not 1 otherwise.
fn one_hot(rows: &[(u64, Vec<String>)], columns: &[usize]) -> Option<Result<Vec<usize>, u64>> {
    let digit = |text: &str| text.parse::<f64>().ok().filter(|value| matches!(*value, 0.0 | 1.0));
    let binary = |column: &usize| rows.iter().all(|(_, row)| digit(Table::field(row, *column)).is_some());
    let columns: Vec<usize> = columns.iter().copied().filter(binary).collect();
    if columns.len() < 2 || rows.is_empty() {
        return None;
    }
    let sum = |row: &[String]| columns.iter().filter(|&&column| is_one(Table::field(row, column))).count();
    Some(match rows.iter().find(|(_, row)| sum(row) != 1) {
        Some((line, _)) => Err(*line),
        None => Ok(columns),
    })
}

/// Whether a field of a one-hot column is 1.
pub(crate) fn is_one(field: &str) -> bool {
    field.parse() == Ok(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGES: [&str; 3] = ["a.png", "b.png", "c.png"];

    fn columns(text: &str) -> Result<Columns, Unfit> {
        Columns::of(&Table::parse(text, "csv").expect("a table"), &Index::of(IMAGES.into_iter()), "")
    }

    #[test]
    fn columns_are_found_by_their_names_and_by_what_they_hold() {
        for (text, file, label, split) in [
            ("file,label\na.png,1\n", 0, 1, None),
            ("Image Index,Finding Labels,Age\na.png,mass,3\n", 0, 1, None),
            ("lesion_id,image_id,dx,sex\n7,a,nv,m\n", 1, 2, None),
            // The values show which of `id` and `name` holds the files.
            ("id,name,breed\n1,a.png,pug\n2,b.png,lab\n", 1, 2, None),
            ("LABEL;FILENAME;Split\n1;a.png;Train\n", 1, 0, Some(2)),
            ("filename,set,label\na.png,5,1\n", 0, 2, None),
            // A number and a name for the same class.
            ("image,class_id,class_name\na.png,0,cat\nb.png,1,dog\n", 0, 2, None),
            // Two columns: what does not name images names classes.
            ("photo,has_cactus\na.png,1\nb.png,0\n", 0, 1, None),
            ("a.png,cat\nb.png,dog\n", 0, 1, None),
            ("cat a.png\ndog b.png\n", 1, 0, None),
            ("a.png,cat,train\nb.png,dog,test\n", 0, 1, Some(2)),
        ] {
            let found = columns(text).unwrap_or_else(|unfit| panic!("{text}: {unfit:?}"));
            assert_eq!((found.file, found.label, found.split), (file, Label::Column(label), split), "{text}");
        }
        let found = columns("image,MEL,NV\na,1.0,0.0\nb,0.0,1.0\n").expect("columns");
        assert_eq!(found.label, Label::OneHot(vec![1, 2]));
    }

    #[test]
    fn what_is_not_clear_is_not_guessed() {
        let reason = |text: &str| match columns(text) {
            Err(Unfit::Unclear(reason) | Unfit::Unrelated(reason)) => reason,
            other => panic!("{text}: {other:?}"),
        };
        assert!(
            reason("image,breed,species\na,pug,dog\nb,lab,dog\n")
                .contains("the columns `image`, `breed`, `species`, and which")
        );
        assert!(reason("image,x,y1\na,0.3,0.7\nb,0.2,0.1\n").contains("not clear"));
        assert!(reason("image,x,z\na,1,1\nb,0,1\n").contains("exactly one class (line 2)"));
        assert!(
            reason("file,label\nx.png,1\n")
                .contains("none of the images that it lists is there, such as x.png")
        );
        assert!(reason("a.png,1,2\nb.png,1,2\n").contains("3 columns without names"));
        for text in ["id,sizes\na.png,\n", "id\na.png\nb.png\n", "a.png,train\nb.png,test\n"] {
            assert!(matches!(columns(text), Err(Unfit::Unlabelled)), "{text}");
        }
    }
}
