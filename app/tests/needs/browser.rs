//! The report in a real browser, on a phone, a tablet and a laptop, in light and dark: nothing overflows, every picture shows and can
//! be enlarged, all text can be read, every link leads somewhere.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{excavate, succeed};

/// The browser, by the first of the names under which Chromium is installed that is there.
pub fn chromium() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    names.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok())
}

/// Width in pixels, and whether the reader's system is dark.
const SCREENS: [(u32, bool); 4] = [(360, false), (360, true), (768, false), (1366, true)];

/// A browser that takes longer hangs, as headless ones do on some machines; the test then fails instead of waiting.
const PATIENCE: Duration = Duration::from_secs(90);

/// Leaves its measurements in an attribute of the page that `--dump-dom` prints. The page stands in a frame, since a
/// headless window cannot be as narrow as a phone.
const MEASURE: &str = r##"
addEventListener("load", () => {
  const page = document.documentElement;
  const images = [...document.querySelectorAll("main img")];
  const chapters = [...document.querySelectorAll("details.chapter")];
  const folded = chapters.filter((chapter) => !chapter.open).length;
  for (const details of document.querySelectorAll("details")) details.open = true;

  // Colours as [red, green, blue, opacity], each from 0 to 1.
  const channels = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return [r / 255, g / 255, b / 255, a];
  };
  const over = ([r, g, b, a], ground) => [r, g, b].map((value, i) => a * value + (1 - a) * ground[i]);
  const luminance = (color) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(color[0]) + 0.7152 * linear(color[1]) + 0.0722 * linear(color[2]);
  };
  const ground = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(channels(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [1, 1, 1]);
  };
  const shown = (e) => e.getClientRects().length > 0;
  const texts = [...document.querySelectorAll("main *, nav *")].filter((e) =>
    shown(e) && !["STYLE", "SCRIPT"].includes(e.tagName.toUpperCase()) && !e.closest("style, title, desc, .faint, .full")
      && [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  const faint = texts.filter((e) => {
    const style = getComputedStyle(e);
    const [r, g, b, a] = channels(e.closest("svg") ? style.fill : style.color);
    const below = ground(e.closest("svg")?.parentElement ?? e);
    const [one, other] = [luminance(over([r, g, b, a * (e.closest("svg") ? style.fillOpacity : 1)], below)), luminance(below)];
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05) < 4.5;
  }).map((e) => `${e.tagName}.${e.getAttribute("class")}: ${e.textContent.slice(0, 30)}`);
  const small = [...document.querySelectorAll("main svg text")].filter((text) => shown(text)).filter((text) => {
    const chart = text.ownerSVGElement;
    const scale = chart.getBoundingClientRect().width / chart.viewBox.baseVal.width;
    return parseFloat(getComputedStyle(text).fontSize) * scale < 10.95;
  }).map((text) => text.textContent);

  // A white slab: a bright ground around a picture of a dark page, or a bright frame drawn into a picture.
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const framed = (image) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
    const bright = (x, y) => [0, 1, 2].every((c) => data[4 * (y * width + x) + c] > 250) && data[4 * (y * width + x) + 3] > 0;
    const along = (n, at) => [...Array(n).keys()].every(at);
    return along(width, (x) => bright(x, 0)) || along(height, (y) => bright(0, y));
  };
  const slabs = images.filter((image) => framed(image) || (dark && luminance(ground(image)) > 0.2)).map((image) => image.alt);

  // Tables that scroll keep their first column.
  const wideTables = [...document.querySelectorAll("main div.table")].filter((table) => shown(table) && table.scrollWidth > table.clientWidth + 40);
  const unpinned = wideTables.filter((table) => {
    table.scrollLeft = table.scrollWidth;
    const moved = [...table.querySelectorAll("tbody th")].some((th) => Math.abs(th.getBoundingClientRect().left - table.getBoundingClientRect().left) > 1);
    table.scrollLeft = 0;
    return moved;
  }).length;

  const zoom = document.getElementById("zoom");
  const items = [...document.querySelector("#errors .gallery").querySelectorAll(".item")];
  items[0].querySelector(".shots").click();
  const steps = [zoom.querySelector(".place").textContent];
  for (const key of ["ArrowRight", "ArrowLeft", "ArrowLeft"]) {
    zoom.dispatchEvent(new KeyboardEvent("keydown", { key }));
    steps.push(zoom.querySelector(".place").textContent);
  }
  const lightbox = {
    open: zoom.open,
    steps,
    items: items.length,
    pictures: zoom.querySelectorAll("img").length,
    verdicts: [...zoom.querySelectorAll(".verdict")].map((verdict) => verdict.textContent.match(/ (wrong|correct): /)?.[1]),
    legend: zoom.querySelectorAll(".legend .ramp").length,
    fits: zoom.getBoundingClientRect().right <= page.clientWidth + 1,
  };
  zoom.close();
  lightbox.heads = (() => {
    document.querySelector("#attention table.pictures .shots").click();
    const said = zoom.querySelector(".said").textContent;
    zoom.close();
    return said;
  })();
  const width = page.clientWidth;
  // What scrolls by itself, such as a wide table, may be wider than the page.
  const scrolls = (element) => {
    for (let e = element.parentElement; e && e !== document.body; e = e.parentElement)
      if (["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX)) return true;
    return false;
  };
  const wide = [...document.body.querySelectorAll("*")]
    .filter((e) => e.getBoundingClientRect().right > width + 1 && !scrolls(e))
    .map((e) => `${e.tagName}.${e.getAttribute("class")}`);
  const links = [...document.querySelectorAll('a[href^="#"]')].map((link) => link.getAttribute("href").slice(1));
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  parent.document.documentElement.setAttribute("data-measured", JSON.stringify({
    width,
    dark,
    folded,
    chapters: chapters.length,
    faint: faint.slice(0, 5),
    small: small.slice(0, 5),
    slabs: slabs.slice(0, 5),
    wideTables: wideTables.length,
    unpinned,
    lightbox,
    scrollWidth: page.scrollWidth,
    height: page.scrollHeight,
    wide: wide.slice(0, 5),
    images: images.length,
    undecoded: images.filter((image) => !image.complete || image.naturalWidth === 0).map((image) => image.alt),
    unlabelled: images.filter((image) => !image.alt).length,
    charts: [...document.querySelectorAll("main svg")].filter(shown).length,
    figures: document.querySelectorAll("main figure").length,
    tables: document.querySelectorAll("main table").length,
    links: links.length,
    dangling: links.filter((id) => !document.getElementById(id)),
    doubled: ids.filter((id, i) => ids.indexOf(id) !== i),
    external: [...document.querySelectorAll("[src], link[href]")]
      .map((e) => e.getAttribute("src") ?? e.getAttribute("href"))
      .filter((address) => address && !address.startsWith("data:")).slice(0, 5),
  }));
});
"##;

