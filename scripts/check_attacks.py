"""Runs our attacks and those of published libraries on the same models and images, and compares image by image.

    pip install torch timm torchvision safetensors numpy pillow torchattacks foolbox
    pip install --no-deps adv-lib pyautoattack
    python scripts/check_attacks.py path/to/archaeo [--vit vit/model.safetensors] [--cnn cnn/model.safetensors [--cnn-data cifar10]]
        [--photo-weights vit_tiny_patch16_224.safetensors --photos imagenet-photos-128.tar] [--images 64] [--only ID,ID]
        [--reference adv-lib]

Of a budget attack: ours succeeds on at least as many images as the reference at the same size. Ours are images of 8 bits in the ball. The
reference's lie between levels; they are counted as they are and rounded to 8 bits, as a file would hold them, and ours is held against the
latter, even where rounding leaves the ball. Of an attack that looks for the smallest perturbation: ours is at most 1 %
larger on 95 % of the images.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import numpy as np
import timm
import torch
from PIL import Image

sys.modules.setdefault("visdom", types.ModuleType("visdom"))  # adv-lib imports it for plots that nobody asks for.
import foolbox as fb  # noqa: E402
import torchattacks  # noqa: E402
from adv_lib import attacks as adv  # noqa: E402
from pyautoattack import AutoAttack  # noqa: E402
from pyautoattack.square import SquareAttack  # noqa: E402

from check_export import library_model  # noqa: E402

NORMS = {"linf": float("inf"), "l2": 2, "l1": 1, "l0": 0}
SEED = 0


@dataclass
class Row:
    """One comparison: our attack with its options, and what a reference makes of a batch.

    `reference(model, images, labels, size)` takes images in [0, 1] and a size in the units of those, and returns images; a row of an
    attack that looks for the smallest perturbation has no use for the size.
    """

    attack: str
    norm: str
    title: str
    reference: Callable
    options: list = field(default_factory=list)
    smallest: bool = False
    # Takes too long for many images of a large model.
    slow: bool = False


def torchattack(make):
    return lambda model, images, labels, size: make(model, size, int(model(images[:1]).shape[1]))(images, labels)


def autoattack(model, size, classes):
    """The standard cascade with the 100 steps of its paper: torchattacks' own has 10."""
    shared = {"norm": "Linf", "eps": size, "seed": SEED, "n_restarts": 1}
    return torchattacks.MultiAttack(
        [
            torchattacks.APGD(model, **shared, steps=100, loss="ce"),
            torchattacks.APGDT(model, **shared, steps=100, n_classes=classes),
            torchattacks.FAB(model, **shared, steps=100, multi_targeted=True, n_classes=classes),
            torchattacks.Square(model, **shared, n_queries=5000),
        ]
    )


def published_autoattack(norm):
    """The standard cascade by the program of its authors."""

    def reference(model, images, labels, size):
        cascade = AutoAttack(model, norm=norm, eps=size, seed=SEED, version="standard")
        return cascade.run_standard_evaluation(images, labels, batch_size=len(images))[0]

    return reference


def published_square(norm, queries):
    """Square by the program of its authors."""

    def reference(model, images, labels, size):
        options = {"norm": norm, "n_queries": queries, "eps": size, "p_init": 0.8, "resc_schedule": True}
        return SquareAttack(model, **options, seed=SEED, device="cpu").perturb(images, labels)

    return reference


def steps(count):
    return ["--steps", str(count)]


