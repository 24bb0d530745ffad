#!/usr/bin/env python3
"""Writes docs/figures.md: every name that `archaeo figure` knows for the default investigation, with its picture.

    python3 scripts/make_figures_page.py target/release/archaeo archaeo-out

`archaeo-out` is the folder of a finished `archaeo excavate` with its defaults.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "images" / "figures"
HEAD = """# Figures

Every chart of the default investigation, by the name under which `archaeo figure NAME --run archaeo-out` writes it at a journal's width as SVG, PDF or PNG
([report.md](report.md)). With other models or data there are others: `archaeo figure --run DIR` lists them. This page is made by
`scripts/make_figures_page.py`.
"""


def captions(report):
    """Title of the figure that shows each chart, and the chapter of it."""
    chapter, waiting, found = "", [], {}
    for line in report.splitlines():
        if line.startswith("## "):
            chapter = line[3:]
        waiting += re.findall(r"\(<charts/([^>]+)\.svg>\)", line)
        title = re.match(r"\*\*Figure \d+\. (.+?)\*\*", line)
        if title:
            found.update({name: (chapter, title.group(1).rstrip(".")) for name in waiting})
            waiting = []
    return found


def main(program, run):
    names = json.loads(subprocess.run([program, "figure", "--run", run, "--json"], check=True, capture_output=True).stdout)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for old in PICTURES.glob("*.svg"):
        old.unlink()
    told = captions((pathlib.Path(run) / "report.md").read_text())
    page, chapter = [HEAD], None
    for name in names:
        of, title = told[name]
        if of != chapter:
            chapter = of
            page.append(f"## {chapter}\n")
        subprocess.run(
            [program, "--quiet", "figure", name, "--run", run, "--out", str(PICTURES / f"{name}.svg")], check=True, stdout=subprocess.DEVNULL
        )
        page.append(f"`{name}`: {title}\n\n![{title}](images/figures/{name}.svg)\n")
    (ROOT / "docs" / "figures.md").write_text("\n".join(page))


if __name__ == "__main__":
    main(*sys.argv[1:])
