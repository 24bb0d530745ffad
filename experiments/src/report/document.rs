//! What a report says, free of how it looks: sections write a [`Document`], [`super::html`] and [`super::markdown`]
//! print it. So both formats say the same, and neither is assembled from strings.

use archaeo_plot::{Chart, Width};

use super::claims::Claim;

/// A whole report.
#[derive(Debug)]
pub(super) struct Document {
    pub title: String,
    pub lead: Text,
    /// The few numbers to know first: name, value.
    pub facts: Vec<(String, Text)>,
    pub sections: Vec<Section>,
}

/// One chapter, with an entry in the table of contents.
#[derive(Debug)]
pub(super) struct Section {
    /// Anchor, unique in the document.
    pub id: &'static str,
    pub title: &'static str,
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Debug)]
pub(super) enum Block {
    Paragraph(Text),
    List(Vec<Text>),
    /// What was found: the summary.
    Claims(Vec<Claim>),
    /// Terms with their explanation.
    Definitions(Vec<(String, Text)>),
    Table(Table),
    Figure(Figure),
    Gallery(Gallery),
    /// Verbatim text that is folded away until asked for.
    Listing {
        title: String,
        text: String,
    },
    /// A table too long to stand open.
    Folded {
        title: String,
        table: Table,
    },
}

/// Rows of cells; the first column names the row.
#[derive(Debug)]
pub(super) struct Table {
    pub caption: Text,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Text>>,
}

/// Head of a column.
#[derive(Debug)]
pub(super) struct Column {
    pub title: String,
    pub kind: ColumnKind,
}

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnKind {
    Words,
    /// Words that need room for a line or two.
    Prose,
    Numbers,
}

impl Column {
    pub fn words(title: impl Into<String>) -> Self {
        Self { title: title.into(), kind: ColumnKind::Words }
    }

    pub fn prose(title: impl Into<String>) -> Self {
        Self { title: title.into(), kind: ColumnKind::Prose }
    }

    pub fn numbers(title: impl Into<String>) -> Self {
        Self { title: title.into(), kind: ColumnKind::Numbers }
    }
}

/// A numbered figure.
#[derive(Debug)]
pub(super) struct Figure {
    /// What is shown, in a few words.
    pub title: String,
    /// How to read it, and how many observations it rests on.
    pub caption: Text,
    pub panels: Vec<Panel>,
    /// The numbers behind a chart, for readers who cannot see it or wants them exactly.
    pub data: Option<Table>,
}

/// One picture or chart of a figure.
#[derive(Debug)]
pub(super) enum Panel {
    Chart(DrawnChart),
    Pictures(PictureGrid),
    /// What could not be drawn, and why.
    Missing(String),
}

impl Panel {
    /// A chart, or the reason why there is none.
    pub fn chart(chart: &impl Chart) -> Self {
        let draw = || {
            let [wide, narrow] = [Width::Wide, Width::Narrow].map(|width| chart.draw(width));
            Ok(DrawnChart { description: chart.description().into(), wide: wide?, narrow: narrow? })
        };
        draw().map_or_else(
            |reason: archaeo_plot::PlotError| Self::Missing(format!("No chart: {reason}.")),
            Self::Chart,
        )
    }
}

/// A chart as `<svg>` elements of our own making, trusted as they are.
#[derive(Debug)]
pub(super) struct DrawnChart {
    /// What it shows, for readers who cannot see it.
    pub description: String,
    pub wide: String,
    /// The same for a narrow screen, with text that can be read there.
    pub narrow: String,
}

/// A file of the run folder. What is said of it is text next to it, never drawn in it.
#[derive(Debug)]
pub(super) struct Picture {
    pub path: String,
    pub alt: String,
    /// A word or two under it; empty for none.
    pub label: String,
}

impl Picture {
    pub fn new(path: impl Into<String>, alt: impl Into<String>) -> Self {
        Self { path: path.into(), alt: alt.into(), label: String::new() }
    }

    pub fn labelled(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }
}

/// Small pictures in rows.
#[derive(Debug)]
pub(super) struct PictureGrid {
    /// What the rows are and the names of the columns; `None` where the pictures of a row merely follow each other, and may wrap.
    pub columns: Option<(String, Vec<String>)>,
    pub rows: Vec<PictureRow>,
    pub legend: Option<Legend>,
}

/// One row of a grid.
#[derive(Debug)]
pub(super) struct PictureRow {
    pub name: String,
    pub pictures: Vec<Picture>,
}

/// What the colours of pictures mean.
#[derive(Clone, Debug)]
pub(super) struct Legend {
    /// What is coloured.
    pub title: String,
    /// From the lowest value to the highest, at equal steps.
    pub colors: Vec<[u8; 3]>,
    /// What the first colour and the last stand for.
    pub ends: [String; 2],
}

/// Items of some small pictures and a few lines each, that can be filtered by group.
#[derive(Debug)]
pub(super) struct Gallery {
    pub caption: Text,
    pub legend: Option<Legend>,
    /// Groups in the order of their buttons.
    pub groups: Vec<String>,
    pub items: Vec<GalleryItem>,
}

/// One item of a gallery: pictures that belong together.
#[derive(Debug)]
pub(super) struct GalleryItem {
    pub pictures: Vec<Picture>,
    /// Position in [`Gallery::groups`].
    pub group: usize,
    pub title: Text,
    pub verdicts: Vec<Verdict>,
    pub lines: Vec<Text>,
}

/// Whether an answer is correct, and what it is.
#[derive(Debug)]
pub(super) struct Verdict {
    pub correct: bool,
    pub text: Text,
}

/// Running text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Text(pub Vec<Span>);

/// A stretch of text in one style.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Span {
    Plain(String),
    Strong(String),
    Code(String),
    /// The uncertainty that follows a number: numbers and brackets only.
    Interval(String),
    Link {
        label: String,
        url: String,
    },
}

impl Text {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn plain(self, text: impl Into<String>) -> Self {
        self.with(Span::Plain(text.into()))
    }

    pub fn strong(self, text: impl Into<String>) -> Self {
        self.with(Span::Strong(text.into()))
    }

    pub fn code(self, text: impl Into<String>) -> Self {
        self.with(Span::Code(text.into()))
    }

    /// Followed by another text.
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub fn interval(self, text: impl Into<String>) -> Self {
        self.with(Span::Interval(text.into()))
    }

    pub fn link(self, label: impl Into<String>, url: impl Into<String>) -> Self {
        self.with(Span::Link { label: label.into(), url: url.into() })
    }

    fn with(mut self, span: Span) -> Self {
        self.0.push(span);
        self
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new().plain(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new().plain(text)
    }
}
