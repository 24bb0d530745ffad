//! The page of a profile.

use std::path::Path;

use archaeo_analysis::statistics::{Estimate, Measured, PowerLaw};
use archaeo_plot::{Axis, LineChart, LineSeries, Scale, Uncertainty};
use archaeo_report::document::{
    Block, Column, Document, Figure, Panel, Picture, PictureGrid, PictureRow, Section, Table, Text,
};
use archaeo_report::evidence::{Side, apart, side};
use archaeo_report::numbers::{Unit, count, counted, decimal, percent};
use archaeo_store::StoreError;

use super::{ModelCost, Profile, QueryPictures, SizeCost};
use crate::report::charts::{bare_point, point};
use crate::report::{Claim, write_document};

/// Writes `report.html`, `report.md` and the charts that the latter links to into `folder`.
///
/// # Errors
/// A folder that cannot be written.
pub fn write(profile: &Profile, folder: &Path) -> Result<(), StoreError> {
    write_document(&document(profile), folder)
}

fn document(profile: &Profile) -> Document {
    let mut cost = vec![Block::Claims(claims(profile)), Block::Table(costs(profile))];
    if profile.models.iter().any(|model| model.random_weights) {
        let random =
            "Models named without weights have random ones: time and memory do not depend on their values.";
        cost.push(Block::Paragraph(random.into()));
    }
    let mut sections = vec![Section { id: "cost", title: "What an answer costs", blocks: cost }];
    if profile.models.iter().any(|model| model.sizes.len() > 1) {
        let blocks = vec![growth_figure(profile), Block::Table(growth_table(profile))];
        sections.push(Section { id: "growth", title: "How cost grows with resolution", blocks });
    }
    if !profile.patches.is_empty() {
        let blocks = vec![patches(profile)];
        sections.push(Section { id: "patches", title: "From image to tokens", blocks });
    }
    if !profile.queries.is_empty() {
        let blocks = vec![queries(profile)];
        sections.push(Section { id: "windows", title: "What one patch sees", blocks });
    }
    let method = Section { id: "method", title: "Method", blocks: vec![definitions(profile)] };
    sections.push(method);
    let names: Vec<&str> = profile.models.iter().map(|model| model.name.as_str()).collect();
    let environment = &profile.environment;
    Document {
        title: format!("The cost of {}", names.join(", ")),
        lead: format!(
            "Forward passes in {} on {}, {}; version {} (commit {}).",
            profile.precision,
            environment.processor,
            counted(environment.threads, "thread"),
            environment.version,
            environment.commit,
        )
        .into(),
        facts: vec![("Models".into(), count(names.len()).into())],
        sections,
    }
}

fn claim(statement: String, evidence: String) -> Claim {
    Claim { section: "cost", topic: "Cost", statement, evidence }
}

/// `4.61 G`.
fn amount(number: f64) -> String {
    match number {
        few if few < 1e9 => format!("{}\u{a0}M", decimal(few / 1e6, 2)),
        many => format!("{}\u{a0}G", decimal(many / 1e9, 2)),
    }
}

fn milliseconds(seconds: &Estimate) -> Estimate {
    let Estimate { value, low, high, .. } = *seconds;
    Estimate { value: 1e3 * value, low: 1e3 * low, high: 1e3 * high, ..seconds.clone() }
}

fn mebibytes(bytes: Option<usize>) -> Text {
    bytes.map_or_else(|| "–".into(), |bytes| decimal(bytes as f64 / f64::from(1 << 20), 1).into())
}

/// Which of two models is faster where, and what attention does to the cost.
fn claims(profile: &Profile) -> Vec<Claim> {
    let pairs = profile
        .models
        .iter()
        .enumerate()
        .flat_map(|(place, first)| profile.models[place + 1..].iter().map(move |second| (first, second)));
    let mut claims: Vec<Claim> = pairs.map(|(first, second)| compared(first, second)).collect();
    claims.extend(profile.models.iter().filter_map(grown));
    claims
}

