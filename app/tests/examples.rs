//! Every example of a help text works, with small models and data in place of a person's own. An example that [`EXAMPLES`] does not
//! list fails the test, and so does a line of the list that no help text has.

mod support;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use archaeo_models::clip::{Clip, ClipConfig};
use archaeo_models::{state_of, write_arrays};
use archaeo_plot::{Image, save_png};
use archaeo_random::{keyed_rng, standard_normal};
use burn::tensor::Device;
use support::{CONFIG, SHERDS, archaeo, excavate, stderr, stdout, succeed};

/// What an example needs besides the files that every one finds in its folder (see [`fixtures`]): options that make it small.
enum Small {
    /// Nothing: it is small.
    AsItIs,
    /// The tiny configuration, on tiny Sherds.
    ConfigAndSherds,
    /// The tiny configuration, for few images.
    Config,
    /// Tiny Sherds, and one epoch on small images.
    Sherds,
    /// One epoch on batches that the few images fill.
    OneEpoch,
    /// One epoch of each regime, on small images.
    Regimes,
    /// One epoch, on tiny Sherds.
    PatchSizes,
    /// Few images.
    Limit,
    /// A small CLIP, which its weights alone do not name.
    Clip,
    /// Few images, and few to learn from.
    FewToLearn,
    /// Few passes over one image.
    FewPasses,
    /// The same, at one size.
    Profile,
    /// Nothing: it serves until it is stopped.
    Served,
    /// Nothing: it may end with the sentence that Typst is not there.
    Typst,
    /// Nothing: it ends with the sentence that a model which has seen few images is told.
    NoBetterThanChance,
    /// Nothing: it ends with the sentence that no answer is there.
    NotAnswered,
    /// Nothing: it ends with the sentence that one process made the folder.
    NoShards,
}

