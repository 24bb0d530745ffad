//! The command line itself: help that fits a screen, prefixes, colours, how much is said, exit statuses, closed pipes.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{COMMANDS, SHERDS, VIT_CONFIG, archaeo, fail, json, stderr, stdout, succeed};

/// A command line as it is typed, on a screen of 80 columns.
fn typed(line: &str) -> Command {
    let mut command = archaeo(line.split_whitespace());
    command.env("COLUMNS", "80").env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

fn train(folder: &Path) -> PathBuf {
    let run = folder.join("run");
    let mut command = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1"]);
    succeed(command.arg("--out").arg(&run));
    run.join("model.safetensors")
}

#[test]
fn a_summary_fits_a_screen_and_says_how_to_see_the_rest() {
    for command in COMMANDS {
        let help = stdout(&succeed(&mut typed(&format!("{command} -h"))));
        let lines: Vec<&str> = help.lines().collect();
        let most = match command {
            "" => 43,
            "attention" => 28,
            "study" => 29,
            "features" => 27,
            "attack" => 32,
            "excavate" | "explain" | "corrupt" => 26,
            _ => 24,
        };
        assert!(lines.len() <= most, "`{command} -h` has {} lines:\n{help}", lines.len());
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{help}");
        let last = lines.last().unwrap();
        assert!(last.starts_with("`archaeo ") && last.contains("--help` shows all"), "{command}: {last}");
        // What a summary leaves out is in the full text.
        let full = stdout(&succeed(&mut typed(&format!("{command} --help"))));
        for option in ["--device", "--seed", "--threads", "--color", "--verbose", "--version"] {
            let listed = |help: &str| {
                let shown = ["  ", ", "].map(|before| format!("{before}{option}"));
                // `--seeds` is not `--seed`.
                let is_it = |line: &str, shown: &String| {
                    line.split_once(shown).is_some_and(|(_, rest)| !rest.starts_with(char::is_alphabetic))
                };
                help.lines().any(|line| shown.iter().any(|shown| is_it(line, shown)))
            };
            assert!(listed(&full) && !listed(&help), "{command}: {option}");
        }
    }
}

#[test]
fn help_begins_with_what_the_command_is_about() {
    let order = |command: &str, headings: &[&str]| {
        let help = stdout(&succeed(&mut typed(&format!("{command} --help"))));
        let places: Vec<usize> = headings
            .iter()
            .map(|heading| {
                help.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{heading}: {help}"))
            })
            .collect();
        assert!(places.is_sorted(), "{command}: {headings:?} {places:?}");
        help
    };
    let help = order(
        "attack",
        &[
            "Attack:",
            "Model and data:",
            "Output:",
            "Checkpoint:",
            "Preprocessing:",
            "Global options:",
            "Examples:",
        ],
    );
    let places =
        ["--attack <", "L∞", "--epsilon <", "--steps <", "--split <", "--entry <", "--mean <", "--device <"]
            .map(|option| help.find(option).unwrap_or_else(|| panic!("{option}: {help}")));
    assert!(places.is_sorted(), "{places:?}");
    order("attention", &["Attention:", "Model and data:", "Checkpoint:", "Global options:"]);
    order("excavate", &["Options:", "Models:", "Configuration:", "Global options:"]);
}

#[test]
fn statuses_are_those_of_the_help() {
    let help = stdout(&succeed(&mut typed("--help")));
    let listed: Vec<i32> = help
        .lines()
        .skip_while(|line| *line != "Exit status:")
        .skip(1)
        .map_while(|line| line.strip_prefix("  ")?.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(listed, [0, 1, 2, 75, 130, 143]);
    let status = |line: &str| {
        let output = typed(line).output().unwrap();
        assert!(output.status.success() || stdout(&output).is_empty(), "{line}");
        output.status.code()
    };
    assert_eq!(status("configs"), Some(0));
    assert_eq!(status("configs none"), Some(1));
    for line in [
        "",
        "configs a b",
        "data --sheeet x",
        "attack --steps 0 --weights x",
        "-q -v configs",
        "--color red configs",
    ] {
        assert_eq!(status(line), Some(2), "{line}");
    }
}

#[test]
fn what_is_wrong_with_a_command_line_is_said_with_the_same_prefixes() {
    let output = typed("data --sheeet x").output().unwrap();
    let said = stderr(&output);
    assert!(said.starts_with("error: unexpected argument '--sheeet'"), "{said}");
    assert!(said.contains("\nhint: ") && !said.contains("tip:"), "{said}");
    // What was typed is not a command to the terminal.
    let said = stderr(&archaeo(["configs", "sherds-vit", "\u{1b}[31m\u{7}\u{202e}x"]).output().unwrap());
    assert!(said.contains("\\u{202e}x") && !said.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{said}");
}

#[test]
fn colours_are_as_asked_for() {
    let failing = |line: &str| stderr(&typed(line).output().unwrap());
    assert!(failing("configs none").starts_with("error: there is"), "a pipe is not coloured");
    assert!(failing("configs none --color always").starts_with("\u{1b}[1;31merror:\u{1b}[0m there is"));
    assert!(failing("--color=always data --sheeet").starts_with("\u{1b}[1;31merror:\u{1b}[0m unexpected"));
    let with = |variable: &str, line: &str| {
        stderr(&typed(line).env(variable, "1").output().unwrap()).contains('\u{1b}')
    };
    assert!(!with("NO_COLOR", "configs none"));
    assert!(with("NO_COLOR", "configs none --color always"), "what is said goes before the environment");
    let help = |line: &str| stdout(&succeed(&mut typed(line)));
    assert!(help("data -h --color always").contains('\u{1b}') && !help("data -h").contains('\u{1b}'));
}

/// One bad image among good ones.
fn pictures(folder: &Path) -> PathBuf {
    let source = folder.join("scans");
    for (class, level) in [("cat", 10), ("dog", 90)] {
        for split in ["train", "test"] {
            fs::create_dir_all(source.join(split).join(class)).unwrap();
            for image in 0..4usize {
                let shade = level + 20 * image + usize::from(split == "test") * 7;
                let pixels = (0..8 * 8 * 3).map(|i| (shade + i % 13) as u8).collect();
                let file = source.join(split).join(class).join(format!("{image}.png"));
                archaeo_plot::save_png(&archaeo_plot::Image::new(8, 8, pixels), &file).unwrap();
            }
        }
    }
    fs::copy(source.join("train/cat/0.png"), source.join("train/cat/copy.png")).unwrap();
    fs::write(source.join("train/dog/bad.png"), "no picture").unwrap();
    source
}

#[test]
fn quiet_leaves_warnings_and_verbose_says_more() {
    let folder = tempfile::tempdir().unwrap();
    let source = pictures(folder.path());
    let data = |options: &[&str]| {
        let output = succeed(archaeo(["data"]).arg(&source).args(options));
        (stdout(&output), stderr(&output))
    };
    let (result, usual) = data(&[]);
    let lines = |said: &str, prefix: &str| said.lines().filter(|line| line.starts_with(prefix)).count();
    assert_eq!(lines(&usual, "warning: "), 2, "{usual}");
    assert!(usual.contains("warning: skipped ") && usual.contains("bad.png"), "{usual}");
    assert!(lines(&usual, "note: ") >= 1, "{usual}");
    let mut once: Vec<&str> = usual.lines().collect();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), usual.lines().count(), "nothing is said twice:\n{usual}");

    let (quiet_result, quiet) = data(&["-q"]);
    assert_eq!((lines(&quiet, "warning: "), quiet.lines().count()), (2, 2), "{quiet}");
    assert_eq!(quiet_result, result);
    let (verbose_result, verbose) = data(&["--verbose"]);
    assert!(verbose.contains("note: checking images: ") && verbose.contains(" s\n"), "{verbose}");
    assert_eq!(verbose_result, result);

    let weights = train(folder.path());
    let evaluate = |option: &str| {
        let mut command = archaeo(["evaluate", "--data", SHERDS, option, "--weights"]);
        stderr(&succeed(command.arg(&weights)))
    };
    assert_eq!(evaluate("-q"), "");
    let said = evaluate("-v");
    for decision in [
        "32 arrays are read",
        "2 layers of 2 heads",
        "the pooling is class-token",
        "image_size is 16, from",
        "70 of the images",
    ] {
        assert!(said.contains(decision), "{decision}: {said}");
    }
    // Even in silence, the reason why there is no result is printed.
    assert!(
        fail(archaeo(["evaluate", "-q", "--weights", "none.safetensors"]).env("COLUMNS", "80"))
            .contains("none.safetensors")
    );
}

#[test]
fn a_log_has_no_bars_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--out"]);
    let said = stderr(&succeed(command.arg(folder.path().join("run"))));
    assert!(!said.contains(['\r', '\u{1b}', '━', '─']), "{said}");
    assert_eq!(said.lines().count(), 2, "one line for each epoch:\n{said}");
    assert!(said.lines().all(|line| line.starts_with("  ") && line.chars().count() < 80), "{said}");
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    // Both streams go into a pipe that nobody reads; the status is the program's own.
    for (line, expected) in [
        ("models", 0),
        ("--help", 0),
        ("completions bash", 0),
        ("man", 0),
        ("configs none", 1),
        ("data --sheeet", 2),
    ] {
        let mut child =
            typed(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait().unwrap().code(), Some(expected), "{line}");
        let output = Command::new("sh")
            .args(["-c", r#""$0" $1 | true; exit 0"#])
            .args([env!("CARGO_BIN_EXE_archaeo"), line])
            .output()
            .unwrap();
        let said = stderr(&output);
        assert!(!said.contains("panicked") && !said.contains("Broken pipe"), "{line}: {said}");
    }
}

#[test]
fn layers_and_heads_have_one_number_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let weights = train(folder.path());
    let attention = |options: &[&str]| {
        let mut command = archaeo(["attention", "--data", SHERDS, "--limit", "6", "--weights"]);
        command.arg(&weights).args(options);
        command
    };
    let all = json(&mut attention(&[]));
    assert_eq!(all["layers"], serde_json::json!([1, 2]));
    let second = json(&mut attention(&["--layer", "2"]));
    assert_eq!(second["layers"], serde_json::json!([2]));
    assert_eq!(second["attention_distance"][0], all["attention_distance"][1]);
    assert_eq!(second["attention_distance"].as_array().unwrap().len(), 1);
    let text = stdout(&succeed(&mut attention(&["--layer", "2"])));
    assert!(text.contains("layer  2 ") && !text.contains("layer  1 "), "{text}");
    let table = folder.path().join("heads.csv");
    succeed(attention(&["--layer", "2", "--export"]).arg(&table));
    let rows = fs::read_to_string(&table).unwrap();
    let places: Vec<String> =
        rows.lines().skip(1).map(|row| row.split(',').take(2).collect::<Vec<_>>().join(".")).collect();
    assert_eq!(places, ["2.1", "2.2"]);

    for (layer, sentence) in [
        ("0", "layers are numbered from 1"),
        ("-1", "not the number of a layer"),
        ("3", "--layer 3: custom has 2 layers, numbered from 1 to 2"),
    ] {
        let said = fail(&mut attention(&["--layer", layer]));
        assert!(said.contains(sentence), "{said}");
    }

    let ablate = |json: bool| {
        let mut command = archaeo(["ablate", "--data", SHERDS, "--limit", "12", "--weights"]);
        command.arg(&weights).args(json.then_some("--json"));
        stdout(&succeed(&mut command))
    };
    let found: Value = serde_json::from_str(&ablate(true)).unwrap();
    let in_json: Vec<[u64; 2]> = found["ranking"]
        .as_array()
        .unwrap()
        .iter()
        .map(|head| ["layer", "head"].map(|key| head[key].as_u64().unwrap()))
        .collect();
    let in_text: Vec<[u64; 2]> = ablate(false)
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map_while(|word| word.parse().ok());
            Some([numbers.next()?, numbers.next()?])
        })
        .collect();
    assert_eq!(in_json, in_text);
    assert_eq!(in_json.iter().flatten().min(), Some(&1));
}