ROWS = [
    Row("fgsm", "linf", "torchattacks FGSM", torchattack(lambda m, e, k: torchattacks.FGSM(m, eps=e))),
    Row("bim", "linf", "torchattacks BIM", torchattack(lambda m, e, k: torchattacks.BIM(m, eps=e, alpha=e / 10, steps=10))),
    Row(
        "mi-fgsm",
        "linf",
        "torchattacks MIFGSM",
        torchattack(lambda m, e, k: torchattacks.MIFGSM(m, eps=e, alpha=e / 10, steps=10, decay=1.0)),
    ),
    Row(
        "pgd",
        "linf",
        "torchattacks PGD",
        torchattack(lambda m, e, k: torchattacks.PGD(m, eps=e, alpha=e / 4, steps=10)),
    ),
    Row(
        "pgd",
        "l2",
        "torchattacks PGDL2",
        torchattack(lambda m, e, k: torchattacks.PGDL2(m, eps=e, alpha=e / 5, steps=10)),
    ),
    Row(
        "apgd",
        "linf",
        "torchattacks APGD, cross-entropy",
        torchattack(lambda m, e, k: torchattacks.APGD(m, norm="Linf", eps=e, steps=100, loss="ce", seed=SEED)),
    ),
    Row(
        "apgd",
        "linf",
        "adv-lib APGD, DLR",
        lambda m, x, y, e: adv.apgd(m, x, y, eps=e, norm=float("inf"), n_iter=100, loss_function="dlr"),
        options=["--loss", "dlr"],
    ),
    Row(
        "apgd",
        "l2",
        "adv-lib APGD, cross-entropy",
        lambda m, x, y, e: adv.apgd(m, x, y, eps=e, norm=2, n_iter=100, loss_function="ce"),
    ),
    Row(
        "apgd",
        "l1",
        "adv-lib APGD-L1, larger balls first",
        lambda m, x, y, e: adv.apgd(m, x, y, eps=e, norm=1, n_iter=100, loss_function="ce", use_large_reps=True),
    ),
    Row(
        "apgd-t",
        "linf",
        "adv-lib APGD-T",
        lambda m, x, y, e: adv.apgd_targeted(m, x, y, eps=e, norm=float("inf"), n_iter=100, num_targets=9),
        slow=True,
    ),
    Row(
        "apgd-t",
        "l2",
        "adv-lib APGD-T",
        lambda m, x, y, e: adv.apgd_targeted(m, x, y, eps=e, norm=2, n_iter=100, num_targets=9),
        slow=True,
    ),
    Row("fab-t", "linf", "adv-lib FAB", lambda m, x, y, e: adv.fab(m, x, y, norm=float("inf")), slow=True),
    Row("fab-t", "l2", "adv-lib FAB", lambda m, x, y, e: adv.fab(m, x, y, norm=2), slow=True),
    Row("fab-t", "l1", "adv-lib FAB", lambda m, x, y, e: adv.fab(m, x, y, norm=1), slow=True),
    Row(
        "square",
        "linf",
        "torchattacks Square",
        torchattack(lambda m, e, k: torchattacks.Square(m, norm="Linf", eps=e, n_queries=1000, seed=SEED)),
        options=steps(1000),
    ),
    Row(
        "square",
        "l2",
        "torchattacks Square",
        torchattack(lambda m, e, k: torchattacks.Square(m, norm="L2", eps=e, n_queries=1000, seed=SEED)),
        options=steps(1000),
    ),
    Row("square", "l1", "pyautoattack Square", published_square("L1", 1000), options=steps(1000)),
    Row("autoattack", "linf", "torchattacks AutoAttack, 100 steps", torchattack(autoattack), slow=True),
    Row("autoattack", "linf", "pyautoattack standard", published_autoattack("Linf"), slow=True),
    Row("autoattack", "l2", "pyautoattack standard", published_autoattack("L2"), slow=True),
    Row("autoattack", "l1", "pyautoattack standard", published_autoattack("L1"), slow=True),
]


def foolbox(make):
    """An attack of Foolbox, which stops nowhere but at the smallest perturbation it finds."""

    def reference(model, images, labels, size):
        wrapped = fb.PyTorchModel(model, bounds=(0, 1), device="cpu")
        return make()(wrapped, images, labels, epsilons=None)[1]

    return reference


def adv_lib(attack, **options):
    return lambda model, images, labels, size: attack(model, images, labels, **options)


