"""Tables of docs/sherds.md: explanations of a ViT, a Swin and a ResNet on Sherds, over three training seeds each.

    python3 bench/sherds.py train target/release/archaeo runs/      # about an hour of processor time
    python3 bench/sherds.py score target/release/archaeo runs/      # 128 images per model
    python3 bench/sherds.py counterfactual target/release/archaeo runs/
    python3 bench/sherds.py table runs/ > table.md

Intervals are those of a hierarchical bootstrap: training runs are resampled, and images within each.
Needs Python alone.
"""

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RECIPES = {"vit": "sherds-vit", "swin": str(HERE / "sherds-swin.toml"), "resnet": "sherds-resnet"}
SEEDS = 3
IMAGES = 128
RESAMPLES = 2000
SCORES = [
    ("single_deletion", "causal"),
    ("contrastivity", "contrast"),
    ("independence", "independence"),
    ("preserved", "preserved"),
    ("lost", "lost"),
    ("auroc", "AUROC"),
    ("deletion", "deletion"),
]
WITH_INTERVAL = {"single_deletion", "contrastivity", "independence", "auroc"}


def train(archaeo, runs):
    for name, recipe in RECIPES.items():
        for seed in range(SEEDS):
            command = [archaeo, "train", "--config", recipe, "--seed", str(seed), "--out", str(runs / f"{name}-{seed}")]
            subprocess.run(command, check=True)


def score(archaeo, runs):
    for name in RECIPES:
        for seed in range(SEEDS):
            weights = runs / f"{name}-{seed}" / "model.safetensors"
            if weights.exists():
                command = [archaeo, "benchmark", "sherds", "--weights", str(weights), "--images", str(IMAGES), "--json"]
                result = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                (runs / f"{name}-{seed}.json").write_text(result)


def counterfactual(archaeo, runs):
    """The share of patches that change the answer, on as many test images, in runs/NAME-SEED.counterfactual.json."""
    for folder in sorted(runs.glob("*-*/model.safetensors")):
        with tempfile.TemporaryDirectory() as pictures:
            command = [archaeo, "explain", "--weights", str(folder), "--data", "sherds", "--limit", str(IMAGES), "--scored", "0"]
            command += ["--counterfactual", "--out", pictures + "/out", "--json"]
            result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        images = [{id: flip["share"] for id, flip in image["counterfactuals"].items()} for image in result["images"]]
        kept = {"summary": result["counterfactuals"], "images": images}
        folder.parent.with_suffix(".counterfactual.json").write_text(json.dumps(kept))


def counterfactuals(found):
    """Rows of the table, the order that takes the fewest patches first."""
    generator = random.Random(0)
    rows = []
    for method in found[0]["summary"]:
        of_runs = [[image[method] for image in run["images"]] for run in found]
        value = mean([mean(images) for images in of_runs])
        low, high = interval(of_runs, generator)
        gains = [run["summary"][method]["over_random"] for run in found]
        said = ", ".join(sorted({gain["better"] for gain in gains if gain}))
        rows.append((value, f"| `{method}` | {100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f}) | {said} |"))
    return [row for _, row in sorted(rows)]


def mean(values):
    return sum(values) / len(values)


def scores_of(run, place, key):
    """One score of a method, image by image, where it is defined."""
    values = [image["methods"][place][key] for image in run["images"] if image["methods"]]
    return [float(value) for value in values if value is not None]


def interval(of_runs, generator):
    """95 % interval of the mean over runs and images."""
    means = []
    for _ in range(RESAMPLES):
        chosen = [generator.choice(of_runs) for _ in of_runs]
        means.append(mean([mean(generator.choices(images, k=len(images))) for images in chosen]))
    means.sort()
    return means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES)]


def table(runs):
    for name in RECIPES:
        flips = [json.loads(path.read_text()) for path in sorted(runs.glob(f"{name}-?.counterfactual.json"))]
        if flips:
            print(f"### {name}: patches covered until another class is named\n\n| method | % of patches | better than random |\n|---|--:|---|")
            print("\n".join(counterfactuals(flips)) + "\n")
        found = [json.loads(path.read_text()) for path in sorted(runs.glob(f"{name}-?.json"))]
        if not found:
            continue
        accuracies = ", ".join(f"{100 * run['accuracy']['value']:.1f} %" for run in found)
        print(f"### {name}\n\nAccuracy on the images: {accuracies}.\n")
        print("| method | " + " | ".join(title for _, title in SCORES) + " | causal of each run | better than random | than the centre |")
        print("|---|" + "--:|" * (len(SCORES) + 1) + "---|---|")
        rows = []
        for place, method in enumerate(found[0]["order"]):
            generator = random.Random(0)
            cells, order = [], 0.0
            for key, _ in SCORES:
                of_runs = [scores_of(run, place, key) for run in found]
                value = mean([mean(images) for images in of_runs])
                order = value if key == "single_deletion" else order
                cell = f"{value:.2f}"
                if key in WITH_INTERVAL:
                    low, high = interval(of_runs, generator)
                    cell += f" ({low:.2f} to {high:.2f})"
                cells.append(cell)
            each = [next(score for score in run["methods"] if score["id"] == method) for run in found]
            runs_of = " ".join(f"{score['single_deletion']['value']:.2f}" for score in each)
            verdicts = []
            for key in ("better_than_random", "better_than_centre"):
                said = [next((v[key] for v in run["verdicts"] if v["method"] == method), "") for run in found]
                verdicts.append(said[0] if len(set(said)) == 1 else ", ".join(said))
            rows.append((each[0]["baseline"], -order, f"| `{method}` | " + " | ".join(cells) + f" | {runs_of} | " + " | ".join(verdicts) + " |"))
        for _, _, row in sorted(rows):
            print(row)
        print("\n| rank agreement over explanations, each run | |\n|---|---|")
        for key, title in [("mask_and_causal", "AUROC and causal"), ("deletion_and_causal", "deletion and causal"), ("mask_and_deletion", "AUROC and deletion")]:
            said = [run["agreement"][key] for run in found]
            print(f"| {title} | " + "; ".join(f"{of['value']:.2f} ({of['low']:.2f} to {of['high']:.2f})" if "value" in of else "none" for of in said) + " |")
        print("\n| what the margin loses without | mean of runs, logits | negligible |\n|---|--:|--:|")
        for place, kind in enumerate(found[0]["kinds"]):
            value = mean([run["kinds"][place]["effect"]["value"] for run in found])
            negligible = mean([run["kinds"][place]["negligible"] for run in found])
            print(f"| one {kind['kind']} | {value:.2f} | {100 * negligible:.0f} % |")
        for place, change in enumerate(found[0]["changes"]):
            value = mean([run["changes"][place]["effect"]["value"] for run in found])
            kept = mean([run["changes"][place]["kept"]["value"] for run in found])
            print(f"| {change['change']} | {value:.2f} | answer kept {100 * kept:.0f} % |")
        print()


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    folder = Path(rest[-1])
    folder.mkdir(parents=True, exist_ok=True)
    if what == "table":
        table(folder)
    else:
        {"train": train, "score": score, "counterfactual": counterfactual}[what](rest[0], folder)
