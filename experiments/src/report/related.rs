//! Related methods: where the models and each quantity of the report come from, folded from the definitions of the chapters.

use archaeo_report::document::{Block, Section, Span, Text};

use super::names::Names;
use crate::findings::Investigation;
use crate::study::{AnyStudy, Chapter};

/// The paper of each family of networks.
const FAMILIES: [(&str, &str, &str); 9] = [
    ("ViT", "Dosovitskiy et al. 2021", "https://arxiv.org/abs/2010.11929"),
    ("ResNet", "He et al. 2016", "https://arxiv.org/abs/1512.03385"),
    ("Swin", "Liu et al. 2021", "https://arxiv.org/abs/2103.14030"),
    ("airbench", "Jordan 2024", "https://arxiv.org/abs/2404.00498"),
    ("CCT", "Hassani et al. 2021", "https://arxiv.org/abs/2104.05704"),
    ("BEiT", "Bao et al. 2022", "https://arxiv.org/abs/2106.08254"),
    ("CLIP", "Radford et al. 2021", "https://arxiv.org/abs/2103.00020"),
    ("EfficientViT", "Liu et al. 2023", "https://arxiv.org/abs/2305.07027"),
    ("ViT-CoMer", "Xia et al. 2024", "https://arxiv.org/abs/2403.07392"),
];

/// `None` where nothing that was used comes from a paper.
pub(super) fn section(
    investigation: &Investigation,
    chapters: &[(&dyn AnyStudy, Chapter)],
    names: &Names,
) -> Option<Section> {
    let mut entries: Vec<(String, Text)> = models(investigation, names).into_iter().collect();
    for (study, chapter) in chapters {
        let sourced: Vec<Text> =
            chapter.definitions.iter().filter_map(|(term, meaning)| of_term(term, meaning)).collect();
        if !sourced.is_empty() {
            entries.push((study.title().into(), joined(sourced)));
        }
    }
    if entries.is_empty() {
        return None;
    }
    let introduction = "What this report uses of the work of others, chapter by chapter; what each quantity is, the section on the \
                        method says.";
    let blocks = vec![Block::Paragraph(introduction.into()), Block::Definitions(entries)];
    Some(Section { id: "related", title: "Related methods", blocks })
}

fn models(investigation: &Investigation, names: &Names) -> Option<(String, Text)> {
    let mut families: Vec<&str> = Vec::new();
    for model in &investigation.models {
        let family = model.card.network.family();
        if !families.contains(&family) {
            families.push(family);
        }
    }
    let of = |family: &&str| {
        let (_, label, url) = FAMILIES.iter().find(|(known, ..)| known == family)?;
        Some(Text::from(format!("{family} (")).link(*label, *url).plain(")"))
    };
    let found: Vec<Text> = families.iter().filter_map(of).collect();
    let title = if names.models().len() > 1 { "The models" } else { "The model" };
    (!found.is_empty()).then(|| (title.into(), joined(found)))
}

/// A term with the papers that its definition names.
fn of_term(term: &str, meaning: &Text) -> Option<Text> {
    let links = meaning.0.iter().filter_map(|span| match span {
        Span::Link { label, url } => Some((label, url)),
        _ => None,
    });
    let mut text: Option<Text> = None;
    for (label, url) in links {
        text = Some(match text {
            None => Text::from(format!("{} (", lower(term))).link(label, url),
            Some(text) => text.plain("; ").link(label, url),
        });
    }
    text.map(|text| text.plain(")"))
}

/// A term within a sentence: its first letter small, unless it begins with a name or an abbreviation.
fn lower(term: &str) -> String {
    let first_word = term.split(' ').next().unwrap_or_default();
    let is_name =
        first_word.ends_with("'s") || first_word.chars().skip(1).any(|letter| !letter.is_lowercase());
    match term.chars().next() {
        Some(first) if !is_name => first.to_lowercase().chain(term.chars().skip(1)).collect(),
        _ => term.into(),
    }
}

fn joined(texts: Vec<Text>) -> Text {
    let mut all = Text::new();
    for (place, text) in texts.into_iter().enumerate() {
        all = if place == 0 { text } else { all.plain("; ").and(text) };
    }
    all.plain(".")
}

#[cfg(test)]
mod tests {
    use archaeo_models::NetworkSpec;
    use archaeo_report::bibliography;

    use super::*;

    #[test]
    fn terms_name_their_papers_within_a_sentence() {
        let meaning =
            Text::from("Counted.").link("A 2020", "https://a").plain("; ").link("B 2021", "https://b");
        let text = of_term("Expected calibration error", &meaning).unwrap();
        assert_eq!(text.0[0], Span::Plain("expected calibration error (".into()));
        assert_eq!(text.0.len(), 5);
        assert!(of_term("Accuracy", &Text::from("Counted.")).is_none());
        let unchanged = ["ROAD", "t-SNE", "McNemar's test", "Cohen's κ", "Grad-CAM"];
        assert_eq!(unchanged.map(lower), unchanged);
    }

    #[test]
    fn every_family_has_its_paper_in_the_bibliography() {
        for (family, _, url) in FAMILIES {
            assert!(bibliography::reference(url).is_some(), "{family}");
        }
        for name in NetworkSpec::names() {
            let sizes = [32, 224, 384, 512];
            let Some(network) = sizes.iter().find_map(|size| NetworkSpec::named(&name, 10, *size).ok())
            else {
                continue;
            };
            assert!(FAMILIES.iter().any(|(family, ..)| *family == network.family()), "{name}");
        }
    }
}