# Attacks that look for the smallest perturbation, with the same number of steps on both sides.
STEPS = 100
SMALLEST = [
    ("ddn", "l2", STEPS, "adv-lib DDN, unrounded", adv_lib(adv.ddn, steps=STEPS, levels=None)),
    ("ddn", "l2", STEPS, "Foolbox DDN", foolbox(lambda: fb.attacks.DDNAttack(steps=STEPS))),
    ("fmn", "l2", STEPS, "adv-lib FMN", adv_lib(adv.fmn, norm=2, steps=STEPS)),
    ("fmn", "l2", STEPS, "Foolbox FMN", foolbox(lambda: fb.attacks.L2FMNAttack(steps=STEPS))),
    ("fmn", "linf", STEPS, "adv-lib FMN", adv_lib(adv.fmn, norm=float("inf"), steps=STEPS, α_init=10.0)),
    ("fmn", "linf", STEPS, "Foolbox FMN", foolbox(lambda: fb.attacks.LInfFMNAttack(steps=STEPS))),
    ("fmn", "l1", STEPS, "adv-lib FMN", adv_lib(adv.fmn, norm=1, steps=STEPS)),
    ("fmn", "l0", STEPS, "adv-lib FMN", adv_lib(adv.fmn, norm=0, steps=STEPS)),
    ("pdpgd", "l2", STEPS, "adv-lib PDGD", adv_lib(adv.pdgd, num_steps=STEPS)),
    ("pdpgd", "linf", STEPS, "adv-lib PDPGD", adv_lib(adv.pdpgd, norm=float("inf"), num_steps=STEPS)),
    ("pdpgd", "l1", STEPS, "adv-lib PDPGD", adv_lib(adv.pdpgd, norm=1, num_steps=STEPS)),
    ("pdpgd", "l0", STEPS, "adv-lib PDPGD, 2/3", adv_lib(adv.pdpgd, norm=0, proximal_operator=23, num_steps=STEPS)),
    ("sigma-zero", "l0", STEPS, "adv-lib sigma-zero", adv_lib(adv.sigma_zero, num_steps=STEPS)),
    ("deepfool", "l2", 50, "adv-lib DeepFool", adv_lib(adv.df, norm=2, steps=50)),
    ("deepfool", "linf", 50, "adv-lib DeepFool", adv_lib(adv.df, norm=float("inf"), steps=50)),
    ("deepfool", "l2", 50, "Foolbox DeepFool", foolbox(lambda: fb.attacks.L2DeepFoolAttack(steps=50))),
    ("deepfool", "l2", 50, "torchattacks DeepFool", torchattack(lambda m, e, k: torchattacks.DeepFool(m, steps=50))),
    ("superdeepfool", "l2", 50, "adv-lib SuperDeepFool", adv_lib(adv.sdf, steps=10, df_steps=5)),
    ("cw", "l2", STEPS, "adv-lib C&W", adv_lib(adv.carlini_wagner_l2, max_iterations=STEPS)),
    (
        "cw",
        "l2",
        STEPS,
        "Foolbox C&W",
        foolbox(lambda: fb.attacks.L2CarliniWagnerAttack(binary_search_steps=9, steps=STEPS)),
    ),
    ("cw", "l2", STEPS, "torchattacks C&W", torchattack(lambda m, e, k: torchattacks.CW(m, c=1, steps=STEPS))),
]
ROWS += [
    Row(attack, norm, title, reference, options=steps(count), smallest=True)
    for attack, norm, count, title, reference in SMALLEST
]


@dataclass
class Subject:
    """A model, the data it is attacked on, and for each norm a size that fells some of the images."""

    name: str
    weights: Path
    data: list
    sizes: dict
    slow: bool = False


class Normalised(torch.nn.Module):
    def __init__(self, model, mean, std):
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, images):
        return self.model((images - self.mean) / self.std)


def program(path, *arguments):
    done = subprocess.run([str(path), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, arguments))}\n{done.stderr}")
    return done.stdout


def loaded(archaeo, subject, folder):
    """The model as its library computes it, with its normalisation in front."""
    exported = folder / "exported"
    program(archaeo, "export", "--weights", subject.weights, "--out", exported)
    card = json.loads(program(archaeo, "models", "show", subject.weights, "--json"))
    config = json.loads((exported / "config.json").read_text())["pretrained_cfg"]
    return Normalised(library_model(exported, card), config["mean"], config["std"]).eval()


def picture(path):
    return torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1).float() / 255


def ours(archaeo, subject, row, size, folder, images):
    """The images before the attack, their labels, and what became of each."""
    arguments = ["attack", "--weights", subject.weights, *subject.data, "--limit", images, "--attack", row.attack]
    arguments += ["--norm", row.norm, "--epsilon", size, "--save", folder, "--seed", SEED, *row.options, "--json"]
    program(archaeo, *arguments)
    entries = json.loads((folder / "attacked.json").read_text())["images"]
    clean = torch.stack([picture(folder / entry["clean"]) for entry in entries])
    labels = torch.tensor([entry["label"] for entry in entries])
    results = [next(iter(entry["attacked"].values())) for entry in entries]
    return clean, labels, results


