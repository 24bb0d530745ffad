//! Pictures on the page: grids, galleries, what their colours mean, and the view that enlarges them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::super::document::{Gallery, GalleryItem, Kind, Legend, Picture, PictureGrid};
use super::{Writer, text};

/// The enlarged view, which the script fills with an item's pictures and their text.
pub fn lightbox() -> Markup {
    html! {
        dialog #zoom aria-label="Enlarged pictures" {
            div.bar {
                button.previous type="button" { "← Previous" }
                span.place aria-live="polite" {}
                button.next type="button" { "Next →" }
                form method="dialog" { button { "Close" } }
            }
            div.shots {}
            div.said {}
            p.by-hand {}
            div.colours {}
        }
    }
}

impl Writer<'_> {
    pub fn picture_grid(&self, grid: &PictureGrid) -> Markup {
        html! {
            div {
            @match &grid.columns {
                Some((corner, columns)) => div.table role="group" tabindex="0" aria-label="Pictures, scroll sideways where they are wide" {
                    table.pictures {
                        thead {
                            tr {
                                th scope="col" { (corner) }
                                @for column in columns { th scope="col" { (column) } }
                            }
                        }
                        tbody {
                            @for row in &grid.rows {
                                tr {
                                    th scope="row" { (row.name) }
                                    @for picture in &row.pictures { td { (self.single(picture)) } }
                                    @for _ in row.pictures.len()..columns.len() { td {} }
                                }
                            }
                        }
                    }
                },
                None => div.rows {
                    @for row in &grid.rows {
                        p.name { (row.name) }
                        div.strip { @for picture in &row.pictures { (self.single(picture)) } }
                    }
                },
            }
            @if !grid.kinds.is_empty() { (kinds(&grid.kinds)) }
            @if let Some(legend) = &grid.legend { (self::legend(legend)) }
            }
        }
    }

    /// A picture by itself, to be enlarged.
    fn single(&self, picture: &Picture) -> Markup {
        html! { div.item { div.shots { (self.shot(picture)) } } }
    }

    fn shot(&self, Picture { path, alt, label, frame, in_lab }: &Picture) -> Markup {
        html! {
            div.shot.framed[frame.is_some()] style=[frame.map(|color| format!("--kind:{}", hex(color)))] data-lab=[in_lab.as_deref()] {
                (self.picture(path, alt))
                @if !label.is_empty() { span.label { (label) } }
            }
        }
    }

    fn picture(&self, path: &str, alt: &str) -> Markup {
        let Some(bytes) = (self.pictures)(path) else {
            return html! { p.missing { "The picture " code { (path) } " is missing from the run folder." } };
        };
        // A file that is not a picture would show as a broken one; better to say so.
        let Ok(format) = image::guess_format(&bytes) else {
            return html! { p.missing { "The file " code { (path) } " is not a picture." } };
        };
        let size =
            image::ImageReader::with_format(std::io::Cursor::new(&bytes), format).into_dimensions().ok();
        let source = format!("data:{};base64,{}", format.to_mime_type(), STANDARD.encode(&bytes));
        html! {
            img src=(source) alt=(alt) width=[size.map(|s| s.0)] height=[size.map(|s| s.1)];
        }
    }

    pub fn gallery(&mut self, gallery: &Gallery) -> Markup {
        self.galleries += 1;
        let name = format!("gallery-{}", self.galleries);
        let in_group = |group: usize| gallery.items.iter().filter(|item| item.group == group).count();
        let groups = (0..gallery.groups.len()).filter(|group| in_group(*group) > 0);
        html! {
            div.gallery {
                p.caption { (text(&gallery.caption)) }
                @if let Some(legend) = &gallery.legend { (self::legend(legend)) }
                @if gallery.groups.len() > 1 {
                    fieldset {
                        legend { "Show" }
                        input.choose-all type="radio" name=(name) id={ (name) "-all" } checked;
                        label for={ (name) "-all" } { "All " span.number { (gallery.items.len()) } }
                        @for group in groups {
                            input class={ "choose-" (group) } type="radio" name=(name) id={ (name) "-" (group) };
                            label for={ (name) "-" (group) } { (gallery.groups[group]) " " span.number { (in_group(group)) } }
                        }
                    }
                }
                div.grid { @for item in &gallery.items { (self.gallery_item(item)) } }
            }
        }
    }

    fn gallery_item(&self, item: &GalleryItem) -> Markup {
        html! {
            figure class={ "item group-" (item.group) } {
                div.shots { @for picture in &item.pictures { (self.shot(picture)) } }
                figcaption {
                    p.name { (text(&item.title)) }
                    @for verdict in &item.verdicts {
                        p.verdict.correct[verdict.correct].wrong[!verdict.correct] {
                            span.mark aria-hidden="true" { (if verdict.correct { "✓" } else { "✗" }) }
                            " " (text(&verdict.text))
                        }
                    }
                    @for line in &item.lines { p { (text(line)) } }
                }
            }
        }
    }
}

fn legend(Legend { title, colors, ends: [low, high] }: &Legend) -> Markup {
    let stops: Vec<String> = colors.iter().copied().map(hex).collect();
    html! {
        p.legend {
            span { (title) ": " (low) " " }
            span.ramp aria-hidden="true" style={ "background:linear-gradient(90deg," (stops.join(",")) ")" } {}
            span { " " (high) }
        }
    }
}

fn kinds(kinds: &[Kind]) -> Markup {
    html! {
        ul.kinds {
            @for Kind { name, color } in kinds {
                li { span.swatch aria-hidden="true" style={ "--kind:" (hex(*color)) } {} (name) }
            }
        }
    }
}

fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}
