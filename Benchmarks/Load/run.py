#!/usr/bin/env python3
"""N phone calls in real time through a bridge, side by side in one run: a plain C bridge as the floor, a Go bridge
where Go is installed, and `patchbay serve` where it has been built. See ../README.md for what is measured and how.

    ./run.py                                   all of them, 1, 100 and 300 calls of 20 s
    ./run.py --only floor,patchbay-medium      some of them, by name or the beginning of a name
    ./run.py --repeat 3                        the median of three, on a machine that is not quiet
    ./run.py --churn 1000                      short calls instead: what is left of descriptors and memory
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import tenants

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
ROOT = HERE.parent.parent
GO_PACKAGES = Path("/usr/share/gocode")  # where Debian's golang-github-gorilla-websocket-dev puts its source
TICK = os.sysconf("SC_CLK_TCK")
WARM_UP_CALLS = 4


@dataclass(frozen=True)
class Contestant:
    name: str
    kind: str  # "c", "go" or "patchbay"
    mode: str
    agent_format: str  # empty: no agent socket
    reloads: bool = False  # 10,000 numbers are reloaded once a second meanwhile


SILERO_MODEL = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "patchbay" / "silero_vad.onnx"

RESAMPLED = ["decoder", {"type": "resampler", "rateHz": 16000}, {"type": "elevenlabs"},
             {"type": "resampler", "rateHz": 8000}, "encoder"]


def resampled(quality):
    return [dict(stage, quality=quality) if isinstance(stage, dict) and stage["type"] == "resampler" else stage
            for stage in RESAMPLED]


STAGES = {
    "passthrough": [{"type": "elevenlabs"}],
    "decoded": RESAMPLED,
    "vad": RESAMPLED[:2] + ["vad", "turns"] + RESAMPLED[2:],
    "silero": RESAMPLED[:1] + [{"type": "vad", "engine": "silero"}, "turns"] + RESAMPLED[1:],
    "medium": resampled("medium"),
    "echo": [{"type": "echo"}],
}

CONTESTANTS = [
    Contestant("floor-passthrough", "c", "passthrough", "ulaw_8000"),
    Contestant("floor-resample", "c", "resample", "pcm_16000"),
    Contestant("go-passthrough", "go", "passthrough", "ulaw_8000"),
    Contestant("go-resample", "go", "resample", "pcm_16000"),
    Contestant("patchbay-passthrough", "patchbay", "passthrough", "ulaw_8000"),
    Contestant("patchbay-decoded", "patchbay", "decoded", "pcm_16000"),
    Contestant("patchbay-reload", "patchbay", "decoded", "pcm_16000", reloads=True),
    Contestant("patchbay-vad", "patchbay", "vad", "pcm_16000"),
    Contestant("patchbay-silero", "patchbay", "silero", "pcm_16000"),
    Contestant("patchbay-medium", "patchbay", "medium", "pcm_16000"),
    Contestant("patchbay-echo", "patchbay", "echo", ""),
]


# Building


def build():
    BUILD.mkdir(exist_ok=True)
    for name, libraries in (("phones", ["-lm"]), ("bridge", ["-lm"]), ("agent", ["-lssl", "-lcrypto"])):
        source, target = HERE / f"{name}.c", BUILD / name
        if is_older(target, source, HERE / "ws.h"):
            subprocess.run(["cc", "-O2", "-Wall", "-Werror", str(source), "-o", str(target), *libraries], check=True)
    if shutil.which("go") and (GO_PACKAGES / "src/github.com/gorilla/websocket").is_dir():
        source, target = HERE / "bridge.go", BUILD / "bridge_go"
        if is_older(target, source):
            environment = dict(os.environ, GO111MODULE="off", GOPATH=str(GO_PACKAGES))
            subprocess.run(["go", "build", "-o", str(target), str(source)], check=True, env=environment)


def is_older(target, *sources):
    return not target.exists() or any(target.stat().st_mtime < source.stat().st_mtime for source in sources)


def is_there(contestant, patchbay):
    if contestant.kind == "go":
        return (BUILD / "bridge_go").exists()
    if contestant.mode == "silero" and not SILERO_MODEL.exists():
        return False  # `patchbay model silero` brings it
    return contestant.kind == "c" or os.access(patchbay, os.X_OK)


# What /proc says of a process


class Sample:
    """CPU time, switches, memory and descriptors of a process at one moment."""

    def __init__(self, pid):
        self.time = time.monotonic()
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        self.user, self.system = int(fields[11]) / TICK, int(fields[12]) / TICK
        self.threads, self.switches = {}, 0
        for task in Path(f"/proc/{pid}/task").iterdir():
            try:
                self.threads[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
                self.switches += number((task / "status").read_text(), "voluntary_ctxt_switches")
            except (FileNotFoundError, ProcessLookupError):
                pass  # the thread has ended meanwhile
        self.rss = number(Path(f"/proc/{pid}/status").read_text(), "VmRSS")
        self.descriptors = len(os.listdir(f"/proc/{pid}/fd"))

    def cpu_since(self, before):
        """Seconds of CPU: the scheduler's own count, or the coarser one of `stat` if threads came or went."""
        if self.threads and self.threads.keys() == before.threads.keys():
            return sum(self.threads.values()) - sum(before.threads.values())
        return self.user + self.system - before.user - before.system


