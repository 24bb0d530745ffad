//! Scores of every model in tables, and what the figures show.

use archaeo_report::document::{Block, Column, Section, Table, Text};
use archaeo_report::numbers::{Unit, counted, decimal, percent};

use super::FeaturesStudy;
use super::claims::claims;
use super::figures::{clouds, few_shot, layers, retrieved, similarity};
use super::findings::{Cloud, FeaturesFindings, ImageRoles, Learned, NeighbourScore};
use crate::report::Names;
use crate::report::method::definition;
use crate::report::names::class_name;
use crate::study::{Chapter, Study};
use crate::subjects::ModelName;

pub(super) fn chapter(findings: &FeaturesFindings, names: &Names) -> Chapter {
    let mut blocks = Vec::new();
    if let Some(roles) = &findings.roles {
        blocks.push(Block::Paragraph(format!("{}: {}.", split_of(roles), roles.how).into()));
        blocks.push(scores(findings, names));
        blocks.extend(layers(findings, names));
        blocks.extend(few_shot(findings, names));
    }
    blocks.extend(clouds(findings, names));
    blocks.extend(similarity(findings, names));
    blocks.extend(retrieved(findings, names));
    blocks.extend(of_class(findings, names));
    let section = Section { id: FeaturesStudy::ID, title: FeaturesStudy::TITLE, blocks };
    let mut chapter = Chapter::new(section, claims(findings, names));
    chapter.definitions = definitions();
    chapter.limitations = vec![
        "A t-SNE picture shows which images are close to each other. Sizes of clusters, distances between them and gaps are made by the \
         method; no claim rests on one."
            .into(),
        "A linear probe says what can be read from features, not what the model's own head uses.".into(),
    ];
    if let Some(roles) = &findings.roles {
        chapter.sample = Some(("features", roles.test.n));
    }
    if let Some(found) = learned(findings).next().map(|(_, found)| found) {
        chapter.intervals.push(("Accuracy of a probe or a vote", found.probe.accuracy.clone()));
        chapter
            .intervals
            .extend(found.few_shot.first().map(|few| ("Accuracy of few-shot probes", few.accuracy.clone())));
    }
    let estimated = findings.cka.iter().find_map(|map| map.features.known());
    chapter.intervals.extend(estimated.map(|cka| ("CKA of features", cka.clone())));
    chapter
}

fn split_of(roles: &ImageRoles) -> String {
    let [fitted, chosen, scored] =
        [&roles.training, &roles.validation, &roles.test].map(|part| counted(part.n, "image"));
    format!(
        "Probes are fitted to {fitted}, choose their penalty by {chosen} and are scored on {scored}; neighbours come from the first two"
    )
}

/// The models of which something was learned.
pub(super) fn learned(findings: &FeaturesFindings) -> impl Iterator<Item = (ModelName, &Learned)> {
    findings.models.iter().filter_map(|(name, model)| Some((name, model.learned.as_ref()?)))
}

fn scores(findings: &FeaturesFindings, names: &Names) -> Block {
    let rows = learned(findings).map(|(name, found)| {
        let model = &findings.models[name];
        let by = |scores: &[NeighbourScore], k: usize| {
            scores
                .iter()
                .find(|score| score.k == k)
                .map_or("–".into(), |score| Unit::Percent.cell(&score.score))
        };
        let trust = model.picture.as_ref().map_or("–".into(), |picture| trust_of(&picture.tsne));
        vec![
            Text::from(names.bare(name)),
            model.width.to_string().into(),
            by(&found.neighbours, 1),
            by(&found.neighbours, 5),
            by(&found.neighbours, 20),
            Unit::Percent.cell(&found.probe.accuracy),
            by(&found.retrieval, 5),
            percent(found.usual).into(),
            trust.into(),
        ]
    });
    let columns = [
        "Features",
        "1 neighbour",
        "5",
        "20",
        "Linear probe",
        "Precision at 5",
        "Most common class",
        "t-SNE trust",
    ];
    Block::Table(Table {
        caption: "What neighbours and a linear probe read from what each head reads. Intervals are over test images.".into(),
        columns: [Column::words("Model")].into_iter().chain(columns.map(Column::numbers)).collect(),
        rows: rows.collect(),
    })
}

fn trust_of(cloud: &Cloud) -> String {
    decimal(cloud.trust.trustworthiness, 3)
}

fn of_class(findings: &FeaturesFindings, names: &Names) -> Option<Block> {
    let models: Vec<(ModelName, &Learned)> = learned(findings).collect();
    let (_, first) = models.first()?;
    let k = first.neighbours.last()?.k;
    let rows = (0..findings.classes.len()).filter(|&class| first.of_class[class].is_some()).map(|class| {
        let cells = models.iter().map(|(_, found)| {
            found.of_class[class].as_ref().map_or("–".into(), |estimate| Unit::Percent.cell(estimate))
        });
        [class_name(&findings.classes, class).into()].into_iter().chain(cells).collect()
    });
    let columns = models.iter().map(|(name, _)| Column::numbers(names.bare(*name)));
    Some(Block::Folded {
        title: format!("Accuracy of the vote of {k} neighbours on each class"),
        table: Table {
            caption: "Share of the images of each class; intervals hold for all classes of a model at once."
                .into(),
            columns: [Column::words("Class")].into_iter().chain(columns).collect(),
            rows: rows.collect(),
        },
    })
}

fn definitions() -> Vec<(String, Text)> {
    vec![
        definition(
            "k-NN of features",
            "Features of unit length; each of the k most similar images to learn from votes for its class with weight \
             softmax(cosine / 0.07) over the 20 most similar. Of equal similarities the first image counts, of equal votes the first \
             class.",
            &[
                ("Caron et al. 2021", "https://arxiv.org/abs/2104.14294"),
                ("Oquab et al. 2024", "https://arxiv.org/abs/2304.07193"),
            ],
        ),
        definition(
            "Linear probe",
            "Multinomial logistic regression on standardised features, fitted by L-BFGS; the penalty on the squared weights is the one \
             of seven, from 10 to 0.00001, under which most validation images are right, and test images choose nothing.",
            &[("Alain & Bengio 2017", "https://arxiv.org/abs/1610.01644")],
        ),
        definition(
            "CKA",
            "Centred kernel alignment of linear kernels with the unbiased estimator of HSIC, whose mean is 0 for unrelated \
             representations whatever their width. Intervals are from a jackknife over 20 groups of images.",
            &[
                ("Kornblith et al. 2019", "https://arxiv.org/abs/1905.00414"),
                ("Nguyen et al. 2021", "https://arxiv.org/abs/2010.15327"),
            ],
        ),
        definition(
            "Trustworthiness and continuity",
            "Of a picture of points: how far the 12 nearest points of each are among the nearest in the features, and the other way \
             round, by the ranks of those that are not. 1 is perfect; random points have about one half.",
            &[("Venna & Kaski 2001", "https://doi.org/10.1007/3-540-44668-0_68")],
        ),
        definition(
            "t-SNE",
            "Points whose heavy-tailed similarities match those of the features, with a start at the first two principal components and \
             nothing random.",
            &[
                ("van der Maaten & Hinton 2008", "https://jmlr.org/papers/v9/vandermaaten08a.html"),
                ("Kobak & Berens 2019", "https://doi.org/10.1038/s41467-019-13056-x"),
            ],
        ),
    ]
}