fn compared(first: &ModelCost, second: &ModelCost) -> Claim {
    let sides: Vec<(usize, Side)> = (first.sizes.iter())
        .filter_map(|size| {
            let other = second.sizes.iter().find(|other| other.image_size == size.image_size)?;
            Some((size.image_size, apart(&size.latency, &other.latency)))
        })
        .collect();
    let [of_first, of_second] = [first, second].map(|model| {
        let Estimate { value, low, high, .. } = milliseconds(&model.usual.latency);
        format!(
            "{} takes {}\u{a0}ms ({} to {}) for an image of {}\u{a0}px and classifies {} images per second",
            model.name,
            decimal(value, 1),
            decimal(low, 1),
            decimal(high, 1),
            model.usual.image_size,
            Unit::Coefficient.bare(model.throughput.value),
        )
    });
    let evidence = format!("{of_first}; {of_second}.");
    let faster = |side: Side| -> Vec<String> {
        sides.iter().filter(|(_, found)| *found == side).map(|(size, _)| size.to_string()).collect()
    };
    let (first_faster, second_faster) = (faster(Side::Below), faster(Side::Above));
    let all = |name: &str, other: &str| {
        format!("{name} is faster than {other} at every size of image that both were timed at.")
    };
    let statement = match (first_faster.len(), second_faster.len()) {
        (0, 0) if sides.is_empty() => {
            format!("{} and {} were timed at no common size of image.", first.name, second.name)
        }
        (0, 0) => format!("No difference in speed between {} and {} can be shown.", first.name, second.name),
        (of_first, _) if of_first == sides.len() => all(&first.name, &second.name),
        (_, of_second) if of_second == sides.len() => all(&second.name, &first.name),
        _ => {
            let where_faster = |name: &str, sizes: &[String]| match sizes.is_empty() {
                true => None,
                false => Some(format!("{name} is faster at {}\u{a0}px", sizes.join(", "))),
            };
            let parts =
                [where_faster(&first.name, &first_faster), where_faster(&second.name, &second_faster)];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            format!("{}; elsewhere no difference can be shown.", parts.join(", "))
        }
    };
    claim(statement, evidence)
}

fn grown(model: &ModelCost) -> Option<Claim> {
    let Measured::Known(PowerLaw { exponent, .. }) = &model.time_growth else { return None };
    let (first, last) = (model.sizes.first()?, model.sizes.last()?);
    let how = match side(exponent, 1.0) {
        Side::Above => "faster than the number of pixels",
        Side::Below => "more slowly than the number of pixels",
        Side::Undecided => "about as fast as the number of pixels",
    };
    let statement = format!("The time of {} grows {how}.", model.name);
    let mut evidence = format!(
        "From {} to {}\u{a0}px time grows as the number of pixels to the power of {}",
        first.image_size,
        last.image_size,
        Unit::Coefficient.sentence(exponent)
    );
    if let Measured::Known(law) = &model.multiply_adds_growth {
        evidence += &format!(", multiply-adds to that of {}", decimal(law.exponent.value, 2));
    }
    if last.attention_multiply_adds > 0 {
        evidence += &format!(
            "; the products of attention are {} of the multiply-adds at the smallest size and {} at the largest",
            percent(first.attention_share()),
            percent(last.attention_share())
        );
    }
    Some(claim(statement, evidence + "."))
}

fn costs(profile: &Profile) -> Table {
    let with_accuracy = profile.models.iter().any(|model| model.accuracy.is_some());
    let rows = profile.models.iter().map(|model| {
        let SizeCost { image_size, tokens, multiply_adds, latency, memory, .. } = &model.usual;
        let mut row: Vec<Text> = vec![
            model.name.clone().into(),
            amount(model.parameters as f64).into(),
            count(*image_size).into(),
            tokens.map_or("–".into(), count).into(),
            amount(*multiply_adds as f64).into(),
            percent(model.usual.attention_share()).into(),
            Unit::Pixels.cell(&milliseconds(latency)),
            Unit::Pixels.cell(&model.throughput),
            mebibytes(*memory),
        ];
        if with_accuracy {
            row.push(model.accuracy.as_ref().map_or_else(|| "–".into(), |found| Unit::Percent.cell(found)));
        }
        row
    });
    let mut columns = vec![
        Column::words("Model"),
        Column::numbers("Parameters"),
        Column::numbers("Image, px"),
        Column::numbers("Tokens"),
        Column::numbers("Multiply-adds"),
        Column::numbers("Attention’s products"),
        Column::numbers("Latency, ms"),
        Column::numbers("Images per second"),
        Column::numbers("Memory, MiB"),
    ];
    if with_accuracy {
        columns.push(Column::numbers("Accuracy"));
    }
    Table {
        caption: format!(
            "Costs at each model's usual size of image. Latency: one image per pass; throughput: {} per pass. Memory: the most in \
             use at once for one image, besides weights.",
            counted(profile.batch, "image")
        )
        .into(),
        columns,
        rows: rows.collect(),
    }
}

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