class Reloader(threading.Thread):
    """Gives a running server other pipelines once a second, and has it load them."""

    def __init__(self, folder, port):
        super().__init__(daemon=True)
        self.target = folder / "tenant-0000.json"
        self.url = f"http://127.0.0.1:{port}/pipelines/reload"
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by a proxy
        # Two texts in turn, so that every load brings a new version into force.
        self.texts = []
        for mark in ("odd", "even"):
            tenants.write(folder / "texts" / mark, mark=mark)
            self.texts.append((folder / "texts" / mark / "tenant-0000.json").read_bytes())
        self.done = threading.Event()
        self.load_ms, self.faults = [], []

    def reload(self):
        beside = self.target.with_suffix(".tmp")
        beside.write_bytes(self.texts[len(self.load_ms) % 2])
        os.replace(beside, self.target)
        with self.opener.open(urllib.request.Request(self.url, b""), timeout=10) as response:
            answer = json.load(response)
        if answer["result"] != "loaded":
            raise ValueError(f"the reload was answered with {answer['result']}")
        self.load_ms.append(answer["loadMs"])

    def run(self):
        next_time = time.monotonic()
        while not self.done.wait(max(0, next_time - time.monotonic())):
            next_time += 1
            try:
                self.reload()
            except (OSError, ValueError, KeyError) as error:
                self.faults.append(str(error))

    def stop(self):
        self.done.set()
        self.join(15)
        self.target.unlink(missing_ok=True)  # the next bridge reads the same folder
        return {"count": len(self.load_ms), "loadMs": self.load_ms, "faults": self.faults}


def number(text, key):
    for line in text.splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def core_times():
    """Per core: all ticks, idle ticks, ticks that the hypervisor took."""
    cores = {}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            ticks = [int(field) for field in fields[:8]]
            cores[int(name[3:])] = (sum(ticks), ticks[3] + ticks[4], ticks[7])
    return cores


def core_use(before, after, core):
    total, idle, stolen = (after[core][i] - before[core][i] for i in range(3))
    return {"busy": 1 - idle / total if total else 0, "stolen": stolen / total if total else 0}


# Processes


