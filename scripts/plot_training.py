"""Draws what runs of `archaeo train` wrote to their metrics.jsonl: accuracy and losses after each epoch.

    python scripts/plot_training.py PICTURE.svg RUN_FOLDER=LABEL...        # needs matplotlib
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt


def main():
    picture, *runs = sys.argv[1:]
    matplotlib.rcParams["svg.hashsalt"] = "archaeo"
    figure, (accuracies, losses) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for color, run in zip(["C0", "C1", "C2", "C3"], runs):
        folder, label = run.split("=")
        records = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
        epochs = [record["epoch"] for record in records]
        values = lambda key: [record[key] for record in records]
        accuracies.plot(epochs, [100 * value for value in values("validation_accuracy")], color, label=label)
        losses.plot(epochs, values("validation_loss"), color, label=f"{label}, validation")
        losses.plot(epochs, values("train_loss"), color, linestyle=":", label=f"{label}, training")
    accuracies.set(xlabel="epoch", ylabel="validation accuracy, %")
    losses.set(xlabel="epoch", ylabel="loss, nats")
    for axes in (accuracies, losses):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    main()
