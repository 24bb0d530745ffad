#!/usr/bin/env python3
"""Checks that the imports which ARCHITECTURE.md draws are those that Cargo knows.

The first fenced block after the heading "Imports" has one line per crate: its folder, an arrow, and the folders of the crates that it
imports (dependencies of tests and builds excepted). Exit status 1 and one line per difference where they disagree.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def drawn():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    block = re.search(r"^## Imports\n.*?```\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    if not block:
        sys.exit('ARCHITECTURE.md has no fenced block below the heading "Imports"')
    lines = (line.partition("→") for line in block[1].splitlines() if line.strip())
    return {folder.strip(): set(imports.split()) for folder, _, imports in lines}


def known_to_cargo():
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--offline"]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    packages = json.loads(output)["packages"]
    folders = {
        package["name"]: pathlib.Path(package["manifest_path"]).parent.relative_to(ROOT).as_posix()
        for package in packages
    }
    return {
        folders[package["name"]]: {
            folders[dependency["name"]]
            for dependency in package["dependencies"]
            if dependency["kind"] is None and dependency["name"] in folders
        }
        for package in packages
    }


def main():
    in_document, in_cargo = drawn(), known_to_cargo()
    differences = []
    for folder in sorted(in_document.keys() | in_cargo.keys()):
        document, cargo = in_document.get(folder), in_cargo.get(folder)
        if document is None or cargo is None:
            differences.append(f"{folder}: only {'Cargo' if document is None else 'ARCHITECTURE.md'} has it")
            continue
        differences += [f"{folder} → {other}: drawn, but not imported" for other in sorted(document - cargo)]
        differences += [f"{folder} → {other}: imported, but not drawn" for other in sorted(cargo - document)]
    for difference in differences:
        print(difference)
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