fn growth_figure(profile: &Profile) -> Block {
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

fn patches(profile: &Profile) -> Block {
    let rows = profile.patches.iter().map(|found| {
        let labels =
            [format!("{} patches", found.patches), format!("{} of the variance", percent(found.explained))];
        let pictures = found.views.iter().zip(labels).zip(["in patches", "embeddings"]);
        let pictures = pictures.map(|((path, label), what)| {
            Picture::new(path.clone(), format!("{}: {what}", found.model)).labelled(label)
        });
        PictureRow { name: found.model.clone(), pictures: pictures.collect() }
    });
    let columns = ["In patches", "Embeddings"];
    let grid = PictureGrid {
        columns: Some(("Model".into(), columns.map(str::to_owned).to_vec())),
        rows: rows.collect(),
        legend: None,
        kinds: Vec::new(),
    };
    Block::Figure(Figure {
        title: "An image as tokens.".into(),
        caption: "Left: the image as it is cut. Right: what the first block receives, positions included; each patch has the colour of \
                  its embedding's first three principal components, so that patches of like colour have like embeddings. Half the side \
                  of a patch makes four times the tokens, and sixteen times the products of attention."
            .into(),
        panels: vec![Panel::Pictures(grid)],
        data: None,
    })
}

/// Of the pictures of a patch.
const COLUMNS: [&str; 4] = ["Input", "Attention of block 1", "Attention of block 2", "Reached after both"];

fn queries(profile: &Profile) -> Block {
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

fn growth_table(profile: &Profile) -> Table {
    let rows = profile.models.iter().flat_map(|model| {
        let of_size = |size: &SizeCost| -> Vec<Text> {
            vec![
                model.name.clone().into(),
                count(size.image_size).into(),
                size.tokens.map_or("–".into(), count).into(),
                amount(size.multiply_adds as f64).into(),
                percent(size.attention_share()).into(),
                Unit::Pixels.cell(&milliseconds(&size.latency)),
                mebibytes(size.memory),
            ]
        };
        model.sizes.iter().map(of_size).collect::<Vec<_>>()
    });
    Table {
        caption: "One image per pass, at each size.".into(),
        columns: vec![
            Column::words("Model"),
            Column::numbers("Image, px"),
            Column::numbers("Tokens"),
            Column::numbers("Multiply-adds"),
            Column::numbers("Attention’s products"),
            Column::numbers("Latency, ms"),
            Column::numbers("Memory, MiB"),
        ],
        rows: rows.collect(),
    }
}

fn definitions(profile: &Profile) -> Block {
    let mut definitions: Vec<(String, Text)> = vec![
        (
            "Multiply-adds".into(),
            "Of convolutions, dense layers and the two products of attention (queries with keys, weights with values), each counted \
             once, from the sizes; norms, activations and softmax are left out."
                .into(),
        ),
        (
            "Latency and throughput".into(),
            format!(
                "Median of {} after 2 that are not counted, models in turns, with the 95 % interval between two order statistics. \
                 Reading and preprocessing images is not part of it. Times are of this machine and of what else it did.",
                counted(profile.rounds, "timed pass")
            )
            .into(),
        ),
        (
            "Memory".into(),
            "The most bytes allocated at once during a pass, in allocations of 16 KiB or more, besides weights and what is kept packed \
             of them."
                .into(),
        ),
        (
            "Growth".into(),
            "The exponent of a power law in the number of pixels, by least squares of logarithms over the sizes shown, with Student's t \
             interval: 1 where cost is proportional to pixels, 2 where every pixel meets every other."
                .into(),
        ),
    ];
    let not_taken: Vec<String> = (profile.models.iter())
        .flat_map(|model| {
            model.not_taken.iter().map(|(size, why)| format!("{} at {size}\u{a0}px: {why}", model.name))
        })
        .collect();
    if !not_taken.is_empty() {
        definitions.push(("Not measured".into(), format!("{}.", not_taken.join("; ")).into()));
    }
    Block::Definitions(definitions)
}
