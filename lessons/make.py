#!/usr/bin/env python3
"""Makes each lesson's notebook and page from its source.

    python3 lessons/make.py            writes lessons/lesson-N.ipynb and lessons/lesson-N.md
    python3 lessons/make.py --check    fails where they are not what the sources say

A source (lessons/sources/N-NAME.md) is Markdown. Blocks of ```python are cells of the notebook alone, blocks of ```sh commands of the
page alone. What stands between the lines <!-- notebook --> and <!-- /notebook --> is of the notebook alone, between <!-- page --> and
<!-- /page --> of the page alone; everything else is of both. Pictures lie in lessons/images/ and are attached to the notebook.
"""

import base64
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
ONLY = re.compile(r"^<!-- (/?)(notebook|page) -->$")
FENCE = re.compile(r"^```(\w*)")
PICTURE = re.compile(r"!\[([^\]]*)\]\(images/([^)]+)\)")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def blocks(source):
    """Pairs of a kind (`python`, `sh` or `prose`) and its lines, each with whom it is for: None for both."""
    kind, lines, audience, found = "prose", [], None, []

    def close():
        text = "\n".join(lines).strip("\n")
        if text:
            found.append((kind, text, audience))
        lines.clear()

    for number, line in enumerate(source.splitlines(), 1):
        only, fence = ONLY.match(line), FENCE.match(line)
        if kind == "prose" and only:
            closing, of = only.groups()
            if bool(closing) != (audience is not None) or (closing and of != audience):
                raise SystemExit(f"line {number}: `{line}` does not fit the one before it")
            close()
            audience = None if closing else of
        elif kind == "prose" and fence and fence[1] in ("python", "sh"):
            close()
            kind = fence[1]
        elif kind in ("python", "sh") and line == "```":
            close()
            kind = "prose"
        elif line.startswith("```") and kind != "prose":
            raise SystemExit(f"line {number}: a block within a block")
        else:
            lines.append(line)
    if kind != "prose" or audience:
        raise SystemExit("a block or a passage is not closed")
    close()
    return found


def prose_cells(text):
    """Prose in pieces that begin with a heading of the second level, so that no cell is long."""
    return [piece.strip("\n") for piece in re.split(r"(?m)^(?=## )", text) if piece.strip()]


def cell(number, kind, text):
    made = {"cell_type": kind, "id": f"cell-{number:03}", "metadata": {}}
    pictures = PICTURE.findall(text) if kind == "markdown" else []
    if pictures:
        encoded = {name: base64.b64encode((HERE / "images" / name).read_bytes()).decode() for _, name in pictures}
        made["attachments"] = {name: {"image/png": bytes_} for name, bytes_ in encoded.items()}
        text = PICTURE.sub(r"![\1](attachment:\2)", text)
    made["source"] = text.splitlines(keepends=True)
    if kind == "code":
        made |= {"execution_count": None, "outputs": []}
    return made


def notebook(parts):
    prose, cells = [], []

    def flush():
        for piece in prose_cells("\n\n".join(prose)):
            cells.append(("markdown", piece))
        prose.clear()

    for kind, text, audience in parts:
        if audience == "page" or kind == "sh":
            continue
        if kind == "prose":
            prose.append(text)
        else:
            flush()
            cells.append(("code", text))
    flush()
    made = {
        "cells": [cell(number, *one) for number, one in enumerate(cells, 1)],
        "metadata": METADATA,
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(made, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def page(parts):
    kept = [(kind, text) for kind, text, audience in parts if audience != "notebook" and kind != "python"]
    return "\n\n".join(text if kind == "prose" else f"```{kind}\n{text}\n```" for kind, text in kept) + "\n"


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        raise SystemExit(__doc__)
    stale = []
    for source in sorted((HERE / "sources").glob("*.md")):
        number = source.name.split("-")[0]
        try:
            parts = blocks(source.read_text(encoding="utf-8"))
        except SystemExit as error:
            raise SystemExit(f"{source}: {error}") from None
        for ending, text in (("ipynb", notebook(parts)), ("md", page(parts))):
            file = HERE / f"lesson-{number}.{ending}"
            if check and (not file.exists() or file.read_text(encoding="utf-8") != text):
                stale.append(str(file))
            elif not check:
                file.write_text(text, encoding="utf-8")
    if stale:
        raise SystemExit(f"{', '.join(stale)}: not what the sources say; run python3 lessons/make.py")


if __name__ == "__main__":
    main()
