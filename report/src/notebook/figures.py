import csv

import matplotlib.pyplot as plt
import numpy as np

COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"]


def read(path):
    """Columns of a CSV file: arrays of numbers where all cells are numbers or empty, lists of words otherwise."""
    with open(path, newline="", encoding="utf-8") as file:
        names, *rows = list(csv.reader(file))
    columns = {}
    for name, cells in zip(names, zip(*rows) if rows else [[] for _ in names]):
        try:
            columns[name] = np.array([float(cell) if cell else np.nan for cell in cells])
        except ValueError:
            columns[name] = list(cells)
    return columns


def words(column):
    """A column of names, also where the names are numbers."""
    return [str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell) for cell in column]


def distinct(values):
    return list(dict.fromkeys(values))


def draw(path, kind, title, x, y):
    """Draws the numbers of one chart again."""
    data = read(path)
    figure, axes = plt.subplots(figsize=(6, 3.6), constrained_layout=True)
    if kind == "lines":
        series = np.array(words(data["series"]))
        for name, color in zip(distinct(series), COLORS * 10):
            of = series == name
            order = np.argsort(data["x"][of])
            xs, ys = data["x"][of][order], data["y"][of][order]
            low, high = data["low"][of][order], data["high"][of][order]
            axes.plot(xs, ys, color=color, label=name, marker="o", markersize=3)
            if not np.all(np.isnan(low)):
                axes.fill_between(xs, low, high, color=color, alpha=0.15)
        axes.legend(fontsize=7)
    elif kind == "bars":
        categories, series = words(data["category"]), words(data["series"])
        names, kinds = distinct(categories), distinct(series)
        height = 0.8 / len(kinds)
        for value, low, high, category, name in zip(data["value"], data["low"], data["high"], categories, series):
            at = names.index(category) + height * (kinds.index(name) - (len(kinds) - 1) / 2)
            error = None if np.isnan(low) else [[max(value - low, 0)], [max(high - value, 0)]]
            axes.barh(at, value, height, xerr=error, color=COLORS[kinds.index(name) % len(COLORS)])
        axes.set_yticks(range(len(names)), names, fontsize=7)
        axes.invert_yaxis()
    elif kind == "estimates":
        names = words(data["name"])
        places = np.arange(len(names))
        axes.plot(data["value"], places, "o", color=COLORS[0])
        for place, low, high in zip(places, data["low"], data["high"]):
            if not np.isnan(low):
                axes.plot([low, high], [place, place], color=COLORS[0])
        axes.set_yticks(places, names, fontsize=7)
        axes.invert_yaxis()
    elif kind == "matrix":
        rows, columns = words(data["row"]), words(data["column"])
        row_names, column_names = distinct(rows), distinct(columns)
        values = np.full((len(row_names), len(column_names)), np.nan)
        for row, column, value in zip(rows, columns, data["value"]):
            values[row_names.index(row), column_names.index(column)] = value
        figure.colorbar(axes.imshow(values, cmap="Blues", aspect="auto"))
        axes.set_yticks(range(len(row_names)), row_names, fontsize=7)
        axes.set_xticks(range(len(column_names)), column_names, fontsize=7, rotation=90)
    elif kind == "histogram":
        series = np.array(words(data["series"]))
        for name, color in zip(distinct(series), COLORS * 10):
            axes.hist(data["value"][series == name], bins=20, alpha=0.6, color=color, label=name)
        axes.legend(fontsize=7)
    else:
        series = np.array(words(data["series"]))
        for name, color in zip(distinct(series), COLORS * 10):
            of = series == name
            axes.scatter(data["x"][of], data["y"][of], s=9, color=color, label=name)
        axes.legend(fontsize=7)
    axes.set(title=title, xlabel=x, ylabel=y)
    plt.show()
