"""Times t-SNE pictures of the same features in archaeo, openTSNE and scikit-learn, alternately, and prints the ratios and how far each
picture can be trusted.

    cargo build --release --example tsne
    python bench/tsne.py [--features F.npz] [--rounds 3] [--threads 2]

Needs numpy, scikit-learn and openTSNE. Without --features (an export of `archaeo features`), the features are 5,120 draws from 20 Gaussians in
192 dimensions. Processor time is what a busy machine leaves comparable. See README.md next to this file.
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PERPLEXITY = 30
NEIGHBOURS = 12
IMAGES, WIDTH, CLUSTERS = 5120, 192, 20


def mixture():
    """Clusters of different spreads that overlap, as features of a trained model do."""
    random = np.random.default_rng(0)
    middles = random.normal(size=(CLUSTERS, WIDTH)) * 0.35
    spreads = random.uniform(0.5, 1.5, size=(CLUSTERS, 1)) * np.geomspace(1, 0.1, WIDTH)
    which = random.integers(CLUSTERS, size=IMAGES)
    return (middles[which] + random.normal(size=(IMAGES, WIDTH)) * spreads[which]).astype(np.float32)


def ours(features, threads):
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "features", Path(folder) / "points"
        features.astype("<f4").tofile(source)
        program = [ROOT / "target/release/examples/tsne", source, str(features.shape[1]), target]
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        said = subprocess.run(program, env=environment, check=True, capture_output=True, text=True).stdout
        processor = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        return json.loads(said)["seconds"], processor, np.fromfile(target, dtype="<f8").reshape(-1, 2)


def timed(fit):
    started, processor = time.perf_counter(), time.process_time()
    points = np.asarray(fit())
    return time.perf_counter() - started, time.process_time() - processor, points


def opentsne(features, threads):
    from openTSNE import TSNE

    return timed(lambda: TSNE(perplexity=PERPLEXITY, n_jobs=threads, random_state=0).fit(features.astype(np.float64)))


def scikit_learn(features, threads):
    from sklearn.manifold import TSNE

    tsne = TSNE(perplexity=PERPLEXITY, init="pca", learning_rate="auto", n_jobs=threads, random_state=0)
    return timed(lambda: tsne.fit_transform(features))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", help="another program to compare with: openTSNE or scikit-learn")
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": str(arguments.threads), "OPENBLAS_NUM_THREADS": str(arguments.threads)}
    from sklearn.manifold import trustworthiness

    features = np.load(arguments.features)["features"] if arguments.features else mixture()
    programs = {"archaeo": ours, "openTSNE": opentsne, "scikit-learn": scikit_learn}
    if arguments.only:
        programs = {name: programs[name] for name in ["archaeo", arguments.only]}
    found = {name: [] for name in programs}
    for _ in range(arguments.rounds):
        for name, program in programs.items():
            found[name].append(program(features, arguments.threads))
    n, width = features.shape
    print(f"{n} x {width} features, perplexity {PERPLEXITY}, {arguments.threads} threads, the least of {arguments.rounds} runs\n")
    print("| program | seconds | archaeo is times faster | processor time, s | times less | trustworthiness |")
    print("|---|---:|---:|---:|---:|---:|")
    least = {name: [min(run[which] for run in runs) for which in (0, 1)] for name, runs in found.items()}
    for name, runs in found.items():
        wall, processor = least[name]
        faster, less = (theirs / own for theirs, own in zip(least[name], least["archaeo"]))
        trust = trustworthiness(features, runs[-1][2], n_neighbors=NEIGHBOURS)
        print(f"| {name} | {wall:.2f} | {faster:.2f} | {processor:.2f} | {less:.2f} | {trust:.4f} |", flush=True)


if __name__ == "__main__":
    main()