def length(change, norm):
    flat = change.flatten(1).double()
    return {
        "linf": flat.abs().amax(1),
        "l2": flat.norm(dim=1),
        "l1": flat.abs().sum(1),
        "l0": (flat != 0).sum(1).double(),
    }[norm]


def compare(archaeo, subject, model, row, images, folder):
    size = subject.sizes[row.norm]
    clean, labels, results = ours(archaeo, subject, row, size, folder, images)
    torch.manual_seed(SEED)
    with torch.no_grad():
        right = torch.cat([model(part).argmax(1) for part in clean.split(32)]) == labels
    real = size / 255 if row.norm == "linf" else size
    found = torch.cat(
        [row.reference(model, x, y, real).detach() for x, y in zip(clean.split(32), labels.split(32))]
    )
    with torch.no_grad():
        answers = torch.cat([model(part).argmax(1) for part in found.split(32)])
    lengths = length(found - clean, row.norm)
    if row.smallest:
        distances = torch.tensor([np.inf if r["distance"] is None else r["distance"] for r in results]).double()
        theirs = torch.where(answers != labels, lengths, torch.inf)
        both = right & theirs.isfinite()
        share = (distances[both] <= 1.01 * theirs[both]).double().mean().item() if both.any() else 1.0
        medians = [values[right].median().item() for values in (distances, theirs)]
        print(
            f"{subject.name:10} {row.attack:10} {row.norm:5} {int(right.sum()):4} right; median {medians[0]:.4g}, "
            f"{row.title} {medians[1]:.4g}; at most 1 % larger on {share:.1%}"
        )
        return share >= 0.95
    fell = torch.tensor([r["success"] for r in results])
    inside = right & (lengths <= real * (1 + 1e-4) + 1e-6)
    unrounded = int(((answers != labels) & inside).sum())
    with torch.no_grad():
        rounded = torch.cat([model((part * 255).round() / 255).argmax(1) for part in found.split(32)])
    theirs = (rounded != labels) & inside
    ours_, theirs_ = int((fell & right).sum()), int(theirs.sum())
    print(
        f"{subject.name:10} {row.attack:10} {row.norm:5} {size:<6} {int(right.sum()):4} right; ours fools {ours_}, {row.title} "
        f"{theirs_} ({unrounded} between levels); only ours {int((fell & ~theirs & right).sum())}, only theirs {int((theirs & ~fell).sum())}"
    )
    return ours_ >= theirs_


def subjects(arguments):
    small = {"linf": 2, "l2": 0.3, "l1": 3, "l0": 8}
    if arguments.vit:
        yield Subject("ViT", arguments.vit, [], small)
    if arguments.cnn:
        data = ["--data", arguments.cnn_data] if arguments.cnn_data else []
        yield Subject("ResNet", arguments.cnn, data, small)
    if arguments.photos:
        sizes = {"linf": 1, "l2": 0.25, "l1": 10, "l0": 8}
        yield Subject("ViT-Ti", arguments.photo_weights, ["--data", arguments.photos], sizes, slow=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archaeo", type=Path)
    parser.add_argument("--vit", type=Path)
    parser.add_argument("--cnn", type=Path)
    parser.add_argument("--cnn-data", help="its images, where they are not Sherds")
    parser.add_argument("--photo-weights", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--only", help="ids of attacks, separated by commas")
    parser.add_argument("--reference", default="", help="only references whose title begins so, such as adv-lib")
    arguments = parser.parse_args()
    arguments.archaeo = arguments.archaeo.resolve()
    only = arguments.only.split(",") if arguments.only else None
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        for subject in subjects(arguments):
            folder = Path(temporary) / subject.name
            folder.mkdir()
            model = loaded(arguments.archaeo, subject, folder)
            for index, row in enumerate(ROWS):
                if (only and row.attack not in only) or not row.title.startswith(arguments.reference):
                    continue
                images = arguments.images if not (row.slow and subject.slow) else max(arguments.images // 8, 4)
                saved = folder / f"{index}-{row.attack}-{row.norm}"
                failed += not compare(arguments.archaeo, subject, model, row, images, saved)
    if failed:
        raise SystemExit(f"{failed} comparisons failed")


if __name__ == "__main__":
    main()
