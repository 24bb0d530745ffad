#!/usr/bin/env python3
"""Compares manifests with the types of Kubernetes' API, as its own Python client has them from the API's OpenAPI description: every key
has to exist under its name, every value has to be of its type, and what is required has to be there.

    scripts/check_kubernetes.py FILE.yaml..."""

import re
import sys

import yaml
from kubernetes import client

KINDS = {("batch/v1", "Job"): "V1Job", ("v1", "PersistentVolumeClaim"): "V1PersistentVolumeClaim"}
PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object}


def wrong(value, kind, where):
    """What is wrong with a value that should be of a kind, in words. A value is looked into before it is taken as a whole, so that the
    first sentence is the most precise."""
    if kind in PLAIN:
        is_bool = isinstance(value, bool) and kind in ("int", "float")
        if is_bool or not isinstance(value, PLAIN[kind]):
            yield f"{where} is {value!r}, not of type {kind}"
    elif of := re.fullmatch(r"[lL]ist\[(.+)\]", kind):
        if not isinstance(value, list):
            yield f"{where} is no list"
            return
        for place, item in enumerate(value):
            yield from wrong(item, of[1], f"{where}[{place}]")
    elif of := re.fullmatch(r"(?:dict\(|Dict\[)str, (.+)[)\]]", kind):
        if not isinstance(value, dict):
            yield f"{where} is no map"
            return
        for key, item in value.items():
            yield from wrong(item, of[1], f"{where}.{key}")
    else:
        model = getattr(client, kind)
        if not isinstance(value, dict):
            yield f"{where} is {value!r}, not a {kind}"
            return
        names = {name: attribute for attribute, name in model.attribute_map.items()}
        given = {}
        for key, item in value.items():
            if key not in names:
                yield f"{where}.{key}: a {kind} has no such key"
                continue
            given[names[key]] = item
            yield from wrong(item, model.openapi_types[names[key]], f"{where}.{key}")
        try:
            model(**given)
        except ValueError as error:
            yield f"{where}: {' '.join(str(error).split()[:40])}"


def check(path):
    with open(path) as file:
        found = yaml.safe_load(file)
    kind = KINDS.get((found.get("apiVersion"), found.get("kind")))
    if kind is None:
        return [f"{path}: {found.get('apiVersion')} {found.get('kind')} is not known here"]
    return list(wrong(found, kind, path))


def main():
    problems = [problem for path in sys.argv[1:] for problem in check(path)]
    print("\n".join(problems) or f"{len(sys.argv) - 1} manifests are as Kubernetes' types say")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