const EXAMPLES: &[(&str, Small)] = &[
    ("archaeo excavate --quick", Small::ConfigAndSherds),
    ("archaeo data scans/", Small::AsItIs),
    ("archaeo configs sherds-vit", Small::AsItIs),
    ("archaeo excavate", Small::ConfigAndSherds),
    ("archaeo excavate --data scans/ --quick", Small::Config),
    ("archaeo excavate --data scans/ --vit a.safetensors --cnn b.safetensors", Small::Config),
    ("archaeo excavate --data scans/ --vit a.safetensors --add swin=c.safetensors", Small::Config),
    ("archaeo excavate --set models.vit.seeds=3", Small::ConfigAndSherds),
    ("archaeo excavate --out runs/first", Small::ConfigAndSherds),
    ("archaeo excavate --shard 0/4", Small::ConfigAndSherds),
    ("archaeo study", Small::AsItIs),
    ("archaeo study attacks --vit a.safetensors --cnn b.safetensors", Small::Config),
    ("archaeo study heads --data scans/ --vit a.safetensors --out runs/heads", Small::Config),
    ("archaeo merge archaeo-out", Small::NoShards),
    ("archaeo merge archaeo-out --missing", Small::NoShards),
    ("archaeo submit slurm --shards 8 -- excavate --data scans/ --out runs/scans", Small::AsItIs),
    ("archaeo submit kubernetes --shards 4 -- study heads --vit vit.safetensors", Small::AsItIs),
    ("archaeo train --config sherds-vit --out runs/vit", Small::Sherds),
    ("archaeo train --config my.toml --data ../cifar10 --out runs/resnet", Small::OneEpoch),
    ("archaeo train --config my.toml --set epochs=10 --out runs/longer", Small::Sherds),
    ("archaeo train --config my.toml --seeds 3 --out runs/three", Small::Sherds),
    ("archaeo train --config eurosat-vit-full --init a.safetensors --out a", Small::Sherds),
    ("archaeo train --config my.toml --track csv,wandb --out runs/table", Small::Sherds),
    ("archaeo compare --config regimes --init vit.safetensors --out runs/four", Small::Regimes),
    ("archaeo compare --config patch-sizes --out runs/patch-sizes", Small::PatchSizes),
    ("archaeo track archaeo-out/vit --to wandb", Small::AsItIs),
    ("archaeo evaluate --weights vit.safetensors --split conflict --json", Small::AsItIs),
    ("archaeo evaluate --weights vit.safetensors --data scans/ --export answers.csv", Small::AsItIs),
    ("archaeo evaluate --weights clip/ --prompts cifar --data ../cifar10", Small::Clip),
    ("archaeo features --weights vit.safetensors --data scans/ --out features", Small::AsItIs),
    ("archaeo features --weights a.safetensors --weights b.safetensors --data scans/", Small::AsItIs),
    ("archaeo features --weights vit.safetensors --random --export features.npz", Small::FewToLearn),
    ("archaeo prompts --weights clip/ --prompts cifar --data ../cifar10", Small::Clip),
    ("archaeo prompts --weights clip/ --prompts mine.txt --data scans/ --out prompts", Small::Clip),
    ("archaeo explain photo.jpg --weights vit.safetensors", Small::AsItIs),
    ("archaeo explain scans/ --weights vit.safetensors --methods rollout,grad-cam", Small::AsItIs),
    ("archaeo explain photo.jpg --weights vit.safetensors --target star --layer 1", Small::AsItIs),
    ("archaeo explain photo.jpg --weights vit.safetensors --counterfactual", Small::AsItIs),
    ("archaeo explain --weights vit.safetensors --limit 20 --export maps.npz", Small::AsItIs),
    ("archaeo lab --open", Small::Served),
    ("archaeo lab --run archaeo-out", Small::Served),
    ("archaeo lab --weights vit.safetensors --weights cnn.safetensors --data scans/", Small::Served),
    ("archaeo figure --run archaeo-out", Small::AsItIs),
    ("archaeo figure accuracy-1 --run archaeo-out --width 3.25in", Small::AsItIs),
    ("archaeo figure attacks-1 --run archaeo-out --width 8.5cm --format pdf", Small::Typst),
    ("archaeo attention --weights vit.safetensors --limit 128", Small::AsItIs),
    ("archaeo attention --weights vit.safetensors --layer 1,2", Small::Limit),
    ("archaeo attention --weights vit.safetensors --against a.safetensors --out out", Small::Limit),
    ("archaeo attention --weights archaeo-out/vit --strata --out figures", Small::Limit),
    ("archaeo attention --weights vit.safetensors --data scans/ --export heads.npz", Small::AsItIs),
    ("archaeo attack --weights cnn.safetensors --epsilon 1,2,4,8 --limit 200", Small::AsItIs),
    ("archaeo attack --weights cnn.safetensors --attack fgsm --epsilon 8/255", Small::Limit),
    ("archaeo attack --weights cnn.safetensors --norm l2 --epsilon 0.5", Small::Limit),
    ("archaeo attack --weights vit.safetensors --attack apgd --epsilon 4 --save out", Small::Limit),
    ("archaeo attack --weights cnn.safetensors --attack minimal --out curves", Small::Limit),
    ("archaeo attack --weights cnn.safetensors --attack doctor --limit 100", Small::AsItIs),
    ("archaeo attack --weights cnn.safetensors --add vit=vit.safetensors --epsilon 4", Small::Limit),
    ("archaeo attack --weights vit.safetensors --attack saga --add b=b.safetensors", Small::Limit),
    ("archaeo corrupt --weights cnn.safetensors --limit 200", Small::AsItIs),
    ("archaeo corrupt --weights cnn.safetensors --corruption fog,snow --severity 3", Small::Limit),
    ("archaeo corrupt --weights vit.safetensors --baseline cnn.safetensors", Small::Limit),
    ("archaeo corrupt --weights vit.safetensors --corruption patch-shuffle", Small::Limit),
    ("archaeo corrupt --weights cnn.safetensors --limit 200 --out damage", Small::AsItIs),
    ("archaeo ablate --weights vit.safetensors --limit 500", Small::AsItIs),
    ("archaeo ablate --weights vit.safetensors --limit 500 --export heads.csv", Small::AsItIs),
    ("archaeo ablate --weights vit.safetensors --curve --mlp --layers --pairs 20", Small::Limit),
    ("archaeo ablate --weights vit.safetensors --only 1.1,2.2 --limit 500", Small::AsItIs),
    ("archaeo ablate --weights cnn.safetensors --layers", Small::Limit),
    ("archaeo benchmark sherds --weights vit.safetensors", Small::NoBetterThanChance),
    (
        "archaeo benchmark sherds --weights vit.safetensors --methods rollout,chefer",
        Small::NoBetterThanChance,
    ),
    ("archaeo benchmark sherds:noise=0.1 --weights vit.safetensors --images 50", Small::NoBetterThanChance),
    ("archaeo audit --weights vit.safetensors --images 40", Small::AsItIs),
    ("archaeo audit --weights vit.safetensors --images 40 --departures raw-distance", Small::AsItIs),
    ("archaeo audit --weights vit.safetensors --data scans/ --out audit", Small::AsItIs),
    ("archaeo profile vit_small_patch16_224 swin_tiny_patch4_window7_224 --out cost", Small::Profile),
    ("archaeo profile vit_tiny_patch16_224 vit_micro --image-sizes 96,192,384", Small::FewPasses),
    ("archaeo profile a.safetensors b.safetensors --data scans/", Small::Profile),
    ("archaeo data scans/ --sheet sheet.png --per-class 5", Small::AsItIs),
    ("archaeo data sherds:correlation=0.9 --split train --sheet sherds.png", Small::AsItIs),
    ("archaeo lesson --list", Small::AsItIs),
    ("archaeo lesson 1", Small::AsItIs),
    ("archaeo lesson 6 --out week-6", Small::AsItIs),
    ("archaeo lesson 1 --check answers/", Small::NotAnswered),
    ("archaeo models", Small::AsItIs),
    ("archaeo models show resnet50", Small::AsItIs),
    ("archaeo configs", Small::AsItIs),
    ("archaeo init", Small::AsItIs),
    ("archaeo init sherds-vit --out my-vit.toml", Small::AsItIs),
    ("archaeo export --weights vit.safetensors --out exported/", Small::AsItIs),
    ("archaeo report archaeo-out", Small::AsItIs),
    ("archaeo report archaeo-out --format pdf --detail summary", Small::Typst),
    ("archaeo verify archaeo-out", Small::AsItIs),
    ("archaeo verify archaeo-out/report.html --seed 7 --sample 100", Small::AsItIs),
    ("archaeo verify archaeo-out --deep", Small::AsItIs),
    ("archaeo verify archaeo-out --sign minisign.key", Small::AsItIs),
    ("archaeo verify archaeo-out --public-key minisign.pub", Small::AsItIs),
    ("archaeo card archaeo-out --model vit", Small::AsItIs),
    ("archaeo card archaeo-out --out cards/", Small::AsItIs),
    ("archaeo card runs/vit --license mit --out runs/vit", Small::AsItIs),
    ("archaeo completions bash", Small::AsItIs),
    ("archaeo completions zsh", Small::AsItIs),
    ("archaeo man", Small::AsItIs),
    ("archaeo man man1/", Small::AsItIs),
];

