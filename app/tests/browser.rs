//! The report in a real browser: nothing overflows, every picture shows, every link leads somewhere.

mod support;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{excavate, succeed};

/// Names under which Chromium is installed.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A phone and a laptop, in pixels.
const WIDTHS: [u32; 2] = [390, 1366];

/// A browser that takes longer hangs, as headless ones do on some machines; the test then fails instead of waiting.
const PATIENCE: Duration = Duration::from_secs(90);

/// Leaves its measurements in an attribute of the page that `--dump-dom` prints. The page stands in a frame, since a
/// headless window cannot be as narrow as a phone.
const MEASURE: &str = r##"
addEventListener("load", () => {
  const page = document.documentElement;
  const images = [...document.querySelectorAll("main img")];
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
    scrollWidth: page.scrollWidth,
    height: page.scrollHeight,
    wide: wide.slice(0, 5),
    images: images.length,
    undecoded: images.filter((image) => !image.complete || image.naturalWidth === 0).map((image) => image.alt),
    unlabelled: images.filter((image) => !image.alt).length,
    charts: document.querySelectorAll("main svg").length,
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

#[test]
fn the_report_shows_well_on_a_phone_and_on_a_laptop() {
    let Some(browser) = BROWSERS.iter().find(|name| Command::new(name).arg("--version").output().is_ok())
    else {
        eprintln!("SKIPPED: no Chromium found; the report was not opened in a browser");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    succeed(&mut excavate(&out));
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    let report = with_script(&report);

    for width in WIDTHS {
        let seen = measured(browser, folder.path(), &report, width);
        assert_eq!(seen["width"], width, "{seen}");
        assert_eq!(seen["scrollWidth"], width, "the page scrolls sideways: {seen}");
        for nothing in ["wide", "undecoded", "dangling", "doubled", "external"] {
            assert_eq!(seen[nothing], Value::Array(Vec::new()), "{nothing} at {width} px: {seen}");
        }
        assert_eq!(seen["unlabelled"], 0, "{seen}");
        for (what, least) in [("figures", 15), ("images", 12), ("charts", 5), ("tables", 5), ("links", 10)] {
            assert!(seen[what].as_u64().unwrap() >= least, "{what} at {width} px: {seen}");
        }
        assert!(seen["height"].as_u64().unwrap() > 3000, "{seen}");
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
fn measured(browser: &str, folder: &Path, report: &str, width: u32) -> Value {
    let frame = folder.join(format!("frame-{width}.html"));
    let content = format!(
        "<!doctype html><body style=\"margin:0\"><iframe style=\"border:0;width:{width}px;height:800px\" \
         srcdoc=\"{}\"></iframe>",
        report.replace('&', "&amp;").replace('"', "&quot;")
    );
    fs::write(&frame, content).unwrap();
    let dump = folder.join(format!("dump-{width}.html"));
    let profile = folder.join(format!("profile-{width}"));
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        // Scrollbars take no room on a phone.
        .args(["--hide-scrollbars", "--virtual-time-budget=20000"])
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
