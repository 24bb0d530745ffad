"""Times archaeo's attacks and those of published programs on the same model, images and threads, alternately, and prints the ratios.

    cargo build --release -p archaeo
    python bench/attacks.py target/release/archaeo --photo-weights vit_tiny_patch16_224.safetensors --photos imagenet-photos-128.tar
    python bench/attacks.py target/release/archaeo --vit archaeo-out/vit

Needs torch, timm, torchattacks, pyautoattack and what scripts/check_attacks.py needs. See README.md next to this file for what is measured.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))


def clocks(who):
    """Time on the wall, and time of the processor."""
    used = resource.getrusage(who)
    return np.array([time.perf_counter(), used.ru_utime + used.ru_stime])


def ours(options, row, weights, data, folder=None):
    """Seconds of the whole command with loading, and how many images it fools."""
    attack, size, count, more, _ = row
    command = [options.archaeo, "attack", "--weights", weights, *data, "--limit", count, "--attack", attack]
    command += ["--epsilon", size, *more, "--threads", options.threads, "--json", *(["--save", folder] if folder else [])]
    started = clocks(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    seconds = clocks(resource.RUSAGE_CHILDREN) - started
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    fooled = json.loads(done.stdout)["points"][1]["fooled"]
    return seconds, fooled["n"] if fooled else 0


# Attack, size in units of 1/255, images, our options, whose attack ours is held against.
PGD = ["--steps", 10, "--loss", "cross-entropy"]
PHOTOS = [("pgd", 1, 16, PGD, "torchattacks"), ("pgd", 4, 16, PGD, "torchattacks")]
SHERDS = [("autoattack", 4, 32, [], "pyautoattack"), ("autoattack", 4, 32, [], "torchattacks")]


def theirs(model, images, labels, row):
    """Seconds of the attack alone, and how many images it fools."""
    import torch
    import torchattacks
    from check_attacks import autoattack, published_autoattack

    attack, size, _, _, reference = row
    size /= 255
    if attack == "pgd":
        made = torchattacks.PGD(model, eps=size, alpha=size / 4, steps=10)
    elif reference == "pyautoattack":
        made = lambda images, labels: published_autoattack("Linf")(model, images, labels, size)
    else:
        made = autoattack(model, size, 10)
    with torch.no_grad():
        right = model(images).argmax(1) == labels
    started = clocks(resource.RUSAGE_SELF)
    found = made(images, labels)
    seconds = clocks(resource.RUSAGE_SELF) - started
    with torch.no_grad():
        return seconds, int(((model(found).argmax(1) != labels) & right).sum())


def compare(options, row, weights, data):
    import torch
    from check_attacks import Subject, loaded, picture

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ours(options, ("fgsm", *row[1:3], [], None), weights, data, folder / "saved")
        entries = json.loads((folder / "saved" / "attacked.json").read_text())["images"]
        images = torch.stack([picture(folder / "saved" / entry["clean"]) for entry in entries])
        labels = torch.tensor([entry["label"] for entry in entries])
        model = loaded(options.archaeo, Subject("", weights, [], {}), folder)
        turns = [(ours(options, row, weights, data), theirs(model, images, labels, row)) for _ in range(options.rounds)]
    # Other load only adds time.
    a, b = (np.min([seconds for seconds, _ in side], axis=0) for side in zip(*turns))
    fooled = [count for _, count in turns[0]]
    print(
        f"{row[0]} at {row[1]}/255, {len(labels)} images, {options.threads} threads: ours {a[0]:.2f} s ({a[1]:.2f} s of the processor), fools "
        f"{fooled[0]}; {row[4]} {b[0]:.2f} s ({b[1]:.2f} s), fools {fooled[1]}; {b[0] / a[0]:.2f} times as fast ({b[1] / a[1]:.2f} by the "
        f"processor's time)",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archaeo", type=Path)
    parser.add_argument("--photo-weights", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--vit", type=Path, help="a ViT trained on Sherds")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    options.archaeo = options.archaeo.resolve()
    for row in PHOTOS if options.photos else []:
        compare(options, row, options.photo_weights, ["--data", options.photos])
    for row in SHERDS if options.vit else []:
        compare(options, row, options.vit, [])


if __name__ == "__main__":
    main()
