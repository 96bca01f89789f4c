#!/usr/bin/env python3
"""Writes a folder of pipelines with many numbers, and measures how long Patchbay takes to load it.

    ./tenants.py FOLDER                       10,000 numbers with variables in one file
    ./tenants.py FOLDER --files 1000          the same in a thousand files of ten
    ./tenants.py --measure                    both, loaded by a running `patchbay serve`, five times each
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def write(folder, files=1, numbers=10_000, mark=""):
    """`mark` goes into every file, so that another one makes every pipeline a new version."""
    folder.mkdir(parents=True, exist_ok=True)
    share = numbers // files
    for index in range(files):
        document = {
            "name": f"tenant-{index}",
            "description": f"{share} numbers {mark}",
            "numbers": {
                f"+1555{1_000_000 + index * share + offset}": {
                    "tenant": f"tenant {index * share + offset}", "agentId": f"agent_{offset:08}", "chairs": offset % 7,
                    "isOpen": offset % 2 == 0}
                for offset in range(share)},
            "when": [{"outside": {"timeZone": "Europe/Berlin", "monday": ["00:00-24:00"], "dates": {"2026-12-25": []}},
                      "callers": ["anonymous"], "say": "${tenant} is closed."}],
            "variables": {"greeting": "Hello!"},
            "transport": "twilio",
            "stages": ["decoder", {"type": "resampler", "rateHz": 16000}, {"type": "script", "say": "${greeting} ${tenant}"},
                       {"type": "resampler", "rateHz": 8000}, "encoder"]}
        temporary = folder / f"tenant-{index:04}.tmp"
        temporary.write_text(json.dumps(document, indent=1 if files > 1 else None))
        os.replace(temporary, folder / f"tenant-{index:04}.json")


def get(url, body=None):
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as response:
        return json.load(response)


def measure(patchbay, files, port=18089):
    with tempfile.TemporaryDirectory(prefix="patchbay-tenants-") as folder:
        write(Path(folder), files)
        begin = time.monotonic()
        server = subprocess.Popen(
            [patchbay, "serve", folder, "--port", str(port), "--insecure-skip-signatures", "--log-level", "error"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    get(f"http://127.0.0.1:{port}/health")
                    break
                except OSError:
                    if server.poll() is not None or time.monotonic() > begin + 120:
                        sys.exit("patchbay did not start")
                    time.sleep(0.01)
            start = time.monotonic() - begin
            loads = []
            for round in range(5):
                write(Path(folder), files, mark=f"round {round}")
                answer = get(f"http://127.0.0.1:{port}/pipelines/reload", b"")
                assert answer["result"] == "loaded", answer
                loads.append(answer["loadMs"])
            count = get(f"http://127.0.0.1:{port}/numbers?limit=1")["count"]
            status = Path(f"/proc/{server.pid}/status").read_text()
            memory = int(status.split("VmRSS:")[1].split()[0]) // 1024
            size = sum(path.stat().st_size for path in Path(folder).iterdir())
        finally:
            server.terminate()
            server.wait(20)
    print(f"{count} numbers in {files} files, {size / 1e6:.1f} MB: ready after {start * 1000:.0f} ms, reloads "
          f"{min(loads)} to {max(loads)} ms, {memory} MB with six sets in memory")
    return max(loads)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--files", type=int, default=1, help="files to spread the numbers over (1)")
    parser.add_argument("--numbers", type=int, default=10_000, help="numbers altogether (10000)")
    parser.add_argument("--measure", action="store_true", help="load one file and a thousand, and print the times")
    parser.add_argument("--patchbay", default=str(ROOT / ".build/release/patchbay"),
                        help="the binary (.build/release/patchbay)")
    options = parser.parse_args()
    if options.measure:
        slowest = max(measure(options.patchbay, files) for files in (1, 1000))
        sys.exit(0 if slowest < 1000 else 1)
    if options.folder is None or not 1 <= options.files <= options.numbers <= 8_000_000:
        parser.error("name a folder, and at least one number for each file")
    write(options.folder, options.files, options.numbers)


if __name__ == "__main__":
    main()
