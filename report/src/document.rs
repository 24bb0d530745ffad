//! The contents of a report, independent of its appearance: sections write a [`Document`], [`html`](crate::html) and
//! [`markdown`](crate::markdown) print it. So both formats say the same, and neither is assembled from strings.

use archaeo_plot::{Chart, ChartNumbers, Width};

/// A whole report.
#[derive(Debug)]
pub struct Document {
    /// What it is, such as `report of an investigation`.
    pub kind: &'static str,
    /// Its title.
    pub title: String,
    /// What it is about, in a sentence or two.
    pub lead: Text,
    /// The few numbers to know first: name, value.
    pub facts: Vec<(String, Text)>,
    /// Its chapters.
    pub sections: Vec<Section>,
    /// How they are put together on paper; as they stand where nothing is said.
    pub parts: Vec<Part>,
}

/// Chapters that belong together on paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its title.
    pub title: &'static str,
    /// Anchors of its chapters; one that is not there is left out.
    pub sections: Vec<&'static str>,
}

/// One chapter, with an entry in the table of contents.
#[derive(Debug)]
pub struct Section {
    /// Anchor, unique in the document.
    pub id: &'static str,
    /// Title.
    pub title: &'static str,
    /// Contents, from top to bottom.
    pub blocks: Vec<Block>,
}

impl Section {
    /// A section that holds nothing.
    pub fn empty() -> Self {
        Self { id: "", title: "", blocks: Vec::new() }
    }
}

/// A piece of a section.
#[derive(Debug)]
pub enum Block {
    /// Heading of a part of the section, such as the name of a model.
    Heading(String),
    /// Running text.
    Paragraph(Text),
    /// Points.
    List(Vec<Text>),
    /// What was found: the summary.
    Claims(Vec<Claim>),
    /// Terms with their explanation.
    Definitions(Vec<(String, Text)>),
    /// A numbered table.
    Table(Table),
    /// As [`Block::Table`], but on paper it belongs to the appendix: a figure or another table says the same in short.
    Appendix(Table),
    /// A numbered figure.
    Figure(Figure),
    /// Many pictures.
    Gallery(Gallery),
    /// Verbatim text, folded until opened.
    Listing {
        /// Text shown while folded.
        title: String,
        /// The text.
        text: String,
    },
    /// A long table, folded until opened.
    Folded {
        /// Text shown while folded.
        title: String,
        /// The table.
        table: Table,
    },
}

/// One finding in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Anchor of the section that shows the numbers.
    pub section: &'static str,
    /// What the claim is about, in a word or two.
    pub topic: &'static str,
    /// The finding in one sentence.
    pub statement: String,
    /// The numbers that it rests on.
    pub evidence: String,
}

/// Rows of cells; the first column names the row.
#[derive(Debug)]
pub struct Table {
    /// What is shown, and of how many.
    pub caption: Text,
    /// Heads of the columns.
    pub columns: Vec<Column>,
    /// Cells, row by row.
    pub rows: Vec<Vec<Text>>,
}

/// Head of a column.
#[derive(Debug)]
pub struct Column {
    /// Title.
    pub title: String,
    /// How it is set.
    pub kind: ColumnKind,
}

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Words, which do not break.
    Words,
    /// Words that need room for a line or two.
    Prose,
    /// Numbers, set to the right.
    Numbers,
}

impl Column {
    /// A column of words.
    pub fn words(title: impl Into<String>) -> Self {
        Self { title: title.into(), kind: ColumnKind::Words }
    }

    /// A column of text.
    pub fn prose(title: impl Into<String>) -> Self {
        Self { title: title.into(), kind: ColumnKind::Prose }
    }

    /// A column of numbers.
    pub fn numbers(title: impl Into<String>) -> Self {
        Self { title: title.into(), kind: ColumnKind::Numbers }
    }
}

/// A numbered figure.
#[derive(Debug)]
pub struct Figure {
    /// What is shown, in a few words.
    pub title: String,
    /// How to read it, and how many observations it rests on.
    pub caption: Text,
    /// Its pictures and charts.
    pub panels: Vec<Panel>,
    /// The numbers behind a chart, for readers who cannot see it or wants them exactly.
    pub data: Option<Table>,
}

/// One picture or chart of a figure.
#[derive(Debug)]
pub enum Panel {
    /// A chart.
    Chart(DrawnChart),
    /// Pictures of the run folder.
    Pictures(PictureGrid),
    /// What could not be drawn, and why.
    Missing(String),
}

impl Panel {
    /// A chart, or the reason why there is none.
    pub fn chart(chart: &impl Chart) -> Self {
        let draw = || {
            let [wide, narrow] = [Width::Wide, Width::Narrow].map(|width| chart.draw(width));
            let numbers = chart.numbers();
            Ok(DrawnChart { description: chart.description().into(), wide: wide?, narrow: narrow?, numbers })
        };
        draw().map_or_else(
            |reason: archaeo_plot::PlotError| Self::Missing(format!("No chart: {reason}.")),
            Self::Chart,
        )
    }
}