impl Small {
    fn options(&self) -> Vec<&str> {
        match self {
            Self::AsItIs
            | Self::NoBetterThanChance
            | Self::NoShards
            | Self::NotAnswered
            | Self::Served
            | Self::Typst => Vec::new(),
            Self::ConfigAndSherds => vec!["--config", CONFIG, "--data", SHERDS, "--set", "epochs=1"],
            Self::Config => vec!["--config", CONFIG, "--set", "epochs=1", "--set", "batch_size=8"],
            Self::Sherds => vec!["--data", SHERDS, "--set", "epochs=1", "--set", "image_size=16"],
            Self::OneEpoch => vec!["--set", "epochs=1", "--set", "batch_size=8"],
            Self::Limit => vec!["--limit", "20"],
            Self::Regimes => vec!["--data", SHERDS, "--set", "epochs=1", "--set", "image_size=16"],
            Self::PatchSizes => vec!["--data", SHERDS, "--set", "epochs=1"],
            Self::FewToLearn => vec!["--limit", "40", "--training", "60"],
            Self::FewPasses => vec!["--rounds", "6", "--batch-size", "1"],
            Self::Profile => vec!["--rounds", "6", "--batch-size", "1", "--image-sizes", "32"],
            Self::Clip => vec!["--model", "clip_vit_micro_patch4"],
        }
    }
}

