//! Charts are well-formed XML, show their data at the right coordinates, and survive hostile text and numbers.

use super::axis::{fixed, value_label};
use super::matrix::REVERSED_ABOVE;
use super::svg::{coordinate, ellipsize, escape, text_width, wrap};
use super::*;

/// One start tag: its name and attributes.
#[derive(Debug)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
}

impl Element {
    fn get(&self, key: &str) -> &str {
        self.attributes.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }

    fn number(&self, key: &str) -> f64 {
        self.get(key).parse().unwrap_or_else(|_| panic!("{key} of {self:?}"))
    }

    fn has_class(&self, class: &str) -> bool {
        self.get("class").split(' ').any(|c| c == class)
    }
}

/// Parses the subset of XML that the charts use, and panics on anything that is not well-formed.
fn parse(svg: &str) -> Vec<Element> {
    let mut elements: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut rest = svg.trim_end();
    while !rest.is_empty() {
        let (text, tag) = rest.split_once('<').unwrap_or_else(|| panic!("text after the end: {rest}"));
        check_references(text);
        if let Some(&parent) = open.last() {
            elements[parent].text.push_str(text);
        }
        let (tag, after) = tag.split_once('>').expect("every tag ends");
        rest = after;
        assert!(!tag.contains('<'), "a raw < within <{tag}>");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop().map(|i| elements[i].name.clone()).as_deref(),
                Some(name),
                "closing tags match"
            );
            assert!(!open.is_empty() || rest.is_empty(), "one root element");
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut element = Element { name: name.into(), attributes: Vec::new(), text: String::new() };
        while let Some((key, value)) = attributes.split_once("=\"") {
            let (value, after) = value.split_once('"').expect("quotes close");
            check_references(value);
            assert!(element.get(key.trim()).is_empty(), "the attribute {key} stands twice");
            element.attributes.push((key.trim().into(), value.into()));
            attributes = after;
        }
        assert!(attributes.trim().is_empty(), "stray text in a tag: {attributes}");
        elements.push(element);
        if !closed {
            open.push(elements.len() - 1);
        }
    }
    assert!(open.is_empty());
    elements
}

fn check_references(text: &str) {
    for reference in text.split('&').skip(1) {
        let (name, _) = reference.split_once(';').unwrap_or_else(|| panic!("a raw & in {text}"));
        assert!(["amp", "lt", "gt", "quot", "#39"].contains(&name), "unknown reference {name}");
    }
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
}

/// Position of the tick with this label along `axis` (`x` or `y`).
fn tick(elements: &[Element], axis: &str, label: &str) -> f64 {
    let anchor = if axis == "x" { "middle" } else { "end" };
    let tick =
        elements.iter().find(|e| e.has_class("quiet") && e.get("text-anchor") == anchor && e.text == label);
    tick.unwrap_or_else(|| panic!("no tick {label}")).number(axis)
}

/// Checks what holds for every chart: texts and marks lie inside it.
fn check_inside(elements: &[Element]) {
    let size: Vec<f64> = elements[0].get("viewBox").split(' ').map(|v| v.parse().unwrap()).collect();
    let width_of_chart = size[2];
    assert_eq!(elements[0].get("role"), "img");
    assert!([Width::Wide, Width::Narrow].iter().any(|width| width.units() == width_of_chart), "{size:?}");
    for element in elements.iter().filter(|e| e.name == "text" && e.get("transform").is_empty()) {
        let (x, y, width) =
            (element.number("x"), element.number("y"), text_width(&element.text.replace("&amp;", "&")));
        let left = match element.get("text-anchor") {
            "middle" => x - width / 2.0,
            "end" => x - width,
            _ => x,
        };
        let slack = if element.has_class("title") { 60.0 } else { 1.0 };
        assert!(
            left > -6.0 && left + width < width_of_chart + slack && y > 0.0 && y <= size[3],
            "{element:?} leaves the chart"
        );
    }
    for element in elements.iter().filter(|e| e.name == "rect") {
        assert!(
            element.number("x") >= 0.0
                && element.number("x") + element.number("width") <= width_of_chart + 0.1
        );
        assert!(element.number("y") + element.number("height") <= size[3] + 0.1);
    }
}

