//! Finds the columns of a table that hold images and labels.

use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};
use serde_json::Value;

/// The columns that are read, by their places among the leaves of the schema.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// The encoded images.
    pub(super) images: usize,
    /// The images' names, if there are any.
    pub(super) paths: Option<usize>,
    /// The labels.
    pub(super) labels: usize,
    /// The name of the column of labels.
    pub(super) label_name: String,
    /// Notes on the choice.
    pub(super) notes: Vec<String>,
}

impl Columns {
    /// Chooses by the schema and by the `features` of Hugging Face's metadata.
    ///
    /// # Errors
    /// As the end of a sentence: no column of images or labels, or several without a telling name.
    pub(super) fn choose(schema: &SchemaDescriptor, features: &Value) -> Result<Self, String> {
        let (image_name, images) = image_column(schema, features)?;
        let (label_name, labels, others) = label_column(schema, features, &image_name)?;
        let paths = leaf(schema, &format!("{image_name}.path"));
        let mut notes = Vec::new();
        if !others.is_empty() {
            notes
                .push(format!("the labels are those of the column `{label_name}`, not of {}", list(&others)));
        }
        Ok(Columns { images, paths, labels, label_name, notes })
    }
}

fn leaf(schema: &SchemaDescriptor, wanted: &str) -> Option<usize> {
    leaves(schema).find(|(_, column)| column.path().string() == wanted).map(|(i, _)| i)
}

/// All leaves outside of lists.
fn leaves(schema: &SchemaDescriptor) -> impl Iterator<Item = (usize, &ColumnDescriptor)> {
    schema.columns().iter().map(AsRef::as_ref).enumerate().filter(|(_, column)| column.max_rep_level() == 0)
}

/// Name and place of the column of images: one that is called `image` or `img`, or else the only one.
fn image_column(schema: &SchemaDescriptor, features: &Value) -> Result<(String, usize), String> {
    let is_image = |name: &str| features[name]["_type"] == "Image";
    let mut found: Vec<(String, usize)> = Vec::new();
    for (i, column) in leaves(schema).filter(|(_, column)| column.physical_type() == Physical::BYTE_ARRAY) {
        let path = column.path().string();
        match path.strip_suffix(".bytes") {
            Some(name) => found.push((name.to_string(), i)),
            // Bytes as such, or what the metadata calls an image.
            None if is_image(&path) || !is_text(column) && !path.contains('.') => found.push((path, i)),
            None => {}
        }
    }
    if found.iter().any(|(name, _)| is_image(name)) {
        found.retain(|(name, _)| is_image(name));
    }
    let named = ["image", "img"].iter().find_map(|wanted| found.iter().position(|(name, _)| name == wanted));
    match (named, found.len()) {
        (Some(place), _) => Ok(found.swap_remove(place)),
        (None, 1) => Ok(found.swap_remove(0)),
        (None, 0) => Err(format!(
            "it has no column of encoded images (bytes, or a structure of `bytes` and `path`), only {}; give an image data set",
            list(&names(schema))
        )),
        (None, _) => {
            let names: Vec<_> = found.into_iter().map(|(name, _)| name).collect();
            Err(format!(
                "it has several columns of images, {}; call the one that is meant `image`, or keep it alone",
                list(&names)
            ))
        }
    }
}

/// Common names of label columns, likeliest first.
const LABELS: [&str; 8] =
    ["label", "labels", "fine_label", "target", "class", "category", "class_label", "label_id"];

/// Name and place of the column of labels, and the other columns that could be it.
fn label_column(
    schema: &SchemaDescriptor,
    features: &Value,
    image: &str,
) -> Result<(String, usize, Vec<String>), String> {
    let is_class = |name: &str| features[name]["_type"] == "ClassLabel";
    let usable: Vec<(String, usize)> = leaves(schema)
        .filter(|(_, column)| match column.physical_type() {
            Physical::INT32 | Physical::INT64 | Physical::BOOLEAN => true,
            Physical::BYTE_ARRAY => is_text(column),
            // Whole numbers become floats in tables where one was missing.
            Physical::FLOAT | Physical::DOUBLE => LABELS.contains(&column.path().string().as_str()),
            _ => false,
        })
        .map(|(i, column)| (column.path().string(), i))
        .filter(|(name, _)| name != image && !name.starts_with(&format!("{image}.")))
        .collect();
    let likely: Vec<&(String, usize)> =
        usable.iter().filter(|(name, _)| LABELS.contains(&name.as_str()) || is_class(name)).collect();
    let named = LABELS.iter().find_map(|wanted| likely.iter().find(|(name, _)| name == wanted));
    let chosen = named.or(if let [only] = likely.as_slice() { Some(only) } else { None });
    if let Some((name, place)) = chosen {
        let others = likely.iter().filter(|(other, _)| other != name).map(|(other, _)| other.clone());
        return Ok((name.clone(), *place, others.collect()));
    }
    let in_lists = schema.columns().iter().map(|column| (column, column.path().parts()[0].as_str()));
    let mut lists = in_lists.filter(|(column, name)| column.max_rep_level() > 0 && LABELS.contains(name));
    if let Some((_, name)) = lists.next() {
        return Err(format!(
            "its column `{name}` holds several labels per row; only one label per image can be used"
        ));
    }
    if likely.len() > 1 {
        let names: Vec<_> = likely.into_iter().map(|(name, _)| name.clone()).collect();
        return Err(format!(
            "it has several columns of labels, {}; call the one that is meant `label`",
            list(&names)
        ));
    }
    let names: Vec<_> = usable.into_iter().map(|(name, _)| name).collect();
    Err(match names.is_empty() {
        true => "it has no column of labels (integers or texts); add one and call it `label`".to_string(),
        false => format!(
            "none of its columns is called `label`: rename the one that holds the labels; it has {}",
            list(&names)
        ),
    })
}

/// Whether a column of bytes holds texts.
fn is_text(column: &ColumnDescriptor) -> bool {
    matches!(column.logical_type_ref(), Some(LogicalType::String | LogicalType::Enum))
        || matches!(column.converted_type(), ConvertedType::UTF8 | ConvertedType::ENUM)
}

fn names(schema: &SchemaDescriptor) -> Vec<String> {
    let mut names: Vec<String> =
        schema.columns().iter().map(|column| column.path().parts()[0].clone()).collect();
    names.dedup();
    names
}

/// The first few of `names`, for a sentence.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