pub fn the_report_shows_well_on_phones_tablets_and_laptops_in_light_and_dark() {
    let browser = chromium().expect("it was there a moment ago");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    succeed(&mut excavate(&out));
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    let report = with_script(&report);

    for (width, dark) in SCREENS {
        let seen = measured(browser, folder.path(), &report, width, dark);
        assert_eq!(seen["dark"], dark, "{seen}");
        assert_eq!(seen["width"], width, "{seen}");
        assert_eq!(seen["scrollWidth"], width, "the page scrolls sideways: {seen}");
        for nothing in ["wide", "undecoded", "dangling", "doubled", "external", "faint", "small", "slabs"] {
            assert_eq!(seen[nothing], Value::Array(Vec::new()), "{nothing} at {width} px: {seen}");
        }
        assert_eq!(seen["unlabelled"], 0, "{seen}");
        for (what, least) in [("figures", 15), ("images", 12), ("charts", 5), ("tables", 5), ("links", 10)] {
            assert!(seen[what].as_u64().unwrap() >= least, "{what} at {width} px: {seen}");
        }
        assert!(seen["height"].as_u64().unwrap() > 3000, "{seen}");
        // What was found stays open on a phone; nothing is folded where there is room.
        let folded = if width < 720 { seen["chapters"].as_u64().unwrap() - 2 } else { 0 };
        assert_eq!(seen["folded"], folded, "{seen}");
        assert_eq!(seen["unpinned"], 0, "{seen}");
        assert!(width > 400 || seen["wideTables"].as_u64().unwrap() >= 3, "{seen}");
        let lightbox = &seen["lightbox"];
        let items = lightbox["items"].as_u64().unwrap();
        assert_eq!((&lightbox["open"], &lightbox["fits"]), (&true.into(), &true.into()), "{seen}");
        assert_eq!((&lightbox["pictures"], &lightbox["legend"]), (&3.into(), &1.into()), "{seen}");
        let steps: Vec<String> = [1, 2, 1, items].iter().map(|place| format!("{place} of {items}")).collect();
        assert_eq!(lightbox["steps"], serde_json::to_value(steps).unwrap(), "{seen}");
        let verdicts = lightbox["verdicts"].as_array().unwrap();
        assert!(verdicts.len() == 2 && verdicts.contains(&"wrong".into()), "{seen}");
        assert!(
            lightbox["heads"].as_str().unwrap().starts_with("Layer 1, head 1: attention over image "),
            "{seen}"
        );
    }
}

/// The report with a script that measures it, which its content security policy would forbid.
fn with_script(report: &str) -> String {
    let policy = r#"<meta http-equiv="Content-Security-Policy""#;
    let start = report.find(policy).expect("the report has a policy");
    let end = start + report[start..].find('>').expect("the tag ends") + 1;
    format!("{}<script>{MEASURE}</script>{}", &report[..start], &report[end..])
}

/// What [`MEASURE`] saw at a width.
fn measured(browser: &str, folder: &Path, report: &str, width: u32, dark: bool) -> Value {
    let frame = folder.join(format!("frame-{width}-{dark}.html"));
    let content = format!(
        "<!doctype html><body style=\"margin:0\"><iframe style=\"border:0;width:{width}px;height:800px\" \
         srcdoc=\"{}\"></iframe>",
        report.replace('&', "&amp;").replace('"', "&quot;")
    );
    fs::write(&frame, content).unwrap();
    let dump = folder.join(format!("dump-{width}-{dark}.html"));
    let profile = folder.join(format!("profile-{width}-{dark}"));
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        // Scrollbars take no room on a phone.
        .args(["--hide-scrollbars", "--virtual-time-budget=20000"])
        .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!dark)))
        .arg(format!("--window-size={},900", width.max(800)))
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", frame.display()))
        .stdin(Stdio::null())
        .stdout(File::create(&dump).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{browser} did not finish");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let dumped = fs::read_to_string(&dump).unwrap();
    let (_, rest) =
        dumped.split_once("data-measured=\"").unwrap_or_else(|| panic!("no measurement: {dumped:.300}"));
    let (json, _) = rest.split_once('"').expect("the attribute ends");
    serde_json::from_str(&json.replace("&quot;", "\"").replace("&amp;", "&")).unwrap()
}