fn line(points: &[(f64, f64)], x: Axis, y: Axis) -> LineChart {
    LineChart {
        title: "title".into(),
        description: "description".into(),
        x,
        y,
        series: vec![LineSeries {
            name: "ViT".into(),
            points: points.iter().map(|&(x, y)| Point { x, y, interval: Some((y * 0.9, y * 1.1)) }).collect(),
        }],
        uncertainty: Uncertainty::Whiskers,
    }
}

fn close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 0.02, "{actual} instead of {expected}");
}

#[test]
fn line_chart_puts_points_between_their_ticks() {
    let chart = line(
        &[(4.0, 50.0), (0.0, 100.0), (1.0, 25.0)],
        Axis::new("ε", Scale::Linear),
        Axis::new("y", Scale::Linear).including(0.0, 100.0),
    );
    let elements = parse(&line_chart(&chart).unwrap());
    check_inside(&elements);
    let (x0, x4) = (tick(&elements, "x", "0"), tick(&elements, "x", "4"));
    // The tick's text hangs 4 below the value's own height.
    let (y0, y100) = (tick(&elements, "y", "0") - 4.0, tick(&elements, "y", "100") - 4.0);
    let circles: Vec<&Element> =
        elements.iter().filter(|e| e.name == "circle" && e.has_class("halo")).collect();
    let expected = [(0.0, 100.0), (1.0, 25.0), (4.0, 50.0)];
    assert_eq!(circles.len(), expected.len());
    for (circle, (x, y)) in circles.iter().zip(expected) {
        close(circle.number("cx"), x0 + x / 4.0 * (x4 - x0));
        close(circle.number("cy"), y0 + y / 100.0 * (y100 - y0));
    }
    // The whisker of (1, 25) reaches from 22.5 to 27.5.
    let whisker = elements.iter().filter(|e| e.has_class("whisker")).nth(3).unwrap();
    close(whisker.number("y1"), y0 + 0.225 * (y100 - y0));
    close(whisker.number("y2"), y0 + 0.275 * (y100 - y0));
}

#[test]
fn logarithmic_axis_is_logarithmic() {
    let chart = line(
        &[(1.0, 1.0), (10.0, 0.1), (100.0, 0.01)],
        Axis::new("x", Scale::Log10),
        Axis::new("y", Scale::Linear),
    );
    let elements = parse(&line_chart(&chart).unwrap());
    let positions: Vec<f64> =
        elements.iter().filter(|e| e.has_class("halo")).map(|e| e.number("cx")).collect();
    close(positions[1], 0.5 * (positions[0] + positions[2]));
    close(positions[0], tick(&elements, "x", "1"));
    let negative = line(&[(0.0, 1.0)], Axis::new("x", Scale::Log10), Axis::new("y", Scale::Linear));
    let message = line_chart(&negative).unwrap_err().to_string();
    assert_eq!(
        message,
        "the axis 'x' holds the value 0, which cannot be drawn: a logarithmic axis needs positive values"
    );
}

#[test]
fn names_at_the_ends_do_not_overlap() {
    let mut chart =
        line(&[(0.0, 1.0), (1.0, 1.0)], Axis::new("x", Scale::Linear), Axis::new("y", Scale::Linear));
    chart.series = (0..7)
        .map(|i| LineSeries { name: format!("model {i} with a long name"), ..chart.series[0].clone() })
        .collect();
    let elements = parse(&line_chart(&chart).unwrap());
    check_inside(&elements);
    let mut names: Vec<f64> = elements
        .iter()
        .filter(|e| e.name == "text" && e.get("class").starts_with("fill-"))
        .map(|e| e.number("y"))
        .collect();
    names.sort_by(f64::total_cmp);
    assert!(names.len() >= 14 && names.windows(2).all(|pair| pair[1] - pair[0] > 12.0), "{names:?}");
}

