"""Times archaeo's questions about a model and what PyTorch's libraries take for them, alternately, and prints the ratios.

    cargo build --release --example questions
    python bench/analysis.py --weights vit_tiny_patch16_224.safetensors --photos imagenet-photos-128.tar [--threads 1]

Needs torch, timm, captum and grad-cam. See README.md next to this file for what is measured.
"""

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from datetime import date
from pathlib import Path

from compare import ROOT, processor

BATCH = 16
# Row, our task, theirs, images, the least ratio that is asked for.
ROWS = [
    ("all attention statistics and rollout, over our own forward pass", "attention", None, 128, 1.4),
    ("attention statistics and rollout, against hooks", "attention", "attention", 128, 1.5),
    ("every head ablated, one replacement, against hooks", "heads", "heads", 16, 4.0),
    ("Grad-CAM, against pytorch-grad-cam", "grad-cam", "grad-cam", 128, 3.0),
    ("Integrated Gradients, 50 steps, against captum", "integrated-gradients", "integrated-gradients", 4, 2.0),
]
# Our ablation replaces every head in this many ways (mean, zero, another image's); PyTorch does it in one.
REPLACEMENTS = 3


def photographs(tar, count):
    with tarfile.open(tar) as archive:
        names = {Path(member.name).name: member for member in archive.getmembers() if member.isfile()}
        rows = list(csv.DictReader(io.TextIOWrapper(archive.extractfile(names["labels.csv"]))))
        return [archive.extractfile(names[Path(row["file"]).name]).read() for row in rows[:count]]


def preprocessed(data):
    """As timm evaluates this model: shorter side 248, bicubic, centre crop 224, mean and deviation one half."""
    import numpy as np
    import torch
    from PIL import Image

    image = Image.open(io.BytesIO(data)).convert("RGB").resize((248, 248), Image.BICUBIC).crop((12, 12, 236, 236))
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
    return (pixels - 0.5) / 0.5


def attention(model, batches):
    """Every head's distance, entropy, sparsity, weights below uniform, mass on the class token, the divergence between heads, and
    rollout, from hooks on the softmax of every block."""
    import torch

    kept = []
    hooks = [block.attn.attn_drop.register_forward_hook(lambda _, __, out: kept.append(out)) for block in model.blocks]
    n = 197
    at = torch.stack(torch.meshgrid(torch.arange(14.0), torch.arange(14.0), indexing="ij"), -1).reshape(-1, 2) * 16
    distances = torch.cdist(at, at)
    with torch.inference_mode():
        for batch in batches():
            kept.clear()
            model(batch)
            row = None
            for weights in reversed(kept):
                log = torch.log(weights.clamp_min(1e-12))
                entropy = -(weights * log).sum(-1).mean(-1)
                length = weights.square().sum(-1).sqrt()
                hoyer = ((n**0.5 - weights.sum(-1) / length) / (n**0.5 - 1)).mean(-1)
                below = (weights < 1 / n).float().mean((-1, -2))
                patches = weights[:, :, 1:, 1:]
                distance = ((patches * distances).sum(-1) / patches.sum(-1)).mean(-1)
                mass = weights[:, :, 1:, 0].mean(-1)
                for a in range(weights.shape[1]):
                    for b in range(a):
                        middle = (weights[:, a] + weights[:, b]) / 2
                        of_middle = (middle * torch.log(middle.clamp_min(1e-12))).sum(-1)
                        of_both = (weights[:, a] * log[:, a] + weights[:, b] * log[:, b]).sum(-1) / 2
                        divergence = (of_both - of_middle).mean(-1)
                fused = (weights.mean(1) + torch.eye(n)) / 2
                fused = fused / fused.sum(-1, keepdim=True)
                row = fused[:, :1] if row is None else row @ fused
            assert torch.isfinite(entropy + hoyer + below + distance + mass).all() and torch.isfinite(divergence).all()
    for hook in hooks:
        hook.remove()


def heads(model, batches):
    """The loss with the output of each head replaced by its mean, by a hook before the projection."""
    import torch

    means, width = [], 64
    with torch.inference_mode():
        all_batches = list(batches())
        for block in model.blocks:
            sums = []
            hook = block.attn.proj.register_forward_pre_hook(
                lambda _, args, sums=sums: sums.append(args[0].mean(0, keepdim=True))
            )
            means.append((block, sums, hook))
        for batch in all_batches:
            model(batch)
        for _, _, hook in means:
            hook.remove()
        for block, sums, _ in means:
            mean = torch.stack(sums).mean(0)
            for head in range(3):
                part = slice(head * width, (head + 1) * width)

                def replace(_, args):
                    x = args[0].clone()
                    x[..., part] = mean[..., part]
                    return (x,)

                hook = block.attn.proj.register_forward_pre_hook(replace)
                for batch in all_batches:
                    assert torch.isfinite(torch.log_softmax(model(batch), -1)).all()
                hook.remove()


