"""Records the shards of an investigation with Ray and merges them. Each task runs the program `archaeo` on some machine of the cluster;
all machines see the same folder. A shard whose failure may pass, and one whose worker was killed, is tried again.

    python3 shards.py [--address ADDRESS | --cpus N]"""

import argparse
import json
import platform
import subprocess
import sys

import ray

TASK = json.loads(TASK_AS_JSON)

TRY_AGAIN = 75  # exit status of a failure that may pass
NOT_FOUND = 127  # a shell's, where there is no such program


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(words):
    try:
        return subprocess.run(words, cwd=TASK["directory"]).returncode
    except OSError as error:
        place = f"in {TASK['directory']} on {platform.node()}"
        say(f"{words[0]} cannot be run {place}: {error.strerror}; `archaeo submit ray --program` names another")
        return NOT_FOUND


@ray.remote(max_retries=0)
def record(shard):
    return run([*TASK["record"], "--shard", f"{shard}/{TASK['shards']}"])


def may_pass(status):
    """Killed by a signal, as by a machine without memory, or a failure of which the program says so."""
    return status == TRY_AGAIN or status < 0 or status > 128


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="of a Ray cluster; without it, this machine alone")
    parser.add_argument("--cpus", type=int, help="of this machine that are used; all by default")
    options = parser.parse_args()
    ray.init(address=options.address, num_cpus=options.cpus, logging_level="warning")

    if TASK["trains"] and (status := run([*TASK["record"], "--models-only"])) != 0:
        sys.exit(status)

    remote = record.options(num_cpus=TASK["cpus"])
    waiting = list(range(TASK["shards"]))
    most = TASK["at_once"] or len(waiting)
    tries, running, done = dict.fromkeys(waiting, 0), {}, 0
    while waiting or running:
        while waiting and len(running) < most:
            shard = waiting.pop(0)
            running[remote.remote(shard)] = shard
        [ended], _ = ray.wait(list(running), num_returns=1)
        shard = running.pop(ended)
        try:
            status = ray.get(ended)
        except ray.exceptions.RayError as error:
            say(f"shard {shard}: its worker is gone ({type(error).__name__})")
            status = TRY_AGAIN
        if status == 0:
            done += 1
            say(f"shard {shard} is complete, {done} of {TASK['shards']}")
        elif may_pass(status) and tries[shard] < TASK["retries"]:
            tries[shard] += 1
            say(f"shard {shard} ended with status {status}; try {tries[shard] + 1}")
            waiting.append(shard)
        else:
            say(f"shard {shard} ended with status {status} and is not tried again")
            for task in running:
                ray.cancel(task, force=True)
            sys.exit(status if 0 < status < 128 else TRY_AGAIN)
    sys.exit(run(TASK["merge"]))


if __name__ == "__main__":
    main()