/// The help texts of the program and of every command in it.
fn helps() -> Vec<String> {
    let mut helps = Vec::new();
    let mut open = vec![Vec::<String>::new()];
    while let Some(command) = open.pop() {
        let words = command.iter().map(String::as_str).chain(["--help"]);
        let help = stdout(&succeed(archaeo(words).env("COLUMNS", "80")));
        let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in commands.take_while(|line| !line.is_empty()) {
            let name = line.trim_start().split(' ').next().unwrap_or_default();
            if line.starts_with("  ") && !line.starts_with("   ") && name != "help" {
                open.push(command.iter().cloned().chain([name.to_owned()]).collect());
            }
        }
        helps.push(help);
    }
    helps
}

/// The examples in a help text, without what is said about them.
fn examples(help: &str) -> impl Iterator<Item = String> + '_ {
    let lines =
        help.lines().filter_map(|line| line.strip_prefix("  ").filter(|line| line.starts_with("archaeo ")));
    lines.map(|line| line.split("  ").next().unwrap_or_default().to_owned())
}

fn picture(file: &Path, level: usize) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let pixels = (0..16 * 16 * 3).map(|i| ((level + i * (level % 7 + 1)) % 251) as u8).collect();
    save_png(&Image::new(16, 16, pixels), file).unwrap();
}

/// Models of two kinds, trained on Sherds; a CLIP; folders of images with some of Sherds' classes; a recipe; an investigation.
fn fixtures(folder: &Path) {
    let here = folder.join("here");
    fs::create_dir(&here).unwrap();
    let out = here.join("archaeo-out");
    succeed(excavate(&out).args(["--set", "epochs=1", "--set", "models.vit.keep_checkpoints=[1]"]));
    let keys = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    fs::write(here.join("minisign.key"), keys.sk.to_box(None).unwrap().into_string()).unwrap();
    fs::write(here.join("minisign.pub"), keys.pk.to_box().unwrap().into_string()).unwrap();
    let sign = here.join("minisign.key");
    succeed(archaeo(["verify"]).arg(&out).args(["--sample", "0", "--sign"]).arg(&sign));
    for (role, names) in [("vit", &["vit", "a"][..]), ("cnn", &["cnn", "b", "c"])] {
        for name in names {
            let file = here.join(format!("{name}.safetensors"));
            fs::copy(out.join(role).join("model.safetensors"), file).unwrap();
        }
    }
    for (class, level) in [("disc", 0), ("star", 100)] {
        for image in 0..12 {
            picture(&here.join(format!("scans/{class}/{image:02}.png")), level + 5 * image);
            picture(&folder.join(format!("cifar10/{class}/{image:02}.png")), level + 5 * image);
        }
    }
    // Images are recognised by their first bytes, whatever their ending.
    picture(&here.join("photo.jpg"), 40);
    let recipe = "image_size = 16\nepochs = 2\nbatch_size = 8\nlearning_rate = 0.01\n[model]\narchitecture = \"resnet\"\nstem = \"cifar\"\nbranch = \"basic\"\n\
                  blocks = [1, 1, 1, 1]\nwidth = 8\n";
    fs::write(here.join("my.toml"), recipe).unwrap();
    fs::create_dir(here.join("answers")).unwrap();
    fs::write(here.join("mine.txt"), "a scan of a {}.\na drawing of a {}.\n").unwrap();
    let clip = Clip::new(&ClipConfig::named("clip_vit_micro_patch4", 32).unwrap(), &Device::flex()).unwrap();
    let mut state = state_of(&clip);
    for (name, array) in state.iter_mut().filter(|(_, array)| array.shape.len() > 1) {
        let mut rng = keyed_rng(0, name, 0, 0);
        array.values.iter_mut().for_each(|value| *value = (0.3 * standard_normal(&mut rng)) as f32);
    }
    fs::create_dir(here.join("clip")).unwrap();
    write_arrays(&here.join("clip/model.safetensors"), &state, HashMap::new()).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

/// Waits for the address that a server prints, and stops it; without a browser, which `--open` would start.
fn served(command: &mut Command) -> Result<(), String> {
    let mut server = command
        .env("PATH", "")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let mut address = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut address).map_err(|e| e.to_string())?;
    let _ = server.kill();
    let output = server.wait_with_output().map_err(|e| e.to_string())?;
    match address.starts_with("http://127.0.0.1:") {
        true => Ok(()),
        false => Err(stderr(&output)),
    }
}