/// A chart as `<svg>` elements of our own making, trusted as they are.
#[derive(Debug)]
pub struct DrawnChart {
    /// What it shows, for readers who cannot see it.
    pub description: String,
    /// For a wide screen and for paper.
    pub wide: String,
    /// The same for a narrow screen, with text that can be read there.
    pub narrow: String,
    /// The numbers that it draws.
    pub numbers: ChartNumbers,
}

/// A file of the run folder. Its description is text next to it, never drawn in it.
#[derive(Debug)]
pub struct Picture {
    /// Its path within the run folder.
    pub path: String,
    /// What it shows, for readers who cannot see it.
    pub alt: String,
    /// A word or two under it; empty for none.
    pub label: String,
    /// The colour of its frame, one of [`PictureGrid::kinds`]; `None` for no frame.
    pub frame: Option<[u8; 3]>,
    /// Where the lab shows the image, as `archaeo lab --at` takes it; `None` where it does not.
    pub in_lab: Option<String>,
}

impl Picture {
    /// The picture at `path`, which shows what `alt` says.
    pub fn new(path: impl Into<String>, alt: impl Into<String>) -> Self {
        Self { path: path.into(), alt: alt.into(), label: String::new(), frame: None, in_lab: None }
    }

    /// In a frame of this colour.
    pub fn framed(self, color: [u8; 3]) -> Self {
        Self { frame: Some(color), ..self }
    }

    /// Of an image that the lab shows at this place.
    pub fn in_lab(self, place: impl Into<String>) -> Self {
        Self { in_lab: Some(place.into()), ..self }
    }

    /// With a word or two under it.
    pub fn labelled(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }
}

/// Small pictures in rows.
#[derive(Debug)]
pub struct PictureGrid {
    /// What the rows are and the names of the columns; `None` where the pictures of a row merely follow each other, and may wrap.
    pub columns: Option<(String, Vec<String>)>,
    /// The rows.
    pub rows: Vec<PictureRow>,
    /// What the colours mean.
    pub legend: Option<Legend>,
    /// What the colours of frames mean.
    pub kinds: Vec<Kind>,
}

/// What a colour of frames means. The label of a picture says the same in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// In words.
    pub name: String,
    /// The colour.
    pub color: [u8; 3],
}

/// One row of a grid.
#[derive(Debug)]
pub struct PictureRow {
    /// What stands before it.
    pub name: String,
    /// Its pictures.
    pub pictures: Vec<Picture>,
}

/// What the colours of pictures mean.
#[derive(Clone, Debug)]
pub struct Legend {
    /// What is coloured.
    pub title: String,
    /// From the lowest value to the highest, at equal steps.
    pub colors: Vec<[u8; 3]>,
    /// What the first colour and the last stand for.
    pub ends: [String; 2],
}

/// Items of some small pictures and a few lines each, that can be filtered by group.
#[derive(Debug)]
pub struct Gallery {
    /// What is shown, and of how many.
    pub caption: Text,
    /// What the colours mean.
    pub legend: Option<Legend>,
    /// Groups in the order of their buttons.
    pub groups: Vec<String>,
    /// The pictures.
    pub items: Vec<GalleryItem>,
}

/// One item of a gallery: pictures that belong together.
#[derive(Debug)]
pub struct GalleryItem {
    /// The pictures.
    pub pictures: Vec<Picture>,
    /// Position in [`Gallery::groups`].
    pub group: usize,
    /// What stands under them first.
    pub title: Text,
    /// Verdict on each prediction.
    pub verdicts: Vec<Verdict>,
    /// What follows.
    pub lines: Vec<Text>,
}

/// A prediction, and whether it is correct.
#[derive(Debug)]
pub struct Verdict {
    /// Whether it is correct.
    pub correct: bool,
    /// What it is.
    pub text: Text,
}

/// Running text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text(
    /// Its stretches.
    pub Vec<Span>,
);

/// A stretch of text in one style.
#[derive(Clone, Debug, PartialEq)]
pub enum Span {
    /// As it is.
    Plain(String),
    /// Emphasised.
    Strong(String),
    /// Verbatim.
    Code(String),
    /// The uncertainty that follows a number: numbers and brackets only.
    Interval(String),
    /// A link.
    Link {
        /// What is read.
        label: String,
        /// Where it leads.
        url: String,
    },
}

impl Text {
    /// No text yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Followed by text as it is.
    pub fn plain(self, text: impl Into<String>) -> Self {
        self.with(Span::Plain(text.into()))
    }

    /// Followed by emphasised text.
    pub fn strong(self, text: impl Into<String>) -> Self {
        self.with(Span::Strong(text.into()))
    }

    /// Followed by verbatim text.
    pub fn code(self, text: impl Into<String>) -> Self {
        self.with(Span::Code(text.into()))
    }

    /// Followed by another text.
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Followed by the uncertainty of a number.
    pub fn interval(self, text: impl Into<String>) -> Self {
        self.with(Span::Interval(text.into()))
    }

    /// Followed by a link.
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