#[test]
fn configurations_come_with_the_program() {
    let listed = json(&mut archaeo(["configs"]));
    let names: Vec<&str> =
        listed.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"sherds-vit") && names.contains(&"excavate"), "{names:?}");
    let text = stdout(&succeed(&mut archaeo(["configs"])));
    assert!(
        names
            .iter()
            .all(|name| text.lines().filter(|line| line.starts_with(&format!("{name} "))).count() == 1),
        "{text}"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");

    // What is printed is the recipe, and its name stands for it where there is no such file.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.toml");
    fs::write(&copy, succeed(&mut archaeo(["configs", "sherds-vit"])).stdout).unwrap();
    let trained = |config: &str| {
        let out = folder.path().join(format!("run-{}", config.replace('.', "-")));
        let mut command =
            archaeo(["train", "--data", "sherds:size=16,train=64,val=16,test=16", "--config", config]);
        command.args(["--set", "epochs=1", "--set", "image_size=16", "--out"]).arg(&out);
        succeed(command.current_dir(folder.path()));
        fs::read_to_string(out.join("config.toml")).unwrap()
    };
    assert_eq!(trained("sherds-vit"), trained("copy.toml"));
    // A file of the same name goes first.
    fs::write(folder.path().join("sherds-vit"), "epocs = 1").unwrap();
    let mut command = archaeo(["train", "--config", "sherds-vit", "--data", SHERDS, "--out", "never"]);
    assert!(fail(command.current_dir(folder.path())).contains("epocs"));
}