#[test]
fn bars_begin_at_zero_and_end_at_their_value() {
    let bar = |value: f64, low: f64, high: f64| Some(Measure { value, interval: Some((low, high)) });
    let chart = BarChart {
        title: "t".into(),
        description: "d".into(),
        value: Axis::new("difference", Scale::Percent),
        categories: vec!["up".into(), "down".into()],
        series: vec![
            BarSeries { name: "a".into(), bars: vec![bar(0.3, 0.2, 0.4), bar(-0.1, -0.2, 0.0)] },
            BarSeries { name: "b".into(), bars: vec![None, bar(0.15, 0.1, 0.2)] },
        ],
    };
    let elements = parse(&bar_chart(&chart).unwrap());
    check_inside(&elements);
    let (zero, twenty) = (tick(&elements, "x", "0%"), tick(&elements, "x", "20%"));
    let at = |value: f64| zero + value / 0.2 * (twenty - zero);
    let bars: Vec<&Element> = elements.iter().filter(|e| e.has_class("bar")).collect();
    assert_eq!(bars.len(), 3);
    close(bars[0].number("x"), at(0.0));
    close(bars[0].number("width"), at(0.3) - at(0.0));
    close(bars[1].number("x"), at(-0.1));
    close(bars[1].number("width"), at(0.0) - at(-0.1));
    let whisker = elements.iter().find(|e| e.has_class("ink")).unwrap();
    close(whisker.number("x1"), at(0.2));
    close(whisker.number("x2"), at(0.4));
    assert!(elements.iter().any(|e| e.text == "−10.0%"));
    let mut short = chart;
    short.series[0].bars.pop();
    assert!(bar_chart(&short).is_err());
}

#[test]
fn dots_stand_in_their_intervals() {
    let row = |label: &str, value: f64, interval| DotRow {
        label: label.into(),
        measure: Measure { value, interval },
        series: 0,
    };
    let chart = DotIntervalChart {
        title: "t".into(),
        description: "d".into(),
        value: Axis::new("κ", Scale::Linear),
        rows: vec![row("one", 0.25, Some((0.0, 0.5))), row("two", 1.0, None)],
        reference: Some((0.5, "chance".into())),
    };
    let elements = parse(&dot_interval_chart(&chart).unwrap());
    check_inside(&elements);
    let (zero, one) = (tick(&elements, "x", "0.0"), tick(&elements, "x", "1.0"));
    let dots: Vec<&Element> = elements.iter().filter(|e| e.name == "circle").collect();
    close(dots[0].number("cx"), zero + 0.25 * (one - zero));
    close(dots[1].number("cx"), one);
    let interval = elements.iter().find(|e| e.has_class("curve")).unwrap();
    close(interval.number("x1"), zero);
    close(interval.number("x2"), zero + 0.5 * (one - zero));
    close(
        elements.iter().find(|e| e.has_class("reference")).unwrap().number("x1"),
        zero + 0.5 * (one - zero),
    );
    assert!(elements.iter().any(|e| e.text == "0 to 0.500"));
    let reversed = DotIntervalChart { rows: vec![row("bad", 0.0, Some((1.0, -1.0)))], ..chart };
    assert!(dot_interval_chart(&reversed).unwrap_err().to_string().contains("lies above"));
}

fn matrix(rows: usize, columns: usize, value: impl Fn(usize) -> Option<f64>) -> MatrixChart {
    MatrixChart {
        title: "t".into(),
        description: "d".into(),
        row_label: "layer".into(),
        column_label: "head".into(),
        value_label: "entropy".into(),
        rows: (0..rows).map(|i| format!("r{i}")).collect(),
        columns: (0..columns).map(|i| format!("c{i}")).collect(),
        values: (0..rows * columns).map(value).collect(),
        format: ValueFormat::Decimals(1),
        range: None,
    }
}

