//! Scores, curves over depth and over labels, clouds of points, similarity of layers, and images that features take for alike.

use archaeo_analysis::features::layers::Pooling;
use archaeo_plot::{
    Axis, LineChart, LineSeries, MatrixChart, Scale, Scatter, ScatterSeries, Uncertainty, ValueFormat,
};
use archaeo_report::document::{
    Block, Column, Figure, Panel, Picture, PictureGrid, PictureRow, Section, Table, Text,
};
use archaeo_report::numbers::{Unit, counted, decimal, percent};

use super::FeaturesStudy;
use super::claims::claims;
use super::findings::{CkaMap, Cloud, FeaturesFindings, ImageRoles, LayerScore, Learned, NeighbourScore};
use crate::report::Names;
use crate::report::charts::point;
use crate::report::method::definition;
use crate::report::names::{capitalised, class_name};
use crate::study::{Chapter, Study};
use crate::subjects::ModelName;

/// Above this many classes, points of a picture are not told apart by their class.
const MOST_COLOURED: usize = 24;

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

fn learned(findings: &FeaturesFindings) -> impl Iterator<Item = (ModelName, &Learned)> {
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

/// One curve per model where there are several, and else one for each thing that is read.
fn layers(findings: &FeaturesFindings, names: &Names) -> Option<Block> {
    let several = learned(findings).count() > 1;
    let depth = |scores: &[LayerScore], layer: &str| {
        let mut layers: Vec<&str> = scores.iter().map(|score| score.layer.as_str()).collect();
        layers.dedup();
        let place = layers.iter().position(|known| *known == layer).unwrap_or(0);
        place as f64 / (layers.len() - 1).max(1) as f64
    };
    let curve = |name: String, scores: &[LayerScore], pooling: Pooling| LineSeries {
        name,
        points: (scores.iter().filter(|score| score.pooling == pooling))
            .filter_map(|score| point(depth(scores, &score.layer), &score.accuracy))
            .collect(),
    };
    let series: Vec<LineSeries> = learned(findings)
        .flat_map(|(name, found)| {
            let poolings: &[Pooling] = match several {
                true => &[Pooling::PatchMean],
                false => &[Pooling::ClassToken, Pooling::PatchMean, Pooling::Both],
            };
            let called = |pooling: Pooling| match several {
                true => names.bare(name).to_owned(),
                false => pooling.title().to_owned(),
            };
            poolings
                .iter()
                .map(move |&pooling| curve(called(pooling), &found.layers, pooling))
                .collect::<Vec<_>>()
        })
        .filter(|series| !series.points.is_empty())
        .collect();
    if series.is_empty() {
        return None;
    }
    let chart = LineChart {
        title: "What a linear layer reads from each layer".into(),
        description: "Accuracy of a linear probe of each layer, from the input to the last block".into(),
        x: Axis::new("depth (share of the blocks)", Scale::Percent),
        y: Axis::new("accuracy", Scale::Percent),
        series,
        uncertainty: Uncertainty::Band,
    };
    let rows = learned(findings).flat_map(|(name, found)| {
        found.layers.iter().map(move |score| {
            vec![
                Text::from(names.bare(name)),
                score.layer.clone().into(),
                score.pooling.title().into(),
                Unit::Percent.cell(&score.accuracy),
            ]
        })
    });
    let data = Table {
        caption: "Accuracy of a linear probe of each layer.".into(),
        columns: ["Model", "Layer", "Reads"]
            .map(Column::words)
            .into_iter()
            .chain([Column::numbers("Accuracy")])
            .collect(),
        rows: rows.collect(),
    };
    Some(Block::Figure(Figure {
        title: "Linear probes by depth.".into(),
        caption: "Each point is a probe of one layer, of the mean of its patches or of what the curve says; bands are intervals over \
                  test images. A class that can be read early needs no deep features."
            .into(),
        panels: vec![Panel::chart(&chart)],
        data: Some(data),
    }))
}

fn few_shot(findings: &FeaturesFindings, names: &Names) -> Option<Block> {
    let curves: Vec<(ModelName, &Learned)> =
        learned(findings).filter(|(_, found)| found.few_shot.len() > 1).collect();
    if curves.is_empty() {
        return None;
    }
    let series = curves.iter().map(|(name, found)| LineSeries {
        name: names.bare(*name).into(),
        points: found.few_shot.iter().filter_map(|few| point(few.shots as f64, &few.accuracy)).collect(),
    });
    let chart = LineChart {
        title: "Accuracy from a few labels".into(),
        description: "Accuracy of a linear probe by the number of labelled images per class".into(),
        x: Axis::new("labelled images per class", Scale::Log10),
        y: Axis::new("accuracy", Scale::Percent),
        series: series.collect(),
        uncertainty: Uncertainty::Whiskers,
    };
    let rows = curves.iter().flat_map(|(name, found)| {
        found.few_shot.iter().map(|few| {
            vec![
                Text::from(names.bare(*name)),
                few.shots.to_string().into(),
                Unit::Percent.cell(&few.accuracy),
                few.deviation.map_or("–".into(), |deviation| Unit::Points.bare(deviation).into()),
            ]
        })
    });
    let draws = curves[0].1.few_shot[0].accuracy.n;
    let data = Table {
        caption: "Accuracy of few-shot probes; the standard deviation over draws is in points.".into(),
        columns: [Column::words("Model")]
            .into_iter()
            .chain(["Per class", "Accuracy", "Standard deviation"].map(Column::numbers))
            .collect(),
        rows: rows.collect(),
    };
    Some(Block::Figure(Figure {
        title: "Linear probes of a few images.".into(),
        caption: format!(
            "Means over {} of the images of each class; whiskers are Student's t intervals over draws. The validation images choose the \
             penalty.",
            counted(draws, "draw")
        )
        .into(),
        panels: vec![Panel::chart(&chart)],
        data: Some(data),
    }))
}

fn clouds(findings: &FeaturesFindings, names: &Names) -> Option<Block> {
    let panels: Vec<Panel> = findings
        .models
        .iter()
        .filter_map(|(name, model)| Some((name, model.picture.as_ref()?)))
        .flat_map(|(name, picture)| {
            let called = capitalised(&names.the(name));
            let axes = ["first component", "second component"];
            [
                cloud(
                    &format!("{called}: t-SNE"),
                    &picture.tsne,
                    &picture.labels,
                    ["", ""],
                    &findings.classes,
                ),
                cloud(
                    &format!("{called}: principal components"),
                    &picture.pca,
                    &picture.labels,
                    axes,
                    &findings.classes,
                ),
            ]
        })
        .collect();
    let first = findings.models.values().find_map(|model| model.picture.as_ref())?;
    let explained: Vec<String> = findings
        .models
        .iter()
        .filter_map(|(name, model)| Some((name, model.picture.as_ref()?)))
        .map(|(name, picture)| {
            format!("{} for {}", percent(picture.explained[0] + picture.explained[1]), names.the(name))
        })
        .collect();
    Some(Block::Figure(Figure {
        title: "Test images as points.".into(),
        caption: format!(
            "{} by what the head reads; colour and shape are the class. t-SNE with perplexity {} from a start at the principal \
             components, which hold {} of the variance. A picture is no evidence: each has its trustworthiness and continuity for {} \
             neighbours in its title.",
            capitalised(&counted(first.tsne.points.len(), "image")),
            decimal(first.perplexity, 0),
            explained.join(", "),
            first.tsne.trust.k
        )
        .into(),
        panels,
        data: None,
    }))
}

fn cloud(title: &str, cloud: &Cloud, labels: &[usize], axes: [&str; 2], classes: &[String]) -> Panel {
    let point = |[x, y]: [f32; 2]| (f64::from(x), f64::from(y));
    let coloured = !labels.is_empty() && classes.len() <= MOST_COLOURED;
    let series = match coloured {
        false => {
            vec![ScatterSeries {
                name: "images".into(),
                points: cloud.points.iter().copied().map(point).collect(),
            }]
        }
        true => (0..classes.len())
            .map(|class| ScatterSeries {
                name: class_name(classes, class),
                points: (cloud.points.iter().zip(labels).filter(|(_, label)| **label == class))
                    .map(|(at, _)| point(*at))
                    .collect(),
            })
            .filter(|series| !series.points.is_empty())
            .collect(),
    };
    let trust = cloud.trust;
    Panel::chart(&Scatter {
        title: format!(
            "{title} (trust {}, continuity {})",
            decimal(trust.trustworthiness, 3),
            decimal(trust.continuity, 3)
        ),
        description: format!("{title} of {}", counted(cloud.points.len(), "image")),
        x: Axis::new(axes[0], Scale::Linear),
        y: Axis::new(axes[1], Scale::Linear),
        series,
        identity: false,
    })
}

fn similarity(findings: &FeaturesFindings, names: &Names) -> Option<Block> {
    let n = findings.cka.first()?.n;
    Some(Block::Figure(Figure {
        title: "Similarity of layers.".into(),
        caption: format!(
            "Unbiased linear CKA of the mean of the patches of every two layers, and of what the heads read (the last row and column), on \
             {}. 1: the same up to a rotation and a scale; 0: unrelated. An empty cell: the layer is the same for all images.",
            counted(n, "test image")
        )
        .into(),
        panels: findings.cka.iter().map(|map| matrix(map, names)).collect(),
        data: None,
    }))
}

fn matrix(map: &CkaMap, names: &Names) -> Panel {
    let [first, second] = map.models.map(|name| names.the(name));
    let title = match map.models[0] == map.models[1] {
        true => format!("Layers of {first}"),
        false => format!("Layers of {first} and of {second}"),
    };
    Panel::chart(&MatrixChart {
        description: format!("{title}: CKA of every two"),
        title,
        row_label: names.bare(map.models[0]).into(),
        column_label: names.bare(map.models[1]).into(),
        value_label: "CKA".into(),
        rows: map.rows.clone(),
        columns: map.columns.clone(),
        values: map.values.clone(),
        format: ValueFormat::Decimals(2),
        range: Some((0.0, 1.0)),
    })
}

fn retrieved(findings: &FeaturesFindings, names: &Names) -> Option<Block> {
    let rows: Vec<PictureRow> = learned(findings)
        .flat_map(|(model, found)| found.retrieved.iter().map(move |row| (model, row)))
        .filter(|(_, row)| !row.picture.is_empty())
        .map(|(model, row)| {
            let class = |label: usize| class_name(&findings.classes, label);
            let query = Picture::new(&row.picture, format!("A test image of class {}", class(row.label)));
            let near = row.nearest.iter().map(|near| {
                let alt = format!("A similar image of class {}", class(near.label));
                Picture::new(&near.picture, alt).labelled(format!(
                    "{} {}",
                    class(near.label),
                    decimal(f64::from(near.similarity), 2)
                ))
            });
            PictureRow {
                name: names.bare(model).into(),
                pictures: [query.labelled(class(row.label))].into_iter().chain(near).collect(),
            }
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    Some(Block::Figure(Figure {
        title: "Images that features take for alike.".into(),
        caption: "A test image first, then the most similar of the images to learn from, each with its class and the cosine of the \
                  angle between their features."
            .into(),
        panels: vec![Panel::Pictures(PictureGrid { columns: None, rows, legend: None })],
        data: None,
    }))
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
