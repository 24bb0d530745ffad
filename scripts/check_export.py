"""Checks that timm and torchvision load what `archaeo` writes, strictly, and compute the same logits from it.

    pip install torch timm torchvision safetensors numpy pillow
    python scripts/check_export.py path/to/archaeo

Trains a few tiny models for an epoch on random images, evaluates and exports them with the program, loads the exports with
the libraries' own functions, and compares the logits.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

SIDE, CLASSES, IMAGES = 32, 3, 6
MODELS = [
    "vit_micro",
    {"architecture": "vit", "patch_size": 8, "width": 48, "depth": 2, "heads": 3, "mlp_width": 96}
    | {"pooling": "mean", "position": "sine"},
    {"architecture": "vit", "patch_size": 8, "width": 48, "depth": 2, "heads": 3, "mlp_width": 96}
    | {"pooling": "mean-beside-class-token", "norm_after_pooling": True, "registers": 2}
    | {"position": "learned-on-patches", "layer_scale": True},
    {"architecture": "vit", "patch_size": 8, "width": 48, "depth": 2, "heads": 3, "mlp_width": 96}
    | {"pooling": "class-token", "position": "none", "distilled": False, "feed_forward": "quick-gelu"},
    {"architecture": "swin", "patch_size": 2, "window_size": 4, "width": 24, "depths": [2, 2], "heads": [2, 4], "mlp_ratio": 2},
    "resnet18",
    "resnet_micro",
    "resnet18_cifar",
]


class SmallResNet(ResNet):
    """torchvision's ResNet with the stem and widths that `docs/export.md` describes."""

    def __init__(self, block, layers, width, cifar, classes):
        nn.Module.__init__(self)
        self._norm_layer = nn.BatchNorm2d
        self.inplanes, self.dilation, self.groups, self.base_width = width, 1, 1, 64
        kernel, stride, padding = (3, 1, 1) if cifar else (7, 2, 3)
        self.conv1 = nn.Conv2d(3, width, kernel, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if cifar else nn.MaxPool2d(3, 2, 1)
        for stage, blocks in enumerate(layers):
            made = self._make_layer(block, width << stage, blocks, stride=1 if stage == 0 else 2)
            setattr(self, f"layer{stage + 1}", made)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear((width << 3) * block.expansion, classes)


class CifarResNet(nn.Module):
    """The residual network of He et al. (2016), section 4.2, whose shortcuts skip pixels and pad channels with zeros."""

    def __init__(self, blocks, width, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inner = width
        for stage in range(3):
            outer = width << stage
            made = []
            for block in range(blocks):
                made.append(CifarBlock(inner, outer, 2 if stage > 0 and block == 0 else 1))
                inner = outer
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))
        self.linear = nn.Linear(width << 2, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class CifarBlock(nn.Module):
    def __init__(self, inner, outer, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.stride, self.padding = stride, (outer - inner) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        x = nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        return torch.relu(x + y)


def library_model(folder, card):
    """The model that a folder describes, built by timm, by torchvision or here where it is not one of timm's."""
    network = card["network"]
    if network["architecture"] == "cifar-resnet":
        model = CifarResNet(network["blocks"], network["width"], network["classes"])
        model.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
        return model.eval()
    if network["architecture"] == "resnet" and network["stem"] == "cifar":
        block = BasicBlock if network["branch"] == "basic" else Bottleneck
        model = SmallResNet(block, network["blocks"], network["width"], True, network["classes"])
        model.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
        return model.eval()
    return timm.create_model(f"local-dir:{folder}", pretrained=True).eval()


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def images(folder):
    """Writes class folders of random pictures; those of the test split as the models see them, in the program's order."""
    random = np.random.default_rng(0)
    test = []
    for split in ("train", "test"):
        for label in range(CLASSES):
            (folder / split / str(label)).mkdir(parents=True)
            for index in range(IMAGES):
                pixels = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / str(label) / f"{index}.png")
                if split == "test":
                    test.append(torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
    return torch.stack(test)


def main():
    program = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pictures = images(folder / "data")
        for index, model in enumerate(MODELS):
            check(program, folder / str(index), model, folder / "data", pictures)


def check(program, folder, model, data, pictures):
    folder.mkdir()
    recipe = folder / "recipe.toml"
    recipe.write_text(
        f"model = {toml(model)}\nimage_size = {SIDE}\nepochs = 1\nbatch_size = 6\nlearning_rate = 0.001\n"
    )

    def run(*arguments):
        command = [str(program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
        return done.stdout

    run("train", "--config", recipe, "--data", data, "--out", folder / "run")
    weights = folder / "run/model.safetensors"
    run("evaluate", "--weights", weights, "--data", data, "--export", folder / "logits.safetensors")
    run("export", "--weights", weights, "--out", folder / "exported")
    shown = json.loads(run("models", "show", weights, "--json"))
    ours = load_file(folder / "logits.safetensors")

    exported = folder / "exported"
    config = json.loads((exported / "config.json").read_text())["pretrained_cfg"]
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        theirs = library_model(exported, shown)((pictures - mean) / std)
    difference = (ours["logits"] - theirs).abs().max().item()
    assert difference < 1e-4, f"{model}: {difference}"
    print(f"{shown['name']}: logits of {len(pictures)} images within {difference:.1e}")


if __name__ == "__main__":
    main()