#[test]
fn matrix_cells_are_named_shaded_and_in_order() {
    let elements = parse(&matrix_chart(&matrix(2, 3, |i| (i != 4).then_some(i as f64))).unwrap());
    check_inside(&elements);
    let cells: Vec<(f64, f64, f64)> = elements
        .windows(2)
        .filter(|pair| pair[0].name == "rect" && pair[1].name == "title")
        .map(|pair| (pair[0].number("x"), pair[0].number("y"), pair[0].number("fill-opacity")))
        .collect();
    assert_eq!(cells.iter().map(|cell| cell.2).collect::<Vec<_>>(), [0.0, 0.2, 0.4, 0.6, 1.0]);
    assert!(
        cells[0].0 < cells[1].0
            && cells[0].1 == cells[1].1
            && cells[3].1 > cells[0].1
            && cells[3].0 == cells[0].0
    );
    assert!(elements.iter().any(|e| e.name == "title" && e.text == "r1, c2: 5.0"));
    assert_eq!(elements.iter().filter(|e| e.has_class("missing")).count(), 1);
    let signed = parse(&matrix_chart(&matrix(1, 2, |i| Some([-2.0, 1.0][i]))).unwrap());
    let tones: Vec<(bool, f64)> = signed
        .windows(2)
        .filter(|pair| pair[0].name == "rect" && pair[1].name == "title")
        .map(|pair| (pair[0].has_class("low"), pair[0].number("fill-opacity")))
        .collect();
    assert_eq!(tones, [(true, 1.0), (false, 0.5)]);
}

#[test]
fn large_and_odd_matrices_stay_inside() {
    for (rows, columns) in [(1, 1), (1, 100), (100, 1), (100, 100), (3, 24)] {
        let mut chart = matrix(rows, columns, |i| Some((i as f64).sin()));
        check_inside(&parse(&matrix_chart(&chart).unwrap()));
        chart.columns.iter_mut().for_each(|name| name.push_str(" with a very long class name"));
        chart.rows.iter_mut().for_each(|name| name.push_str(" with a very long class name"));
        check_inside(&parse(&matrix_chart(&chart).unwrap()));
    }
    assert!(matrix_chart(&matrix(0, 3, |_| None)).is_err());
    assert!(matrix_chart(&matrix(1, 1, |_| Some(f64::NAN))).is_err());
    assert!(matrix_chart(&matrix(2, 2, |_| None)).is_ok());
    assert!(matrix_chart(&matrix(2, 2, |_| Some(0.0))).is_ok());
}

#[test]
fn histogram_counts() {
    let group = |name: &str, values: &[f64]| HistogramGroup { name: name.into(), values: values.to_vec() };
    let chart = |groups| Histogram {
        title: "t".into(),
        description: "d".into(),
        x: Axis::new("confidence", Scale::Linear).including(0.0, 1.0),
        bins: 4,
        groups,
    };
    let elements = parse(&histogram(&chart(vec![group("a", &[0.1, 0.25, 0.3, 0.3, 0.3, 1.0])])).unwrap());
    check_inside(&elements);
    // Counts 1, 4, 0, 1: a value on a boundary belongs above it, the largest to the last bin.
    let (zero, four) = (tick(&elements, "y", "0"), tick(&elements, "y", "4"));
    let bars: Vec<&Element> = elements.iter().filter(|e| e.has_class("bar")).collect();
    assert_eq!(bars.len(), 3);
    for (bar, (left, count)) in bars.iter().zip([(0.0, 1.0), (0.25, 4.0), (0.75, 1.0)]) {
        close(bar.number("height"), count / 4.0 * (zero - four));
        let (x0, x1) = (tick(&elements, "x", "0.0"), tick(&elements, "x", "1.0"));
        close(bar.number("x"), x0 + left * (x1 - x0));
    }
    let several = parse(&histogram(&chart(vec![group("a", &[0.1; 10]), group("b", &[0.9; 5])])).unwrap());
    check_inside(&several);
    assert!(several.iter().any(|e| e.text == "100%"), "both groups are whole in one bin");
    assert!(histogram(&chart(vec![])).is_err());
    assert!(histogram(&chart(vec![group("a", &[f64::NAN])])).is_err());
}

