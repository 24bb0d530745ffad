"""Times archaeo and PyTorch on the same models, shapes and threads, alternately, and prints the ratios.

    python bench/compare.py [--quick] [--only NAME] [--json FILE] [--markdown FILE]

See README.md next to this file for what is installed first and what is measured.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Title, our name, timm's or torchvision's, side in pixels, images of a batch, tasks.
CASES = [
    ("ViT-Ti/4, 32 px", "vit_tiny_patch4", "vit_tiny_patch4", 32, 64, ["train", "infer"]),
    ("ViT-S/16, 224 px", "vit_small_patch16", "vit_small_patch16_224", 224, 8, ["train", "infer"]),
    ("ViT-B/16, 224 px", "vit_base_patch16", "vit_base_patch16_224", 224, 8, ["train", "infer"]),
    ("ResNet-18, CIFAR stem, 32 px", "resnet18_cifar", "resnet18_cifar", 32, 64, ["train", "infer"]),
    ("ResNet-50, 224 px", "resnet50", "resnet50", 224, 8, ["train", "infer"]),
    ("Swin-T, 224 px", "swin_tiny_patch4_window7_224", "swin_tiny_patch4_window7_224", 224, 8, ["train", "infer"]),
    ("ViT-S/16, 224 px, latency", "vit_small_patch16", "vit_small_patch16_224", 224, 1, ["infer"]),
    ("ResNet-50, 224 px, latency", "resnet50", "resnet50", 224, 1, ["infer"]),
]
QUICK = ["ViT-Ti/4, 32 px", "ResNet-18, CIFAR stem, 32 px"]

# Ways to run PyTorch; the fastest one is the one to beat. Images with channels last are what its convolutions are made for.
TRANSFORMER_VARIANTS = ["eager", "compile"]
CONVOLUTION_VARIANTS = ["eager", "channels-last", "compile channels-last"]


def torch_model(name):
    import timm
    import torch

    if name == "vit_tiny_patch4":
        return timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=4, num_classes=10)
    if name == "resnet18_cifar":
        model = timm.create_model("resnet18", num_classes=10)
        model.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        model.maxpool = torch.nn.Identity()
        return model
    # As ours is trained here: without the stochastic depth that timm gives a Swin Transformer.
    return timm.create_model(name, drop_path_rate=0.0)


def size_of(model, image):
    """Trained parameters, and the multiply-adds of one image but those of attention's two products, which PyTorch's counter
    does not see on this device."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    training = model.training
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(image)
    model.train(training)
    return sum(p.numel() for p in model.parameters() if p.requires_grad), counter.get_total_flops() // 2


