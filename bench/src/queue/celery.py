"""Celery's tasks, and its client: sends so many of them and waits for all their results.

As a module it is what the worker loads. As a program it reads lines of `TASK COUNT` and answers seconds.
"""

import os
import subprocess
import sys
import time

from celery import Celery
from celery.result import ResultSet

REDIS = os.environ["BENCH_REDIS"]
app = Celery("bench", broker=REDIS, backend=REDIS)
app.conf.update(worker_prefetch_multiplier=4, broker_connection_retry_on_startup=True)


@app.task(name="noop")
def noop(number):
    """Nothing."""


@app.task(name="true")
def true(number):
    """A fresh process."""
    subprocess.run(["/bin/true"], check=True)


def run(task, count):
    """Sends tasks and waits for all; seconds."""
    started = time.monotonic()
    with app.producer_or_acquire() as producer:
        results = [task.apply_async((number,), producer=producer) for number in range(count)]
    ResultSet(results).join_native()
    return time.monotonic() - started


if __name__ == "__main__":
    tasks = {"noop": noop, "true": true}
    run(noop, 100)
    print("ready", flush=True)
    for line in sys.stdin:
        name, count = line.split()
        print(run(tasks[name], int(count)), flush=True)