#[test]
fn scatter_points_and_identity() {
    let chart = Scatter {
        title: "t".into(),
        description: "d".into(),
        x: Axis::new("x", Scale::Linear),
        y: Axis::new("y", Scale::Linear),
        series: vec![ScatterSeries { name: "a".into(), points: vec![(0.0, 0.0), (10.0, 5.0), (2.0, 10.0)] }],
        identity: true,
    };
    let elements = parse(&scatter(&chart).unwrap());
    check_inside(&elements);
    let (x0, x10) = (tick(&elements, "x", "0"), tick(&elements, "x", "10"));
    let dots: Vec<&Element> = elements.iter().filter(|e| e.has_class("dots")).collect();
    close(dots[2].number("cx"), x0 + 0.2 * (x10 - x0));
    close(dots[1].number("cy"), 0.5 * (dots[0].number("cy") + dots[2].number("cy")));
    let identity = elements.iter().find(|e| e.has_class("reference")).unwrap();
    close(identity.number("x1"), x0);
    close(identity.number("y2"), dots[2].number("cy"));
}

#[test]
fn hostile_text_is_escaped() {
    let mut chart =
        line(&[(0.0, 1.0)], Axis::new("<x> & \"y\"", Scale::Linear), Axis::new("]]>", Scale::Linear));
    chart.title = "</title><script>alert('1')</script>\u{0}\u{7}".into();
    chart.description = "a < b && c > \"d\"".into();
    chart.series[0].name = "<b>".into();
    let svg = line_chart(&chart).unwrap();
    parse(&svg);
    assert!(!svg.contains("<script") && !svg.contains("<b>"));
    assert_eq!(escape("<&>\"'\u{1}é"), "&lt;&amp;&gt;&quot;&#39;?é");
}

#[test]
fn extreme_numbers_make_a_chart_or_a_sentence() {
    for y in [0.0, 1e-300, 1e300, -1e300, f64::MAX, 1e15 + 1.0, -3.7] {
        let chart = line(&[(1.0, y), (2.0, y)], Axis::new("x", Scale::Linear), Axis::new("y", Scale::Linear));
        // A negative value turns its own interval around, and 1.1 times the largest number overflows.
        match line_chart(&chart) {
            Ok(svg) => {
                assert!(!svg.contains("NaN") && !svg.contains("inf") && parse(&svg).len() < 200, "{y}")
            }
            Err(error) => assert!(y < 0.0 || y == f64::MAX, "{y}: {error}"),
        }
    }
    let nan = line(&[(1.0, f64::NAN)], Axis::new("x", Scale::Linear), Axis::new("y", Scale::Linear));
    assert!(line_chart(&nan).is_err());
}

#[test]
fn ticks_are_round_and_hold_the_data() {
    let labels = |axis: Axis, low: f64, high: f64| {
        let fitted = axis.fit([low, high].into_iter(), (0.0, 100.0), 5).unwrap();
        assert!(fitted.at(low) >= -1e-6 && fitted.at(high) <= 100.0 + 1e-6, "{low} to {high}");
        fitted.ticks.into_iter().map(|(_, label)| label).collect::<Vec<_>>()
    };
    let linear = || Axis::new("", Scale::Linear);
    assert_eq!(labels(linear(), 0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    let count = || Axis::new("", Scale::Count);
    assert_eq!(labels(count(), 1.0, 4.0), ["1", "2", "3", "4"]);
    assert_eq!(labels(count(), 1.0, 60.0), ["20", "40", "60"]);
    assert_eq!(labels(count(), 1.0, 1.0), ["1"]);
    assert_eq!(labels(linear(), -3.0, 7.0), ["−4", "−2", "0", "2", "4", "6", "8"]);
    assert_eq!(labels(linear(), 0.0, 0.011), ["0.0000", "0.0025", "0.0050", "0.0075", "0.0100", "0.0125"]);
    assert_eq!(labels(Axis::new("", Scale::Percent), 0.62, 0.98), ["60%", "70%", "80%", "90%", "100%"]);
    assert_eq!(
        labels(Axis::new("", Scale::Log10), 0.02, 1.5),
        ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"]
    );
    assert_eq!(
        labels(Axis::new("", Scale::Log10), 1.0, 1e6),
        ["1", "10", "100", "1000", "10000", "10⁵", "10⁶"]
    );
    for exponent in -250..250 {
        let low = 1.37 * 10f64.powi(exponent);
        assert!((2..12).contains(&labels(linear(), low, 3.3 * low).len()));
        assert!((2..12).contains(&labels(Axis::new("", Scale::Log10), low, low).len()));
    }
}

#[test]
fn numbers_are_written_for_readers() {
    assert_eq!((fixed(-0.004, 2), fixed(-1.5, 1)), ("0.00".into(), "−1.5".into()));
    assert_eq!(value_label(0.8342, Scale::Percent), "83.4%");
    assert_eq!(value_label(0.012345, Scale::Linear), "0.0123");
    assert_eq!(value_label(1234.5, Scale::Linear), "1234");
    assert_eq!(value_label(1.5e-7, Scale::Linear), "1.5e−7");
    assert_eq!(value_label(-0.1 * 3e300, Scale::Linear), "−3e299");
    assert_eq!(
        (coordinate(-0.001), coordinate(1.5), coordinate(20.0)),
        ("0".into(), "1.5".into(), "20".into())
    );
}

#[test]
fn text_is_wrapped_and_cut_to_its_width() {
    let lines = wrap("conflict between shape and texture of the object", 120.0, 2);
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| text_width(line) <= 121.0) && lines[1].ends_with('…'), "{lines:?}");
    assert_eq!(wrap("short", 120.0, 2), ["short"]);
    assert!(wrap("", 120.0, 2).is_empty());
    assert_eq!(ellipsize("a", 100.0), "a");
}