def grad_cam(model, batches):
    from pytorch_grad_cam import GradCAM

    grid = lambda x: x[:, 1:].reshape(x.shape[0], 14, 14, -1).permute(0, 3, 1, 2)
    with GradCAM(model=model, target_layers=[model.blocks[-1].norm1], reshape_transform=grid) as cam:
        for batch in batches():
            cam(input_tensor=batch, targets=None)


def integrated_gradients(model, batches):
    import torch
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(model)
    for batch in batches():
        with torch.inference_mode():
            targets = model(batch).argmax(-1)
        black = torch.full_like(batch, -1.0)
        method.attribute(batch, black, target=targets, n_steps=50, internal_batch_size=50)


QUESTIONS = {"attention": attention, "heads": heads, "grad-cam": grad_cam, "integrated-gradients": integrated_gradients}


def serve(weights, photos, task, count):
    import timm
    import torch
    from safetensors.torch import load_file

    torch.set_num_threads(int(os.environ["RAYON_NUM_THREADS"]))
    model = timm.create_model("vit_tiny_patch16_224").eval()
    model.load_state_dict(load_file(weights))
    if task == "attention":
        for block in model.blocks:
            block.attn.fused_attn = False
    pictures = photographs(photos, int(count))
    decoded = torch.stack([preprocessed(picture) for picture in pictures])
    chunks = range(0, len(pictures), BATCH)

    def from_files():
        return (torch.stack([preprocessed(p) for p in pictures[i : i + BATCH]]) for i in chunks)

    # Attention and ablation are asked of files on our side, so that decoding counts on both.
    batches = from_files if task in ("attention", "heads") else lambda: (decoded[i : i + BATCH] for i in chunks)
    print("ready", flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            started = time.perf_counter()
            QUESTIONS[task](model, batches)
            seconds.append(time.perf_counter() - started)
        print(" ".join(map(str, seconds)), flush=True)


class Side:
    """A process that answers a question when it is told to and sleeps otherwise."""

    def __init__(self, command, threads):
        environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        self.seconds = []
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit("one side ended with an error; see above")

    def once(self):
        print(1, file=self.process.stdin, flush=True)
        seconds = float(self.process.stdout.readline())
        self.seconds.append(seconds)

    def finish(self):
        self.process.stdin.close()
        self.process.wait()


def compare(row, options):
    title, ours, theirs, count, target = row
    ask = lambda task: [str(options.questions), str(options.weights), str(options.photos), task, str(count)]
    first = Side(ask(ours), options.threads)
    if theirs is None:
        second = Side(ask("forward"), options.threads)
    else:
        words = ["--serve", str(options.weights), str(options.photos), theirs, str(count)]
        second = Side([sys.executable, __file__, *words], options.threads)
    for _ in range(options.rounds):
        first.once()
        second.once()
    first.finish()
    second.finish()
    # The least of each: other load on the machine only adds.
    ours_s, theirs_s = min(first.seconds), min(second.seconds)
    if ours == "heads":
        ours_s /= REPLACEMENTS
    ratio = ours_s / theirs_s if theirs is None else theirs_s / ours_s
    result = {
        "row": title, "images": count, "threads": options.threads, "ours_s": ours_s, "theirs_s": theirs_s, "ratio": ratio,
        "target": target, "ours_all": first.seconds, "theirs_all": second.seconds,
    }
    print(line(result), flush=True)
    return result


HEADER = "| work | images | threads | archaeo, s | other, s | ratio | asked for |\n|---|---:|---:|---:|---:|---:|---:|"


def line(r):
    asked = f"≤ {r['target']}" if "forward pass" in r["row"] else f"≥ {r['target']}"
    return (
        f"| {r['row']} | {r['images']} | {r['threads']} | {r['ours_s']:.2f} | {r['theirs_s']:.2f} | **{r['ratio']:.2f}** | {asked} |"
    )


def main():
    if sys.argv[1:2] == ["--serve"]:
        return serve(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, help="ViT-Ti/16 at 224 px under timm's names")
    parser.add_argument("--photos", type=Path, required=True, help="tar of photographs with labels.csv")
    parser.add_argument("--questions", type=Path, default=ROOT / "target/release/examples/questions", help="our side")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of both sides; all processors")
    parser.add_argument("--rounds", type=int, default=5, help="times that each side has its turn")
    parser.add_argument("--only", default="", help="the rows whose title contains this")
    parser.add_argument("--json", type=Path, help="write every figure there")
    parser.add_argument("--markdown", type=Path, help="write the table there")
    options = parser.parse_args()
    about = f"{date.today()}, {processor()}, {options.threads} threads, least of {options.rounds} turns"
    print(about, HEADER, sep="\n\n", flush=True)
    results = [compare(row, options) for row in ROWS if options.only in row[0]]
    if options.json:
        options.json.write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text("\n".join([about, "", HEADER, *map(line, results)]) + "\n")


if __name__ == "__main__":
    main()
