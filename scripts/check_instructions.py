"""Counts the instructions that each kernel executes and compares them with kernels/instructions.json.

    python scripts/check_instructions.py [--update]

Fails where a kernel needs a fifth more than is written there: unlike seconds, the count does not depend on what else the
machine does. Needs Linux on x86-64 and valgrind, which knows AVX2 but not AVX-512, so that what is counted is the AVX2
kernels, on one thread. With --update the counts found are written down.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STORED = ROOT / "kernels" / "instructions.json"
ALLOWED = 1.2


def program():
    # The profile of the tests: it compiles kernels as a release does.
    features = re.search(r"--features ([\w/,-]+)", (ROOT / "scripts" / "features").read_text())[1]
    command = ["cargo", "build", "--profile", "tested", "--workspace", "--example", "instructions", "--features", features]
    command += ["--message-format=json", "--quiet"]
    messages = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    executables = [json.loads(line).get("executable") for line in messages.splitlines()]
    return next(path for path in executables if path and Path(path).name.startswith("instructions"))


def instructions(executable, kernel):
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", executable, *kernel]
        environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{result.stderr}")
    return int(re.search(r"Collected : (\d+)", result.stderr)[1])


def main():
    executable = program()
    names = subprocess.run([executable], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    # What the process needs to start and end is no kernel's.
    overhead = instructions(executable, [])
    found = {name: instructions(executable, [name]) - overhead for name in names}
    if "--update" in sys.argv[1:]:
        STORED.write_text(json.dumps(found, indent=1) + "\n")
    stored = json.loads(STORED.read_text())
    slower = []
    for name, count in found.items():
        before = stored.get(name)
        if before is None:
            sys.exit(f"{name} is not in {STORED.relative_to(ROOT)}: run scripts/check_instructions.py --update")
        print(f"{name:42} {count:12,} {count / before:6.2f} of what is written down")
        if count > ALLOWED * before:
            slower.append(name)
    if slower:
        sys.exit(
            f"{', '.join(slower)}: more than {ALLOWED} times the instructions written in {STORED.relative_to(ROOT)}; make "
            "them fewer again, or say in the commit why that is right and run scripts/check_instructions.py --update"
        )


if __name__ == "__main__":
    main()