#[test]
fn a_configuration_is_written_to_start_from_and_nothing_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let init = |options: &[&str]| {
        let mut command = archaeo(["init"]);
        command.args(options).current_dir(folder.path());
        command
    };
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let built_in = |name: &str| succeed(&mut archaeo(["configs", name])).stdout;

    let said = stdout(&succeed(&mut init(&[])));
    assert!(said.contains("`archaeo excavate --config excavate.toml`"), "{said}");
    assert_eq!(read("excavate.toml"), built_in("excavate"));
    fs::write(folder.path().join("excavate.toml"), "mine").unwrap();
    let refused = fail(&mut init(&[]));
    assert!(refused.contains("excavate.toml is there already") && refused.contains("--force"), "{refused}");
    assert_eq!(read("excavate.toml"), b"mine");
    succeed(&mut init(&["--force"]));
    assert_eq!(read("excavate.toml"), built_in("excavate"));

    let written = json(&mut init(&["sherds-vit", "--out", "my.toml"]));
    assert_eq!((&written["file"], &written["name"]), (&"my.toml".into(), &"sherds-vit".into()));
    assert_eq!(written["next"], "archaeo train --config my.toml --out runs/sherds-vit");
    assert_eq!(read("my.toml"), built_in("sherds-vit"));
    assert!(fail(&mut init(&["sherds-vat"])).contains("there is no configuration `sherds-vat`"));
    assert!(fail(&mut init(&["--out", "none/my.toml"])).contains("there is no folder none"));
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&succeed(&mut archaeo(["completions", shell])));
        for word in
            COMMANDS.iter().flat_map(|command| command.split(' ')).chain(["--weights", "--vit-class-names"])
        {
            assert!(script.contains(word.trim_start_matches('-')), "{shell}: {word}");
        }
    }
    let output = archaeo(["completions", "tcsh"]).output().unwrap();
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""));
}

#[test]
fn manual_pages_say_what_help_says() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let written = json(archaeo(["man"]).arg(&pages));
    assert_eq!(written["pages"].as_array().unwrap().len(), COMMANDS.len());
    let page = |name: &str| fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
    assert_eq!(page("archaeo"), stdout(&succeed(&mut archaeo(["man"]))));
    for command in COMMANDS {
        let name = format!("archaeo {command}").trim_end().replace(' ', "-");
        let page = page(&name);
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
        // A summary of options leaves some out, a manual none; and each is explained.
        assert!(page.contains("Number of threads"), "{name}");
        assert!(!page.contains("\\fR\n\n.TP"), "an option of {name} is not explained");
    }
    assert!(page("archaeo-attack").contains("pgd"), "the values are listed");
    let in_the_way = pages.join("archaeo.1").join("man1");
    assert!(fail(archaeo(["man"]).arg(in_the_way)).contains("cannot make the folder"));
}