def serve(name, size, batch, task, precision, variant):
    """The other side of the protocol that `Worker` speaks: see `serve` in training/benches/steps.rs."""
    import torch

    torch.set_num_threads(int(os.environ["RAYON_NUM_THREADS"]))
    torch.manual_seed(0)
    model = torch_model(name)
    images = torch.rand(batch, 3, size, size)
    labels = torch.arange(batch) % (10 if size == 32 else 1000)
    if "channels-last" in variant:
        model = model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    model = model.train(task == "train")
    run = torch.compile(model) if "compile" in variant else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.05, fused=True)
    autocast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")

    def infer():
        with torch.inference_mode(), autocast():
            assert torch.isfinite(run(images)).all()

    def train():
        with autocast():
            loss = torch.nn.functional.cross_entropy(run(images).float(), labels)
        assert torch.isfinite(loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    print(*size_of(model, images[:1]), flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            started = time.perf_counter()
            train() if task == "train" else infer()
            seconds.append(time.perf_counter() - started)
        print(" ".join(map(str, seconds)), flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


class Worker:
    """One side of a comparison: a process that makes steps when it is told to and sleeps otherwise."""

    def __init__(self, command, threads):
        environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        self.seconds = []
        self.parameters, self.multiply_adds = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("it ended with an error; see above")
        return [float(word) for word in line.split()]

    def steps(self, count):
        print(count, file=self.process.stdin, flush=True)
        return self.answer()

    def finish(self):
        """Ends the process; the most memory it ever held, in MiB."""
        self.process.stdin.close()
        peak = int(self.process.stdout.read()) / 1024
        self.process.wait()
        return peak


def build():
    """Our side, built as the program is."""
    command = ["cargo", "bench", "--quiet", "--bench", "steps", "--no-run", "--message-format=json"]
    messages = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    artifacts = [json.loads(line) for line in messages.splitlines()]
    found = [a["executable"] for a in artifacts if a.get("target", {}).get("name") == "steps" and a.get("executable")]
    return found[-1]


def check_sizes(title, workers):
    """Refuses to compare different models: the same parameters, and the same work within what attention's products come to."""
    ours = workers["archaeo"]
    for name, worker in workers.items():
        work = worker.multiply_adds / ours.multiply_adds
        if worker.parameters != ours.parameters or not 0.85 < work < 1.01:
            raise SystemExit(
                f"{title}: {name} runs a model of {worker.parameters:.0f} parameters and {worker.multiply_adds:.4g} "
                f"multiply-adds, archaeo one of {ours.parameters:.0f} and {ours.multiply_adds:.4g}"
            )


def compare(executable, case, task, precision, variants, rounds, threads):
    title, ours, theirs, size, batch, _ = case
    words = [str(size), str(batch), task, precision]
    workers = {"archaeo": Worker([executable, "--worker", ours, *words], threads)}
    for variant in variants:
        workers[variant] = Worker([sys.executable, __file__, "--serve", theirs, *words, variant], threads)
    check_sizes(title, workers)
    # Compilation, first allocations and caches are not what is compared. A round takes about a second a side.
    counts = {}
    for name, worker in workers.items():
        worker.steps(2)
        counts[name] = max(1, min(20, round(1 / worker.steps(1)[0])))
    for _ in range(rounds):
        for name, worker in workers.items():
            worker.seconds += worker.steps(counts[name])
    milliseconds = {name: 1e3 * statistics.median(worker.seconds) for name, worker in workers.items()}
    peaks = {name: worker.finish() for name, worker in workers.items()}
    best = min(variants, key=milliseconds.get)
    result = {
        "case": title, "batch": batch, "task": task, "precision": precision,
        "archaeo_ms": milliseconds["archaeo"], "pytorch_ms": {v: milliseconds[v] for v in variants},
        "best_variant": best, "ratio": milliseconds[best] / milliseconds["archaeo"],
        "archaeo_mib": peaks["archaeo"], "pytorch_mib": {v: peaks[v] for v in variants},
        "memory_ratio": peaks["archaeo"] / peaks[best],
    }
    print(row(result), flush=True)
    return result


HEADER = """\
| model | batch | task | precision | archaeo, ms | PyTorch, ms | its best way | times faster | memory, MiB | PyTorch's | share |
|---|---:|---|---|---:|---:|---|---:|---:|---:|---:|"""


def row(r):
    best = r["best_variant"]
    return (
        f"| {r['case']} | {r['batch']} | {r['task']} | {r['precision']} | {r['archaeo_ms']:.1f} | {r['pytorch_ms'][best]:.1f} "
        f"| {best} | **{r['ratio']:.2f}** | {r['archaeo_mib']:.0f} | {r['pytorch_mib'][best]:.0f} | {r['memory_ratio']:.2f} |"
    )


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main():
    if sys.argv[1:2] == ["--serve"]:
        name, size, batch, task, precision, variant = sys.argv[2:]
        return serve(name, int(size), int(batch), task, precision, variant)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the two small models, PyTorch without torch.compile")
    parser.add_argument("--only", default="", help="the cases whose title contains this")
    parser.add_argument("--task", choices=["train", "infer"], help="this task only")
    parser.add_argument("--precision", choices=["f32", "bf16"], help="this precision only")
    parser.add_argument("--no-compile", action="store_true", help="PyTorch without torch.compile")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of both sides; all processors")
    parser.add_argument("--rounds", type=int, default=5, help="times that each side has its turn")
    parser.add_argument("--json", type=Path, help="write every figure there")
    parser.add_argument("--markdown", type=Path, help="write the table there")
    options = parser.parse_args()

    import timm
    import torch

    executable = build()
    about = (
        f"{date.today()}, {processor()}, {options.threads} threads, PyTorch {torch.__version__}, timm {timm.__version__}"
    )
    print(about, HEADER, sep="\n\n", flush=True)
    results = []
    for case in CASES:
        if options.only not in case[0] or options.quick and case[0] not in QUICK:
            continue
        for task in [options.task] if options.task else case[5]:
            for precision in [options.precision] if options.precision else ["f32", "bf16"]:
                compiled = not (options.quick or options.no_compile)
                variants = CONVOLUTION_VARIANTS if "ResNet" in case[0] else TRANSFORMER_VARIANTS
                variants = [v for v in variants if compiled or "compile" not in v]
                if task in case[5]:
                    rounds = (executable, case, task, precision, variants, options.rounds, options.threads)
                    results.append(compare(*rounds))
    if options.json:
        options.json.write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text("\n".join([about, "", HEADER, *map(row, results)]) + "\n")


if __name__ == "__main__":
    main()
