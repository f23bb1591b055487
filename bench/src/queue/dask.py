"""Dask distributed: a scheduler and processes of one thread each; maps so many tasks and gathers all results.

Its first argument is how many processes. It reads lines of `TASK COUNT` and answers seconds.
"""

import subprocess
import sys
import time

from distributed import Client, LocalCluster


def noop(number):
    """Nothing."""


def true(number):
    """A fresh process."""
    subprocess.run(["/bin/true"], check=True)


def run(client, task, count):
    """Maps and gathers; seconds."""
    started = time.monotonic()
    client.gather(client.map(task, range(count), pure=False))
    return time.monotonic() - started


def main():
    """Serves the lines."""
    tasks = {"noop": noop, "true": true}
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with LocalCluster(n_workers=int(sys.argv[1]), **options) as cluster, Client(cluster) as client:
        run(client, noop, 100)
        print("ready", flush=True)
        for line in sys.stdin:
            name, count = line.split()
            print(run(client, tasks[name], int(count)), flush=True)


if __name__ == "__main__":
    main()