#[test]
fn the_same_chart_is_the_same_text() {
    let chart =
        line(&[(0.0, 0.1), (1.0, 0.7)], Axis::new("x", Scale::Linear), Axis::new("y", Scale::Percent));
    assert_eq!(line_chart(&chart).unwrap(), line_chart(&chart).unwrap());
}

/// One chart of each kind, with long names.
fn every_kind() -> Vec<Box<dyn Chart>> {
    let interval = |value: f64| Measure { value, interval: Some((value - 0.1, value + 0.1)) };
    let long = |i: usize| format!("class {i} with quite a long name");
    let titles = || ("A title of about this length".to_string(), "description".to_string());
    let mut curves = line(
        &[(0.0, 0.9), (1.0, 0.4), (8.0, 0.1)],
        Axis::new("ε (largest change of a channel value, 1/255)", Scale::Linear),
        Axis::new("share of the images still classified correctly", Scale::Percent),
    );
    curves.series.push(LineSeries { name: "a second model".into(), points: curves.series[0].points.clone() });
    let [(title, description), second, third] = [titles(), titles(), titles()];
    let bars = BarChart {
        title,
        description,
        value: Axis::new("share of the images", Scale::Percent),
        categories: (0..4).map(long).collect(),
        series: (0..3)
            .map(|i| BarSeries { name: format!("Only model {i} wrong"), bars: vec![Some(interval(0.4)); 4] })
            .collect(),
    };
    let dots = DotIntervalChart {
        title: second.0,
        description: second.1,
        value: Axis::new("loss increase (nats)", Scale::Linear),
        rows: (0..4).map(|i| DotRow { label: long(i), measure: interval(i as f64), series: i }).collect(),
        reference: Some((0.0, "no change".into())),
    };
    let points = vec![(0.1, 0.2), (0.4, 0.3)];
    let cloud = Scatter {
        title: third.0,
        description: third.1,
        x: Axis::new("mean replacement: loss increase (nats)", Scale::Linear),
        y: Axis::new("mean |∂loss/∂gate|", Scale::Linear),
        series: ["zero", "another image's"]
            .map(|name| ScatterSeries { name: name.into(), points: points.clone() })
            .into(),
        identity: true,
    };
    let counts = Histogram {
        title: "t".into(),
        description: "d".into(),
        x: Axis::new("rank correlation of rollout and Grad-CAM", Scale::Linear),
        bins: 20,
        groups: vec![HistogramGroup { name: "images".into(), values: vec![0.1, 0.4, 0.5] }],
    };
    let mut cells = matrix(12, 12, |i| Some(i as f64 / 143.0));
    cells.value_label = "loss increase under mean replacement (nats)".into();
    vec![Box::new(curves), Box::new(bars), Box::new(dots), Box::new(cloud), Box::new(counts), Box::new(cells)]
}

