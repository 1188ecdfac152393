"""Programs that fetch the same file at the same time; the tests start this file as a process of its own."""

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import filelock  # noqa: F401  once, before the forks
import httpx  # noqa: F401

from course_utils import assets


def one_asset(url, size, digest):
    """Let the manifest hold one asset."""
    asset = assets.Asset("thing", "thing.bin", (url,), int(size), digest, "none", "nobody")
    assets.manifest = lambda: {"thing": asset}


def fetch(report):
    """Fetch, and write down the digest of what came and when."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        content = assets.fetch("thing").read_bytes()
    report.write_text(json.dumps([hashlib.sha256(content).hexdigest(), time.time()]))


def main(url, size, digest, count, folder, kind):
    one_asset(url, size, digest)
    if kind == "no-lock":  # as on a drive whose file system knows no locks

        def unknown(handle, operation):
            raise OSError(95, "Operation not supported")

        fcntl.flock = unknown
    pids = []
    for number in range(int(count)):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                signal.alarm(100)
                fetch(Path(folder) / f"{number}.json")
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    found = [json.loads(file.read_text()) for file in Path(folder).glob("*.json")]
    print(json.dumps({"codes": codes, "digests": [digest for digest, _ in found]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