#[test]
fn every_example_of_a_help_text_works() {
    let written: BTreeSet<String> =
        helps().iter().flat_map(|help| examples(help).collect::<Vec<_>>()).collect();
    let listed: BTreeSet<String> = EXAMPLES.iter().map(|(example, _)| (*example).to_owned()).collect();
    let unlisted: Vec<_> = written.difference(&listed).collect();
    assert!(unlisted.is_empty(), "EXAMPLES says nothing of {unlisted:#?}");
    let unwritten: Vec<_> = listed.difference(&written).collect();
    assert!(unwritten.is_empty(), "no help text has {unwritten:#?}");

    let world = tempfile::tempdir().unwrap();
    fixtures(world.path());
    let world = world.path();
    let run = &|(place, (example, small)): (usize, &(&str, Small))| {
        // A folder of its own, so that no example finds what another one wrote.
        let own = world.join(place.to_string());
        copy(&world.join("here"), &own.join("here"));
        copy(&world.join("cifar10"), &own.join("cifar10"));
        if example.starts_with("archaeo card runs/vit") {
            copy(&own.join("here/archaeo-out/vit"), &own.join("here/runs/vit"));
        }
        if example.starts_with("archaeo excavate") || example.starts_with("archaeo study") {
            fs::remove_dir_all(own.join("here/archaeo-out")).unwrap();
        }
        let words = example.split(' ').skip(1).chain(small.options());
        let mut command = archaeo(words);
        command.current_dir(own.join("here"));
        if matches!(small, Small::Served) {
            return served(&mut command).err().map(|said| format!("{example}\n{said}"));
        }
        let output = command.output().unwrap();
        let as_told = match small {
            Small::NoBetterThanChance => stderr(&output).contains("no better than chance"),
            Small::NotAnswered => stderr(&output).contains("0 of 6 answers"),
            Small::NoShards => stderr(&output).contains("holds no shard"),
            Small::Typst => stderr(&output).contains("`typst`, which is not on the PATH"),
            _ => false,
        };
        (!output.status.success() && !as_told).then(|| format!("{example}\n{}", stderr(&output)))
    };
    let failures: Vec<String> = thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            scope.spawn(move || {
                EXAMPLES
                    .iter()
                    .enumerate()
                    .filter(|(place, _)| place % 2 == half)
                    .filter_map(run)
                    .collect::<Vec<_>>()
            })
        });
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
