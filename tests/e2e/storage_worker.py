"""One process among several on one store: storage_worker.py FOLDER ROLE ...

Prints one JSON line when it is ready and one when it is done.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from flchain.storage.disk import DiskStore

SIZES = [0, 10, 5_000, 400_000, (1 << 20) + 1]


def make_content(owner, index):
    """Contents that some owners share, of every size."""
    seed = index if index % 3 == 0 else owner * 1000 + index
    return random.Random(seed).randbytes(SIZES[seed % len(SIZES)])


def add(store, owner, count):
    for index in range(count):
        cid = store.add(make_content(owner, index), pin=f"{owner}/{index}")
        tell([str(cid), owner, index])
        if index % 5 == 4:
            store.unpin(f"{owner}/{index}")


def collect(store, seconds):
    end, removed = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        removed += store.gc(min_age=0, now=time.time() + 60).blocks
        time.sleep(0.005)
    tell(removed)


def die(store, call, count):
    """Add until the `count`-th use of a file operation, and die in it."""
    left = [count]
    real = getattr(Path, call)

    def fatal(path, *values, **options):
        if path.name.startswith(".put-"):
            left[0] -= 1
            if left[0] == 0:
                if call == "open":
                    real(path, "xb").write(b"torn")
                os.kill(os.getpid(), signal.SIGKILL)
        return real(path, *values, **options)

    setattr(Path, call, fatal)
    add(store, 7, 50)


def open_many(folder, at):
    """Open new stores at agreed moments, as other workers do."""
    for index in range(20):
        while time.monotonic() < at + index * 0.1:
            pass
        opened = DiskStore(folder / str(index), durable=False)
        opened.put_block(b"block", "x")
        opened.close()


def tell(value):
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    folder, role, *arguments = sys.argv[1:]
    if role == "open":
        open_many(Path(folder), float(arguments[0]))
        tell("done")
        sys.exit()
    opened = DiskStore(Path(folder), durable=False)
    tell("ready")
    if role == "add":
        add(opened, *map(int, arguments))
    elif role == "collect":
        collect(opened, float(arguments[0]))
    else:
        die(opened, arguments[0], int(arguments[1]))
    opened.close()
    tell("done")