class Bench:
    def __init__(self, options, folder):
        self.options = options
        self.folder = Path(folder)
        self.running = []
        if options.tls:
            self.make_certificates()

    def start(self, name, command, core, environment=None):
        if self.options.pins:
            command = ["taskset", "-c", str(core), *command]
        log = open(self.folder / f"{name}.log", "wb")
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        log.close()
        process.log = self.folder / f"{name}.log"
        self.running.append(process)
        return process

    def stop(self, process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self.running:
            self.running.remove(process)

    def stop_all(self):
        for process in list(self.running):
            self.stop(process)

    def make_certificates(self):
        def openssl(*words):
            subprocess.run(["openssl", *words], check=True, cwd=self.folder, capture_output=True)

        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl("req", "-x509", *curve, "-days", "2", "-subj", "/CN=Load benchmark CA", "-keyout", "ca.key",
                "-out", "ca.pem")
        openssl("req", *curve, "-subj", "/CN=localhost", "-keyout", "agent.key", "-out", "agent.csr")
        (self.folder / "agent.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", "agent.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "agent.ext", "-out", "agent.pem")

    def start_agent(self, contestant):
        port = free_port()
        command = [str(BUILD / "agent"), "--port", str(port), "--format", contestant.agent_format or "ulaw_8000"]
        if self.options.tls:
            command += ["--tls", str(self.folder / "agent.pem"), str(self.folder / "agent.key")]
        agent = self.start("agent", command, self.options.load_core)
        wait_for(agent, lambda: accepts(port))
        return agent, port

    def start_bridge(self, contestant, agent_port):
        port = free_port()
        environment = None
        if contestant.kind == "patchbay":
            pipelines = self.folder / "Pipelines"
            pipelines.mkdir(exist_ok=True)
            write_json(pipelines / "server.json", {"limits": {"maximumCalls": 2000}})
            write_json(pipelines / "load.json", {
                "name": "load", "numbers": ["*"], "transport": "twilio", "stages": STAGES[contestant.mode]})
            command = [self.options.patchbay, "serve", str(pipelines), "--port", str(port),
                       "--insecure-skip-signatures", "--log-level", "warning"]
            # Nothing of the surroundings may change what is measured: a key, for one, asks for a signed URL first.
            environment = {key: value for key, value in os.environ.items()
                           if not key.startswith(("ELEVENLABS_", "TWILIO_", "PUBLIC_URL", "APP_BASE_URL", "API_URL"))}
            scheme, host = ("https", "localhost") if self.options.tls else ("http", "127.0.0.1")
            environment["ELEVENLABS_BASE_URL"] = f"{scheme}://{host}:{agent_port}"
            environment["ELEVENLABS_AGENT_ID"] = "agent_load"
            if self.options.tls:
                environment["PATCHBAY_CA_FILE"] = str(self.folder / "ca.pem")
        else:
            program = "bridge" if contestant.kind == "c" else "bridge_go"
            command = [str(BUILD / program), "--port", str(port), "--agent-port", str(agent_port),
                       "--mode", contestant.mode]
        bridge = self.start("bridge", command, self.options.bridge_core, environment)
        wait_for(bridge, (lambda: is_healthy(port)) if contestant.kind == "patchbay" else (lambda: accepts(port)))
        return bridge, port

    def phones(self, contestant, port, calls, seconds, *words, at_steady=None, at_draining=None):
        """Lets `calls` phones talk; the two functions are called when the steady part begins and ends."""
        command = [str(BUILD / "phones"), "--json", "--port", str(port), "--calls", str(calls),
                   "--seconds", str(seconds), "--rampup-per-second", str(self.options.rampup_per_second), *words]
        if contestant.kind != "patchbay":
            command.append("--direct")
        if self.options.pins:
            command = ["taskset", "-c", str(self.options.load_core), *command]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.running.append(process)
        for line in process.stderr:
            if line.strip() == "steady" and at_steady:
                at_steady(process.pid)
            elif line.strip() == "draining" and at_draining:
                at_draining(process.pid)
            elif line.strip() not in ("steady", "draining"):
                print(line, end="", file=sys.stderr)
        output = process.stdout.read()
        process.wait()
        self.running.remove(process)
        if not output:
            raise Failure(f"the phones ended with {process.returncode} and no result")
        return json.loads(output)

    # Measurements

    def median(self, contestant, calls):
        """The measurement with the median 99th percentile of several, and the percentiles of all."""
        runs = [self.measure(contestant, calls) for _ in range(self.options.repeat)]
        runs.sort(key=lambda run: run["phones"]["latencyMs"]["p99"])
        chosen = runs[(len(runs) - 1) // 2]
        chosen["repeats"] = [
            {"p99Ms": run["phones"]["latencyMs"]["p99"], "cpuMsPerCallSecond": run["cpuMsPerCallSecond"],
             "probesLost": run["phones"]["probes"]["lost"]}
            for run in runs]
        return chosen

    def measure(self, contestant, calls):
        agent, agent_port = self.start_agent(contestant)
        bridge, port = self.start_bridge(contestant, agent_port)
        try:
            # What the first calls allocate once and for all does not belong to the calls.
            self.phones(contestant, port, WARM_UP_CALLS, 1)
            before = self.settled(bridge, None)
            moments = {}

            def take(key, phones):
                moments[key] = (Sample(bridge.pid), Sample(agent.pid), Sample(phones), core_times())

            reloader = Reloader(self.folder / "Pipelines", port) if contestant.reloads else None

            def begin(phones):
                take("from", phones)
                if reloader:
                    reloader.start()

            reloads = None

            def end(phones):
                nonlocal reloads
                take("to", phones)
                if reloader:
                    reloads = reloader.stop()

            phones = self.phones(contestant, port, calls, self.options.seconds, at_steady=begin, at_draining=end)
            if len(moments) < 2:
                raise Failure(f"no steady part: {phones['lastError']}")
            after = self.settled(bridge, before.descriptors)
        except (OSError, Failure) as error:
            raise Failure(f"{error}\n{tail(bridge.log)}") from error
        finally:
            self.stop(bridge)
            self.stop(agent)

        (bridge_0, agent_0, phones_0, cores_0), (bridge_1, agent_1, phones_1, cores_1) = moments["from"], moments["to"]
        span = bridge_1.time - bridge_0.time
        cpu = bridge_1.cpu_since(bridge_0)
        load_cpu = agent_1.cpu_since(agent_0) + phones_1.cpu_since(phones_0)
        ticks = (bridge_1.user - bridge_0.user) + (bridge_1.system - bridge_0.system)
        return {
            "bridge": contestant.name,
            "calls": calls,
            "steadySeconds": span,
            "cpuMsPerCallSecond": cpu * 1000 / (calls * span),
            "systemShare": (bridge_1.system - bridge_0.system) / ticks if ticks else None,
            "bridgeCpu": cpu / span,
            "loadCpu": load_cpu / span,
            "bridgeCore": core_use(cores_0, cores_1, self.options.bridge_core) if self.options.pins else None,
            "loadCore": core_use(cores_0, cores_1, self.options.load_core) if self.options.pins else None,
            "voluntarySwitchesPerSecond": (bridge_1.switches - bridge_0.switches) / span,
            "rssKB": {"before": before.rss, "steady": bridge_1.rss, "after": after.rss},
            "kBPerCall": (bridge_1.rss - before.rss) / calls,
            "descriptors": {"before": before.descriptors, "steady": bridge_1.descriptors, "after": after.descriptors},
            "phones": phones,
            "reloads": reloads,
        }

    def settled(self, process, descriptors):
        """A sample when the descriptors are back at their number, or after five seconds."""
        end = time.monotonic() + 5
        time.sleep(0.3)
        while True:
            if process.poll() is not None:
                raise Failure(f"the bridge ended with {process.returncode}")
            sample = Sample(process.pid)
            if descriptors is None or sample.descriptors <= descriptors or time.monotonic() > end:
                return sample
            time.sleep(0.1)

    def churn(self, contestant):
        agent, agent_port = self.start_agent(contestant)
        bridge, port = self.start_bridge(contestant, agent_port)
        at_once, half = 50, max(1, self.options.churn // 2)
        try:
            self.phones(contestant, port, at_once, 1)
            samples = [self.settled(bridge, None)]
            results = []
            for _ in range(2):
                results.append(self.phones(contestant, port, min(at_once, half), 1, "--churn", str(half)))
                samples.append(self.settled(bridge, samples[0].descriptors))
        except (OSError, Failure) as error:
            raise Failure(f"{error}\n{tail(bridge.log)}") from error
        finally:
            self.stop(bridge)
            self.stop(agent)
        return {
            "bridge": contestant.name,
            "calls": 2 * half,
            "descriptors": [sample.descriptors for sample in samples],
            "rssKB": [sample.rss for sample in samples],
            "phones": results,
        }


class Failure(Exception):
    pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def is_healthy(port):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by a proxy
    try:
        with opener.open(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def wait_for(process, is_ready):
    end = time.monotonic() + 20
    while not is_ready():
        if process.poll() is not None:
            raise Failure(f"{process.args} ended with {process.returncode}\n{tail(process.log)}")
        if time.monotonic() > end:
            raise Failure(f"{process.args} was not ready in 20 s\n{tail(process.log)}")
        time.sleep(0.05)


def tail(path):
    return "\n".join(path.read_text(errors="replace").splitlines()[-15:])


def write_json(path, document):
    path.write_text(json.dumps(document, indent=2) + "\n")


# Reports


def machine():
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), os.uname().machine)
    control = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return {"cpu": model, "cores": os.cpu_count(), "kernel": os.uname().release, "tcpCongestionControl": control,
            "loadBefore": os.getloadavg()[0]}


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())


def holds(result, idle):
    """Whether nothing was lost and the 99th percentile is within 20 ms of the one with the fewest calls."""
    phones = result["phones"]
    return (phones["failed"] == phones["closedEarly"] == phones["probes"]["lost"] == 0
            and phones["latencyMs"]["p99"] <= idle["phones"]["latencyMs"]["p99"] + 20)


def foreign_use(result, name):
    """How much of a core others used. The core's own count is sampled by a clock that may beat with the 20 ms schedule,
    so a little says nothing."""
    use = result[f"{name}Core"]
    return use["busy"] - result[f"{name}Cpu"] if use else 0


def is_disturbed(result):
    foreign = max(foreign_use(result, "bridge"), foreign_use(result, "load"))
    return foreign > 0.2 or result["phones"]["lateMs"]["p99"] > 5


def print_loads(results):
    rows = [["bridge", "calls", "holds", "CPU ms/call s", "system", "bridge CPU", "load CPU", "p50 ms", "p95", "p99",
             "max", "probes lost", "audio back", "late p99", "switches/s", "kB/call", "RSS MB", "fds"]]
    idle = {}
    for result in results:
        first = idle.setdefault(result["bridge"], result)
        phones, rss, fds = result["phones"], result["rssKB"], result["descriptors"]
        latency, media = phones["latencyMs"], phones["media"]
        rows.append([
            result["bridge"], str(result["calls"]),
            ("yes" if holds(result, first) else "NO") + ("*" if is_disturbed(result) else ""),
            f"{result['cpuMsPerCallSecond']:.2f}",
            "-" if result["systemShare"] is None else f"{result['systemShare']:.0%}",
            f"{result['bridgeCpu']:.0%}", f"{result['loadCpu']:.0%}",
            f"{latency['p50']:.1f}", f"{latency['p95']:.1f}", f"{latency['p99']:.1f}", f"{latency['max']:.1f}",
            f"{phones['probes']['lost']}/{phones['probes']['sent']}",
            f"{media['receivedMs'] / media['sentMs']:.2%}" if media["sentMs"] else "-",
            f"{phones['lateMs']['p99']:.1f}", f"{result['voluntarySwitchesPerSecond']:.0f}",
            f"{result['kBPerCall']:.0f}" if result["calls"] >= 10 else "-",
            "/".join(f"{rss[key] / 1024:.1f}" for key in ("before", "steady", "after")),
            "/".join(str(fds[key]) for key in ("before", "steady", "after")),
        ])
    print()
    table(rows)
    print("\nRSS and fds: before the calls (after a warm-up), with all of them, after them.")
    if any(is_disturbed(result) for result in results):
        print("*: another program used the cores, or the phones were late; do not believe this row.")
    for result in results:
        for note in list(notes(result)) + list(reload_notes(result, results)):
            print(f"{result['bridge']} with {result['calls']} calls: {note}")


def notes(result):
    """What a reader should know before believing a row, and what set its limit."""
    phones = result["phones"]
    if phones["failed"] or phones["closedEarly"]:
        yield (f"{phones['failed']} calls did not start and {phones['closedEarly']} broke off, "
               f"at last by \"{phones['lastError']}\"")
    lost = phones["media"]["sentMs"] - phones["media"]["receivedMs"]
    if lost > 40 * result["calls"]:
        yield f"{lost / result['calls']:.0f} ms of audio a call did not come back"
    if result["descriptors"]["after"] > result["descriptors"]["before"] + 2:
        yield f"{result['descriptors']['after'] - result['descriptors']['before']} descriptors stayed open"
    for name in ("bridge", "load"):
        own, use = result[f"{name}Cpu"], result[f"{name}Core"]
        if not use:
            continue
        if own > 0.85:
            yield f"{own:.0%} of the {name} core was used: it sets the limit"
        if foreign_use(result, name) > 0.2:
            yield f"something else used {foreign_use(result, name):.0%} of the {name} core; measure on a quiet machine"
        if use["stolen"] > 0.02:
            yield f"the hypervisor kept {use['stolen']:.0%} of the {name} core for itself"
    if phones["lateMs"]["max"] > 20:
        yield (f"the phones stood still for {phones['lateMs']['max']:.0f} ms: the machine paused, and the maximum "
               "says little")
    if len(result["repeats"]) > 1:
        values = ", ".join(f"{run['p99Ms']:.1f}" for run in result["repeats"])
        yield f"p99 of the repeats {values} ms, the row is the median"
    if phones["lateMs"]["p99"] > 5:
        yield f"the phones themselves were late by {phones['lateMs']['p99']:.1f} ms (p99)"


def reload_notes(result, results):
    """How the reloads went, and what they did to the calls beside the same calls without."""
    reloads = result["reloads"]
    if not reloads:
        return
    loads = sorted(reloads["loadMs"])
    if not loads:
        yield f"no reload succeeded: {(reloads['faults'] or ['none was made'])[-1]}"
        return
    yield (f"{reloads['count']} reloads of 10,000 numbers, median {loads[len(loads) // 2]} ms, longest {loads[-1]} ms"
           + (f", {len(reloads['faults'])} failed, at last by \"{reloads['faults'][-1]}\"" if reloads["faults"] else ""))
    for other in results:
        if other["bridge"] == "patchbay-decoded" and other["calls"] == result["calls"]:
            own, undisturbed = result["phones"]["latencyMs"]["p99"], other["phones"]["latencyMs"]["p99"]
            yield f"p99 {own:.1f} ms, {own - undisturbed:+.1f} ms against patchbay-decoded, which has no reloads"


def print_churn(results):
    rows = [["bridge", "calls", "failed", "broke off", "probes lost", "set-up p99 ms", "fds", "RSS MB"]]
    for result in results:
        phones = result["phones"]
        rows.append([
            result["bridge"], str(sum(run["calls"] for run in phones)), str(sum(run["failed"] for run in phones)),
            str(sum(run["closedEarly"] for run in phones)), str(sum(run["probes"]["lost"] for run in phones)),
            f"{max(run['setupMs']['p99'] for run in phones):.1f}", "/".join(map(str, result["descriptors"])),
            "/".join(f"{rss / 1024:.1f}" for rss in result["rssKB"]),
        ])
    print()
    table(rows)
    print("\nfds and RSS: before (after a warm-up of as many calls at once), after half of the calls, after all.")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", default="1,100,300", help="numbers of calls, the first is the idle one (1,100,300)")
    parser.add_argument("--seconds", type=float, default=20, help="length of the steady part (20)")
    parser.add_argument("--rampup-per-second", type=int, default=50, help="new calls per second (50)")
    parser.add_argument("--repeat", type=int, default=1, help="measure so often and show the median by p99 (1)")
    parser.add_argument("--only", help="names or beginnings of names: " + ", ".join(c.name for c in CONTESTANTS))
    parser.add_argument("--patchbay", default=str(ROOT / ".build/release/patchbay"),
                        help="the binary (.build/release/patchbay)")
    parser.add_argument("--tls", action="store_true", help="TLS to the agent; Patchbay only")
    parser.add_argument("--churn", type=int, metavar="N", help="N calls of one second each, 50 at once, instead")
    parser.add_argument("--bridge-core", type=int, default=0, help="core of the bridge (0)")
    parser.add_argument("--load-core", type=int, default=1, help="core of the phones and the agent (1)")
    parser.add_argument("--json", metavar="FILE", help="write everything that was measured")
    options = parser.parse_args()
    try:
        options.calls = [int(word) for word in options.calls.split(",")]
    except ValueError:
        parser.error("--calls takes numbers with commas between them")
    if (min(*options.calls, options.rampup_per_second, options.repeat) < 1 or options.seconds <= 0
            or (options.churn is not None and options.churn < 2)):
        parser.error("numbers must be positive, and --churn at least 2")
    available = os.sched_getaffinity(0)
    options.pins = {options.bridge_core, options.load_core} <= available and bool(shutil.which("taskset"))
    return options


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    build()
    chosen = options.only.split(",") if options.only else [""]
    contestants = []
    for contestant in CONTESTANTS:
        if not any(contestant.name.startswith(word) for word in chosen):
            continue
        if options.tls and (contestant.kind != "patchbay" or not contestant.agent_format):
            continue
        if is_there(contestant, options.patchbay):
            contestants.append(contestant)
        else:
            print(f"{contestant.name}: not built, left out", file=sys.stderr)
    if not contestants:
        sys.exit("nothing to measure")
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, Linux {about['kernel']}, TCP {about['tcpCongestionControl']}, "
          f"load {about['loadBefore']:.2f} before the run; "
          + (f"bridge on core {options.bridge_core}, phones and agent on core {options.load_core}" if options.pins
             else "NOT pinned to cores") + (", TLS to the agent" if options.tls else ""))

    results, failed = [], False
    with tempfile.TemporaryDirectory(prefix="patchbay-load-") as folder:
        bench = Bench(options, folder)
        try:
            for contestant in contestants:
                for calls in [None] if options.churn else options.calls:
                    what = f"{options.churn} short calls" if options.churn else f"{calls} calls"
                    print(f"{contestant.name}: {what}", file=sys.stderr, flush=True)
                    try:
                        results.append(bench.churn(contestant) if options.churn else bench.median(contestant, calls))
                    except Failure as failure:
                        failed = True
                        print(f"{contestant.name} failed: {failure}", file=sys.stderr)
                        break
        finally:
            bench.stop_all()
    if results:
        (print_churn if options.churn else print_loads)(results)
    if options.json:
        keys = ("calls", "seconds", "rampup_per_second", "repeat", "tls", "churn", "pins")
        settings = {key: getattr(options, key) for key in keys}
        write_json(Path(options.json), {"machine": about, "settings": settings, "results": results})
    sys.exit(1 if failed or not results else 0)


if __name__ == "__main__":
    main()
