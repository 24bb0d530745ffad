//! Curves over the size of images, and pictures of patches and of what one of them sees.

use archaeo_plot::{Axis, LineChart, LineSeries, Scale, Uncertainty};
use archaeo_report::document::{Block, Figure, Panel, Picture, PictureGrid, PictureRow};
use archaeo_report::numbers::{decimal, percent};

use super::super::{ModelCost, Profile, QueryPictures, SizeCost};
use super::milliseconds;
use crate::report::charts::{bare_point, point};

/// A name that a chart has room for: what sets names such as `vit_small_patch16_224` apart is often at their end.
fn short_name(name: &str) -> String {
    const ROOM: usize = 14;
    let letters: Vec<char> = name.rsplit('/').next().unwrap_or(name).chars().collect();
    match letters.len() {
        fits if fits <= ROOM => letters.into_iter().collect(),
        length => {
            let [start, end] =
                [&letters[..6], &letters[length - 7..]].map(|part| part.iter().collect::<String>());
            format!("{start}…{end}")
        }
    }
}

pub(super) fn growth(profile: &Profile) -> Block {
    let series = |of_size: &dyn Fn(&SizeCost) -> Option<archaeo_plot::Point>| -> Vec<LineSeries> {
        let of_model = |model: &ModelCost| LineSeries {
            name: short_name(&model.name),
            points: model.sizes.iter().filter_map(of_size).collect(),
        };
        profile.models.iter().map(of_model).filter(|series| !series.points.is_empty()).collect()
    };
    let side = |size: &SizeCost| size.image_size as f64;
    let chart = |title: &str, description: &str, y: Axis, series: Vec<LineSeries>| {
        Panel::chart(&LineChart {
            title: title.into(),
            description: description.into(),
            x: Axis::new("side of the image (px)", Scale::Log10),
            y,
            series,
            uncertainty: Uncertainty::Whiskers,
        })
    };
    let panels = vec![
        chart(
            "Time for one image",
            "Median time of a pass over one image against the side of the image, both logarithmic",
            Axis::new("milliseconds", Scale::Log10),
            series(&|size| point(side(size), &milliseconds(&size.latency))),
        ),
        chart(
            "Multiply-adds",
            "Multiply-adds for one image against the side of the image, both logarithmic",
            Axis::new("10⁹ multiply-adds", Scale::Log10),
            series(&|size| bare_point(side(size), size.multiply_adds as f64 / 1e9)),
        ),
        chart(
            "Share of attention’s products",
            "Share of the multiply-adds that grows with the square of the tokens",
            Axis::new("share of multiply-adds", Scale::Percent).including(0.0, 0.0),
            series(&|size| bare_point(side(size), size.attention_share())),
        ),
    ];
    Block::Figure(Figure {
        title: "Growth with resolution.".into(),
        caption: "Full attention compares every token with every other, so that its products grow with the square of the number of \
                  pixels; within windows of fixed size, and in convolutions, everything grows with their number. On logarithmic \
                  axes a power is a straight line, steeper for a higher power."
            .into(),
        panels,
        data: None,
    })
}

pub(super) fn patches(profile: &Profile) -> Block {
    let rows = profile.patches.iter().map(|found| {
        let trusted =
            found.trust.map(|trust| format!("trustworthiness {}", decimal(trust.trustworthiness, 2)));
        let labels = [
            format!("{} patches", found.patches),
            format!("{} of the variance", percent(found.explained)),
            trusted.unwrap_or_else(|| "too few for trustworthiness".into()),
        ];
        let pictures =
            found.views.iter().zip(labels).zip(["in patches", "embeddings", "t-SNE of the embeddings"]);
        let pictures = pictures.map(|((path, label), what)| {
            Picture::new(path.clone(), format!("{}: {what}", found.model)).labelled(label)
        });
        PictureRow { name: found.model.clone(), pictures: pictures.collect() }
    });
    let columns = ["In patches", "Embeddings", "t-SNE"];
    let grid = PictureGrid {
        columns: Some(("Model".into(), columns.map(str::to_owned).to_vec())),
        rows: rows.collect(),
        legend: None,
        kinds: Vec::new(),
    };
    Block::Figure(Figure {
        title: "An image as tokens.".into(),
        caption: "Left: the image as it is cut. Middle: what the first block receives, positions included; each patch has the colour of \
                  its embedding's first three principal components, so that patches of like colour have like embeddings. Right: t-SNE \
                  of these embeddings in the same colours, which shows groups that three components do not; sizes of groups and gaps \
                  between them mean nothing. Half the side of a patch makes four times the tokens, and sixteen times the products of \
                  attention."
            .into(),
        panels: vec![Panel::Pictures(grid)],
        data: None,
    })
}

/// Of the pictures of a patch.
const COLUMNS: [&str; 4] = ["Input", "Attention of block 1", "Attention of block 2", "Reached after both"];

pub(super) fn queries(profile: &Profile) -> Block {
    let rows = profile.queries.iter().map(|query| {
        let labels = [
            "the patch that is asked about".to_owned(),
            seen(query.seen.first(), query),
            seen(query.seen.get(1), query),
            format!("by {} of {} patches", query.reached, query.patches),
        ];
        let pictures = query.views.iter().zip(labels).zip(COLUMNS).map(|((path, label), column)| {
            Picture::new(path.clone(), format!("{}: {}", query.model, column.to_lowercase())).labelled(label)
        });
        PictureRow { name: query.model.clone(), pictures: pictures.collect() }
    });
    let grid = PictureGrid {
        columns: Some(("Model".into(), COLUMNS.map(str::to_owned).to_vec())),
        rows: rows.collect(),
        legend: None,
        kinds: Vec::new(),
    };
    Block::Figure(Figure {
        title: "One patch, seen from the first two blocks.".into(),
        caption: "The framed patch's attention, mean over heads, each picture on its own scale; white lines part patches that cannot attend                   to one another. Full attention reaches the whole image in one block. Within windows a patch sees its own window; shifting                   the windows in every second block carries information across their borders. Reached: shares of the first block's patches in                   what the patch holds after both blocks, by rollout. With random weights the pattern shows structure, not content."
            .into(),
        panels: vec![Panel::Pictures(grid)],
        data: None,
    })
}

fn seen(count: Option<&usize>, query: &QueryPictures) -> String {
    count.map_or_else(String::new, |count| format!("sees {count} of {}", query.patches))
}
