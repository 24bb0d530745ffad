//! Writing SVG: elements, text metrics, and the style that lets a page choose the colours.

use std::fmt::Write;

use super::Width;

/// Colours of every chart for a page to include once, in light and dark; a page with its own switch sets the same
/// variables. A chart without them falls back to the light values, and takes text and axes from `currentColor`.
pub const THEME_CSS: &str = "\
:root{--chart-1:#0072b2;--chart-2:#c05200;--chart-3:#00846a;--chart-4:#b2508a;--chart-5:#8a6d00;--chart-6:#5b6573;\
--chart-high:#08519c;--chart-low:#a02c00;--chart-paper:#fff;--chart-ink:#1b1f26;--chart-faint:#000;--chart-full:#fff}
@media screen and (prefers-color-scheme:dark){:root{--chart-1:#5ab4f0;--chart-2:#ff9550;--chart-3:#2fc59b;--chart-4:#e79ac6;\
--chart-5:#e0c04c;--chart-6:#a0a9b5;--chart-high:#4a99d6;--chart-low:#dd783a;--chart-paper:#14171c;--chart-ink:#e4e7ec;--chart-faint:#fff;--chart-full:#000}}
";

/// Colours before they repeat: those of Okabe & Ito (2008), safe for colour-blind readers, darkened where they would
/// be too faint on white.
pub const SERIES_COLORS: usize = 6;

const STYLE: &str = "\
.archaeo-chart{display:block;width:100%;height:auto;font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\
.archaeo-chart text{fill:currentColor;font-size:12px}\
.archaeo-chart .title{font-size:14px;font-weight:600}\
.archaeo-chart .quiet{fill-opacity:.74}\
.archaeo-chart .small{font-size:11px}\
.archaeo-chart .number{font-variant-numeric:tabular-nums}\
.archaeo-chart .grid{stroke:currentColor;stroke-opacity:.13}\
.archaeo-chart .axis{stroke:currentColor;stroke-opacity:.5}\
.archaeo-chart .reference{stroke:currentColor;stroke-opacity:.6;stroke-dasharray:4 3}\
.archaeo-chart .missing{fill:none;stroke:currentColor;stroke-opacity:.2}\
.archaeo-chart .band{fill-opacity:.16}\
.archaeo-chart .bar{fill-opacity:.82}\
.archaeo-chart .soft{fill-opacity:.22}\
.archaeo-chart .dots{fill-opacity:.72}\
.archaeo-chart .curve{fill:none;stroke-width:2;stroke-linejoin:round}\
.archaeo-chart .outline{fill:none;stroke-width:1.5}\
.archaeo-chart .whisker{fill:none;stroke-width:1.5}\
.archaeo-chart .ink{fill:none;stroke:currentColor;stroke-width:1.25;stroke-opacity:.8}\
.archaeo-chart .high{fill:var(--chart-high,#08519c)}\
.archaeo-chart .low{fill:var(--chart-low,#a02c00)}\
.archaeo-chart .halo{stroke:var(--chart-paper,#fff);stroke-width:1.2}\
.archaeo-chart text.faint{fill:var(--chart-faint,#000)}\
.archaeo-chart text.full{fill:var(--chart-full,#fff)}\
.archaeo-chart .fill-1{fill:var(--chart-1,#0072b2)}.archaeo-chart .stroke-1{stroke:var(--chart-1,#0072b2)}\
.archaeo-chart .fill-2{fill:var(--chart-2,#c05200)}.archaeo-chart .stroke-2{stroke:var(--chart-2,#c05200)}\
.archaeo-chart .fill-3{fill:var(--chart-3,#00846a)}.archaeo-chart .stroke-3{stroke:var(--chart-3,#00846a)}\
.archaeo-chart .fill-4{fill:var(--chart-4,#b2508a)}.archaeo-chart .stroke-4{stroke:var(--chart-4,#b2508a)}\
.archaeo-chart .fill-5{fill:var(--chart-5,#8a6d00)}.archaeo-chart .stroke-5{stroke:var(--chart-5,#8a6d00)}\
.archaeo-chart .fill-6{fill:var(--chart-6,#5b6573)}.archaeo-chart .stroke-6{stroke:var(--chart-6,#5b6573)}";

/// How much narrower small text is than the 12 units that [`text_width`] measures.
pub const SMALL: f64 = 11.0 / 12.0;

/// Margin of a chart that is a file.
const MARGIN: f64 = 10.0;

/// A chart as a separate file: with a size, and with the colours of [`THEME_CSS`] written out for viewers without support for
/// variables. In a dark viewer it is dark, ground included, so that text and ground always go together.
pub fn svg_file(chart: &str) -> String {
    let (light, dark) = THEME_CSS.split_once("@media").expect("the theme has two parts");
    let style = |theme: &str| {
        let ground = ".archaeo-chart{color:var(--chart-ink,#000);background:var(--chart-paper,#fff)}";
        // A page stretches its charts; a file has a size.
        let own = STYLE.replacen("display:block;width:100%;height:auto;", "", 1);
        with_values(&format!("{ground}{own}"), theme)
    };
    let own = format!("<style>{}@media(prefers-color-scheme:dark){{{}}}</style>", style(light), style(dark));
    let view = chart.split("viewBox=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let size: Vec<f64> = view.split(' ').skip(2).filter_map(|side| side.parse().ok()).collect();
    let sized = match size[..] {
        [width, height] => {
            // A margin, so that no text touches the edge of the ground.
            let [width, height] = [width + 2.0 * MARGIN, height + 2.0 * MARGIN].map(coordinate);
            let attributes = format!(
                "width=\"{width}\" height=\"{height}\" viewBox=\"-{MARGIN} -{MARGIN} {width} {height}\""
            );
            chart.replacen(&format!("viewBox=\"{view}\""), &attributes, 1)
        }
        _ => chart.into(),
    };
    sized.replacen(&format!("<style>{STYLE}</style>"), &own, 1)
}

/// `style` with every variable replaced by its value in `theme`, or by its fallback.
fn with_values(style: &str, theme: &str) -> String {
    let mut pieces = style.split("var(");
    let mut written = String::from(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (variable, after) = piece.split_once(')').expect("a variable's brackets close");
        let (name, fallback) = variable.split_once(',').expect("every variable has a fallback");
        let value = theme.split_once(&format!("{name}:")).map(|(_, rest)| rest.split([';', '}']).next());
        written.push_str(value.flatten().unwrap_or(fallback));
        written.push_str(after);
    }
    written
}

/// Height of a line of 12-unit text.
pub const LINE: f64 = 15.0;

/// Where a text stands relative to its x coordinate.
#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// An SVG element under construction.
pub struct Svg {
    /// Width of the chart in its own units.
    pub width: f64,
    body: String,
}

impl Svg {
    pub fn new(width: Width) -> Self {
        Self { width: width.units(), body: String::new() }
    }

    pub fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], class: &str) {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(coordinate);
        self.push(&format!(r#"<line class="{class}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>"#));
    }

    pub fn rect(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], class: &str, opacity: Option<f64>) {
        self.push(&rect([x, y], [width, height], class, opacity, None));
    }

    /// A rectangle that names itself when pointed at or read aloud.
    pub fn titled_rect(
        &mut self,
        at: [f64; 2],
        size: [f64; 2],
        class: &str,
        opacity: Option<f64>,
        title: &str,
    ) {
        self.push(&rect(at, size, class, opacity, Some(title)));
    }

    /// A connected line, closed into an area when `closed`.
    pub fn path(&mut self, points: &[[f64; 2]], closed: bool, class: &str) {
        let mut commands = String::new();
        for (i, [x, y]) in points.iter().enumerate() {
            let command = if i == 0 { 'M' } else { 'L' };
            let _ = write!(commands, "{command}{} {}", coordinate(*x), coordinate(*y));
        }
        if closed {
            commands.push('Z');
        }
        self.push(&format!(r#"<path class="{class}" d="{commands}"/>"#));
    }

    /// The marker of a series: a shape of its own, so that colour is never the only difference.
    pub fn marker(&mut self, series: usize, [x, y]: [f64; 2], class: &str) {
        let class = format!("{} {class}", fill(series));
        match series % 4 {
            0 => self.push(&format!(
                r#"<circle class="{class}" cx="{}" cy="{}" r="3.4"/>"#,
                coordinate(x),
                coordinate(y)
            )),
            1 => self.rect([x - 3.0, y - 3.0], [6.0, 6.0], &class, None),
            2 => self.path(&[[x, y - 4.2], [x + 4.2, y], [x, y + 4.2], [x - 4.2, y]], true, &class),
            _ => self.path(&[[x, y - 3.9], [x + 3.9, y + 3.0], [x - 3.9, y + 3.0]], true, &class),
        }
    }

    pub fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let (x, y) = (coordinate(x), coordinate(y));
        self.push(&format!(r#"<text class="{class}" x="{x}" y="{y}"{anchor}>{}</text>"#, escape(text)));
    }

    /// Text that rises to the right, starting at `(x, y)`.
    pub fn rising_text(&mut self, [x, y]: [f64; 2], class: &str, text: &str) {
        let (x, y) = (coordinate(x), coordinate(y));
        self.push(&format!(
            r#"<text class="{class}" transform="translate({x} {y}) rotate(-45)">{}</text>"#,
            escape(text)
        ));
    }

    /// Lines of text below each other from the baseline `y`; the baseline after the last.
    pub fn lines(&mut self, x: f64, mut y: f64, anchor: Anchor, class: &str, lines: &[String]) -> f64 {
        for line in lines {
            self.text([x, y], anchor, class, line);
            y += LINE;
        }
        y
    }

    /// The finished element. `title` and `description` are what a screen reader says.
    pub fn finish(self, height: f64, title: &str, description: &str) -> String {
        let (width, height) = (coordinate(self.width), coordinate(height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"archaeo-chart\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" aria-label=\"{}\"><title>{}</title><desc>{}</desc><style>{STYLE}</style>\n{}</svg>\n",
            escape(title),
            escape(title),
            escape(description),
            self.body
        )
    }

    fn push(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }
}

fn rect([x, y]: [f64; 2], size: [f64; 2], class: &str, opacity: Option<f64>, title: Option<&str>) -> String {
    let [x, y] = [x, y].map(coordinate);
    let [width, height] = size.map(|side| coordinate(side.max(0.0)));
    let opacity = opacity.map_or_else(String::new, |o| format!(r#" fill-opacity="{}""#, coordinate(o)));
    let end = match title {
        Some(title) => format!("><title>{}</title></rect>", escape(title)),
        None => "/>".into(),
    };
    format!(r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}"{opacity}{end}"#)
}

/// Class that fills with a series' colour.
pub fn fill(series: usize) -> String {
    format!("fill-{}", series % SERIES_COLORS + 1)
}

/// Class that strokes with a series' colour.
pub fn stroke(series: usize) -> String {
    format!("stroke-{}", series % SERIES_COLORS + 1)
}

/// A coordinate with at most two decimals: the same text on every machine, without invisible digits.
pub fn coordinate(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Text for XML content and quoted attributes; control characters, which XML cannot hold, become `?`.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Estimated width of 12-unit text; fonts differ, so it errs on the wide side.
pub fn text_width(text: &str) -> f64 {
    let em = |character: char| match character {
        'i' | 'j' | 'l' | '\'' | '|' | '.' | ',' | ':' | ';' | '!' => 0.32,
        'f' | 't' | 'r' | ' ' | '(' | ')' | '[' | ']' | '-' | '/' => 0.40,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '−' => 0.95,
        'A'..='Z' => 0.70,
        c if c.is_ascii() => 0.62,
        c if ('\u{2e80}'..'\u{fb00}').contains(&c) => 1.05, // full-width scripts
        _ => 0.65,
    };
    12.0 * text.chars().map(em).sum::<f64>()
}

/// `text` cut to `width` with an ellipsis.
pub fn ellipsize(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.into();
    }
    let mut kept = String::new();
    for character in text.chars() {
        if text_width(&kept) + text_width(&character.to_string()) + 11.0 > width {
            break;
        }
        kept.push(character);
    }
    format!("{}…", kept.trim_end())
}

/// `text` broken at spaces into at most `most` lines of `width`; what does not fit ends in an ellipsis.
pub fn wrap(text: &str, width: f64, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let full = lines.len() == most;
        match lines.last_mut() {
            Some(line) if full || text_width(line) + text_width(" ") + text_width(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines.iter().map(|line| ellipsize(line, width)).collect()
}
