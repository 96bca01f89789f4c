#!/usr/bin/env python3
"""The same spoken call through every agent backend and its vendor's simulator, over real sockets: one table.

The caller hears the greeting, asks, gets an answer for which the agent calls a tool at a real HTTP server, speaks over it and is
answered once more. --calls such calls run at the same time, one beginning 173 ms after the other. The phone does not ring: the
stream comes right behind the webhook. All latencies are the caller's, on the phone's clock, and hold what the simulator takes for
itself; figures are medians over the calls.

    make venv && swift build -c release --product patchbay
    .venv/bin/python Benchmarks/Agents/table.py                     # all backends, ten calls each
    .venv/bin/python Benchmarks/Agents/table.py gemini-live --calls 1
    .venv/bin/python Benchmarks/Agents/table.py elevenlabs,websocket --calls 50 --json results.json

Needs Linux and espeak-ng. Only 127.0.0.1 is spoken to.
"""

import argparse
import asyncio
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib import metadata

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The phone and the calls are those of the tests, and CPU is counted as for the load.
sys.path[:0] = [str(ROOT / "Benchmarks/Load"), str(ROOT / "Tests/Interop")]

#: Seconds between the beginnings of two calls, no whole number of packets: neither their packets nor their answers, for which a
#: simulator runs espeak-ng, come all at once.
INTERVAL = 0.173
HEAD = ["backend", "first audio ms", "response ms", "interruption ms", "tool called", "words right", "CPU ms/call s"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backends", nargs="?", help="their types, with commas; all when absent")
    parser.add_argument("--calls", type=int, default=10, help="calls at the same time")
    parser.add_argument("--binary", default=os.environ.get("PATCHBAY_BINARY", str(ROOT / ".build/release/patchbay")))
    parser.add_argument("--json", metavar="FILE", help="writes everything that was measured, call by call")
    options = parser.parse_args()
    if not 1 <= options.calls <= 200:
        parser.error("--calls: 1 to 200")
    if not os.access(options.binary, os.X_OK):
        parser.error(f"--binary: {options.binary} is no program; swift build -c release --product patchbay")
    return parser, options


def machine(binary):
    """What the figures depend on."""
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10).stdout.strip()
    return {
        "platform": platform.platform(), "cpu": f"{model or platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 2), "patchbay": version, "python": platform.python_version(),
        "websockets": metadata.version("websockets")}


async def measure(backend, caller, calls, server):
    """All calls at once; and the CPU of the server's process meanwhile."""
    from conversation import Conversation
    from phone import SILENCE, call
    from run import Sample

    # What is made once, at the first call, is nobody's cost.
    await call(server, "+15550100001", [SILENCE] * 50, sid="CA" + "0" * 32)
    before = Sample(server.process.pid)

    async def one(index):
        await asyncio.sleep(INTERVAL * index)
        return await Conversation.hold(server, caller, sid=f"CA{index + 1:032d}")

    held = await asyncio.gather(*[one(index) for index in range(calls)])
    cpu = Sample(server.process.pid).cpu_since(before)
    whole = [each for each in held if each.is_whole]
    schedule = [(each.sent[index] - each.sent[0]) - index * 0.02 for each in held for index in range(len(each.sent))]
    return {
        "backend": backend.type, "calls": calls, "whole": len(whole),
        "firstAudioMs": [1000 * each.first_audio for each in whole],
        "responseMs": [1000 * each.response for each in whole],
        "interruptionMs": [1000 * each.interruption for each in whole],
        "toolCalled": sum(each.called_the_tool for each in held),
        "wordsRight": sum(each.has_the_words for each in held),
        "cpuMsPerCallSecond": 1000 * cpu / sum(each.seconds for each in held),
        "phoneLateP99Ms": 1000 * statistics.quantiles(schedule, n=100)[98],
    }


def run(backend, caller, calls, folder):
    from backends import ENVIRONMENT, Diary, document, simulated
    from conftest import Process
    from conversation import TOOL

    diary = Diary()
    path = pathlib.Path(folder) / backend.type
    path.mkdir()
    with simulated(backend, *TOOL) as simulator:
        (path / "desk.json").write_text(document(backend.entry(simulator.port), tools=[diary.tool()]))
        server = Process(
            ["serve", str(path), "--port", "0", "--drain-timeout", "1", "--log-level", "error"], ENVIRONMENT)
        try:
            row = asyncio.run(measure(backend, caller, calls, server))
        finally:
            server.stop()
            diary.shutdown()
    # The server of the tool knows best whether it was asked, once by each call.
    row["toolAsked"] = len(diary.asked)
    return row


def cells(row):
    def median(name):
        value = statistics.median(row[name]) if row[name] else None
        return "–" if value is None else f"{value:.1f}" if value < 10 else f"{value:.0f}"

    of_all = lambda count: "yes" if count == row["calls"] else "no" if count == 0 else f"{count} of {row['calls']}"
    return [row["backend"], median("firstAudioMs"), median("responseMs"), median("interruptionMs"),
            of_all(min(row["toolCalled"], row["toolAsked"])), of_all(row["wordsRight"]), f"{row['cpuMsPerCallSecond']:.2f}"]


def line(texts):
    return "  ".join(text.ljust(16) if index == 0 else text.rjust(len(HEAD[index])) for index, text in enumerate(texts))


def main():
    parser, options = arguments()
    os.environ["PATCHBAY_BINARY"] = options.binary  # the tests' modules read it when they are imported
    from backends import BACKENDS
    from conversation import Caller

    names = options.backends.split(",") if options.backends else [backend.type for backend in BACKENDS]
    unknown = set(names) - {backend.type for backend in BACKENDS}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(each.type for each in BACKENDS)}")
    facts, caller, rows = machine(options.binary), Caller(), []
    print(f"{facts['platform']}; {facts['cpu']}; load {facts['load']} before")
    print(f"patchbay {facts['patchbay']}, Python {facts['python']}, websockets {facts['websockets']}; "
          f"{options.calls} calls at once, {len(caller.packets) * 0.02:.1f} s each; medians")
    print(line(HEAD), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for backend in BACKENDS:
            if backend.type in names:
                rows.append(run(backend, caller, options.calls, folder))
                print(line(cells(rows[-1])), flush=True)
                if rows[-1]["whole"] < options.calls:
                    print(f"  {options.calls - rows[-1]['whole']} calls did not come to an answer that was cut")
    print(f"the phones' own packets were late by {max(row['phoneLateP99Ms'] for row in rows):.0f} ms at most (p99); "
          f"load {os.getloadavg()[0]:.2f} after")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": facts, "rows": rows}, file, indent=1)
    counts = ["whole", "toolCalled", "toolAsked", "wordsRight"]
    return 0 if all(row[name] == options.calls for row in rows for name in counts) else 1


if __name__ == "__main__":
    sys.exit(main())