#[test]
fn narrow_charts_hold_the_same_text_at_a_size_that_can_be_read() {
    for chart in every_kind() {
        let [wide, narrow] = [Width::Wide, Width::Narrow].map(|width| chart.draw(width).unwrap());
        for drawn in [&wide, &narrow] {
            let elements = parse(drawn);
            check_inside(&elements);
            // A phone of 360 px leaves 320 for a chart: a unit is a pixel there.
            for size in drawn.split("font-size:").skip(1) {
                let size: f64 = size.split("px").next().unwrap().parse().unwrap();
                assert!(size >= 11.0, "text of {size} units");
            }
            let cut: Vec<&str> =
                elements.iter().map(|e| e.text.as_str()).filter(|text| text.ends_with('…')).collect();
            assert!(cut.is_empty(), "cut off: {cut:?}");
        }
        assert!(narrow.contains("viewBox=\"0 0 320 ") && wide.contains("viewBox=\"0 0 440 "));
    }
}

#[test]
fn a_chart_as_a_file_has_a_size_and_the_colours_of_both_themes() {
    for chart in every_kind() {
        let file = svg_file(&chart.draw(Width::Wide).unwrap());
        let elements = parse(&file);
        let size: Vec<&str> = elements[0].get("viewBox").split(' ').skip(2).collect();
        assert_eq!([elements[0].get("width"), elements[0].get("height")], size[..]);
        assert!(!file.contains("var(") && !file.contains("width:100%"), "{file:.900}");
        let (light, dark) = file.split_once("@media(prefers-color-scheme:dark)").expect("a dark part");
        for (part, ink, ground, first) in
            [(light, "#1b1f26", "#fff", "#0072b2"), (dark, "#e4e7ec", "#14171c", "#5ab4f0")]
        {
            assert!(part.contains(&format!("color:{ink};background:{ground}")), "{part:.300}");
            assert!(part.contains(&format!(".fill-1{{fill:{first}}}")));
        }
    }
}

/// Relative luminance of a colour over a ground, as WCAG 2.1 defines it.
fn luminance(color: [f64; 3]) -> f64 {
    let linear = |v: f64| if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) };
    color.iter().zip([0.2126, 0.7152, 0.0722]).map(|(value, weight)| weight * linear(*value)).sum()
}

fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn text_can_be_read_on_every_ground_in_both_themes() {
    let (light, dark) = THEME_CSS.split_once("@media").unwrap();
    for theme in [light, dark] {
        let color = |name: &str| -> [f64; 3] {
            let (_, value) =
                theme.split_once(&format!("--chart-{name}:#")).unwrap_or_else(|| panic!("no {name}"));
            let digits: String = value.chars().take_while(char::is_ascii_hexdigit).collect();
            let digit = |at: usize| match digits.len() {
                3 => digits[at..=at].repeat(2),
                _ => digits[2 * at..2 * at + 2].to_owned(),
            };
            [0, 1, 2].map(|at| f64::from(u8::from_str_radix(&digit(at), 16).unwrap()) / 255.0)
        };
        let paper = color("paper");
        let over = |top: [f64; 3], opacity: f64| {
            [0, 1, 2].map(|channel: usize| opacity * top[channel] + (1.0 - opacity) * paper[channel])
        };
        for series in 1..=6 {
            let found = contrast(color(&series.to_string()), paper);
            assert!(found >= 4.5, "series {series} on paper: {found}");
        }
        assert!(contrast(over(color("ink"), 0.74), paper) >= 4.5, "quiet text");
        for tone in ["high", "low"] {
            for step in 0..=100 {
                let opacity = f64::from(step) / 100.0;
                let text = color(if opacity > REVERSED_ABOVE { "full" } else { "faint" });
                let found = contrast(text, over(color(tone), opacity));
                assert!(found >= 4.5, "a number on {tone} at {opacity}: {found}");
            }
        }
    }
}
