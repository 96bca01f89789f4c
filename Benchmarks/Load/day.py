#!/usr/bin/env python3
"""A busy day in compressed time: thousands of short calls in waves through the real server, and whether it is afterwards
what it was at noon. See ../README.md for what is in a wave and what is compared.

    ./day.py                                   30 waves of 350 calls, 50 at once
    ./day.py --waves 60 --calls 500            a longer day
    ./day.py --patchbay .build/debug/patchbay --json day.json

It ends with 1 if something grew, was lost, or went otherwise than it had to.
"""

import argparse
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from run import BUILD, ROOT, Failure, Sample, accepts, build, free_port, is_healthy, machine, table, tail, wait_for, write_json

TENANTS, NUMBERS_OF_ONE = 5, 16  # of 100 numbers 80 belong to a tenant
NUMBERS = 100
CUT_EVERY, BREAK_EVERY = 25, 30  # streams that just close, agents that do
REFUSALS = 10  # of each kind, in a wave
SILENT_EVERY, SILENT_SECONDS = 10, 125  # waves with a call of which nothing more is heard, and how long it rings on
FIRST_WAVE = 2  # what the first two allocate once does not belong to the calls
# What may be between the middle and the last third of the day. Memory is never exactly what it was: free lists and
# the records of the last thousand calls breathe. Of threads there are as many as the store ever needed at once.
MEMORY_SHARE, MEMORY_KB = 0.05, 6 * 1024
DESCRIPTORS, THREADS, WAITING = 4, 4, 50
DISK_SHARE, LOG_KB = 0.25, 2 * 1024
SETTLING = 45  # seconds in which a wave must be over, when its phones are
DELIVERY = 300  # seconds in which every webhook must have been taken, when the day is over
ADMIN_TOKEN = "load-admin-token"


# Those around the server


class Customer(ThreadingHTTPServer):
    """The customer's backend: answers tools and takes webhooks, and sometimes does neither."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self):
        self.lock = threading.Lock()
        self.tools, self.refused, self.repeated = 0, 0, 0
        self.taken = {}  # by type: ids of calls
        self.seen = set()
        self.random = random.Random(1)
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self, key, message):
        """Whether a webhook is taken this time."""
        with self.lock:
            if self.random.random() < 0.05:
                self.refused += 1
                return False
            self.repeated += key in self.seen
            self.seen.add(key)
            self.taken.setdefault(message["type"], set()).add(message["data"]["call"]["id"])
            return True

    def handle_error(self, request, client_address):
        pass  # clients close connections that they do not need any more

    def tool(self):
        with self.lock:
            self.tools += 1
            return self.tools % 40 != 0, self.random.uniform(0, 0.05)


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/hooks":
            is_good = self.server.take(self.headers["Idempotency-Key"], json.loads(body))
        else:
            is_good, pause = self.server.tool()
            time.sleep(pause)
        answer = b'{"open": "from nine to five"}' if is_good else b'{"error": "not now"}'
        self.send_response(200 if is_good else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *words):
        pass


class Watcher(threading.Thread):
    """Follows `/events`; one that is lazy opens the line and never reads, until it is sent away."""

    def __init__(self, port, is_lazy=False):
        super().__init__(daemon=True)
        self.ended = 0
        self.connection = socket.socket()
        if is_lazy:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.connection.connect(("127.0.0.1", port))
        self.connection.sendall(
            f"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n".encode())
        if not is_lazy:
            self.start()

    def run(self):
        rest = b""
        try:
            while data := self.connection.recv(65536):
                lines = (rest + data).split(b"\n")
                rest = lines.pop()
                self.ended += sum(b'"event":"call ended"' in line for line in lines)
        except OSError:
            pass

    def stop(self):
        self.connection.close()


class Day:
    def __init__(self, options, folder):
        self.options = options
        self.folder = Path(folder)
        self.running = []
        self.customer = Customer()
        self.unread = []
        self.silent = []
        self.dialled = Counter()
        self.phones = Counter()
        self.faults = []
        self.begin = time.monotonic()

    # Starting

    def start(self, name, command, environment=None):
        log = self.folder / f"{name}.log"
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
        process.log = log
        self.running.append(process)
        return process

    def stop_all(self):
        for process in reversed(self.running):
            if process.poll() is None:
                process.terminate()
        for process in reversed(self.running):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.customer.shutdown()

    def open(self):
        agent_port, self.port = free_port(), free_port()
        agent = self.start("agent", [
            str(BUILD / "agent"), "--port", str(agent_port), "--format", "ulaw_8000", "--tool", "hours",
            "--break-every", str(BREAK_EVERY)])
        wait_for(agent, lambda: accepts(agent_port))
        pipelines, self.records = self.folder / "Pipelines", self.folder / "Records"
        pipelines.mkdir()
        customer = f"http://127.0.0.1:{self.customer.server_port}"
        write_json(pipelines / "server.json", {
            "limits": {"maximumCalls": 2000, "webhooksPerNumber": 1_000_000,
                       "webhooksPerCaller": 1_000_000},
            "store": {"retentionDays": 1},
            "webhooks": [{
                "name": "customer", "url": f"{customer}/hooks", "secret": {"env": "HOOK_SECRET"},
                "events": ["call.started", "call.ended", "transcript.ready"]}]})
        write_json(pipelines / "tenants.json", {"tenants": [{
            "id": f"tenant-{tenant}", "name": f"Tenant {tenant}", "pipeline": "day",
            "numbers": [f"+1556{tenant * NUMBERS_OF_ONE + index:07}" for index in range(NUMBERS_OF_ONE)],
            "greeting": "Hello!"} for tenant in range(TENANTS)]})
        write_json(pipelines / "day.json", {
            "name": "day", "numbers": ["+1556*"], "transport": "twilio",
            "variables": {"tenantId": "", "greeting": "Hello."},
            "tools": [{
                "name": "hours", "description": "When the business is open.", "url": f"{customer}/hours",
                "headers": {"X-Tenant": "${tenantId}"}}],
            "stages": ["decoder", "vad", "turns", {
                "type": "agent", "backends": [
                    {"type": "elevenlabs", "firstMessage": "${greeting}"}, {"type": "echo"}]}, "encoder"]})
        environment = {key: value for key, value in os.environ.items() if not key.startswith(
            ("ELEVENLABS_", "TWILIO_", "PATCHBAY_", "PUBLIC_URL", "APP_BASE_URL", "API_URL", "JWT_"))}
        environment.update({
            "ELEVENLABS_BASE_URL": f"http://127.0.0.1:{agent_port}", "ELEVENLABS_AGENT_ID": "agent_load",
            "PATCHBAY_ADMIN_TOKEN": ADMIN_TOKEN, "HOOK_SECRET": "load-hook-secret"})
        command = [
            self.options.patchbay, "serve", str(pipelines), "--port", str(self.port), "--store", str(self.records),
            "--insecure-skip-signatures", "--log-level", "error", "--drain-timeout", "5"]
        if self.options.traces:
            command += ["--traces", str(self.folder / "traces.jsonl")]
        self.server = self.start("server", command, environment)
        wait_for(self.server, lambda: is_healthy(self.port))
        self.watcher = Watcher(self.port)

    # What is asked of the server

    def request(self, method, path, body=None, token=ADMIN_TOKEN):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {"Authorization": f"Bearer {token}"}
            if isinstance(body, dict):
                body = urllib.parse.urlencode(body)
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metrics(self):
        """Every sample of `/metrics`, and sums over all labels under the plain names."""
        values = Counter()
        for line in self.request("GET", "/metrics")[1].splitlines():
            if match := re.match(r"(\w+)(\{.*\})? (\S+)$", line):
                name, labels, value = match.groups()
                values[name] += float(value)
                if labels:
                    values[name + labels] = float(value)
        return values

    def expect(self, what, found, *wanted):
        if found not in wanted:
            self.faults.append(f"{what} was answered with {found}")

    # One wave

    def wave(self, number):
        spoiled = threading.Thread(target=self.spoil, args=(number,))
        spoiled.start()
        report = self.talk()
        spoiled.join()
        self.dialled["phones"] += report["calls"]
        for key in ("failed", "closedEarly", "cut"):
            self.phones[key] += report[key]
        if report["failed"]:
            self.faults.append(f"wave {number}: {report['failed']} calls did not start: {report['lastError']}")
        return self.settled(number)

    def talk(self):
        command = [
            str(BUILD / "phones"), "--json", "--port", str(self.port), "--calls", str(self.options.at_once),
            "--seconds", str(self.options.seconds), "--churn", str(self.options.calls), "--numbers", str(NUMBERS),
            "--cut-every", str(CUT_EVERY)]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.running.append(process)
        output = process.communicate()[0]
        self.running.remove(process)
        if not output:
            raise Failure(f"the phones ended with {process.returncode} and no result")
        return json.loads(output)

    def spoil(self, number):
        """What goes wrong on a busy day, beside the calls: all of it is refused in order."""
        try:
            for index in range(REFUSALS):
                caller, sid = f"+1557{number % 1000:03}{index:04}", f"CA{number:016x}{index:016x}"
                call = {"AccountSid": "AC" + "0" * 32, "CallSid": sid, "From": caller, "CallStatus": "ringing"}
                status, body = self.request("POST", "/twilio/voice", {**call, "To": "+19995550000"})
                self.expect("a call to an unknown number", "not in service" in body and status, 200)
                # A call whose stream never comes. Nearly all hang up; nothing more is ever heard of one in ten waves.
                status, body = self.request(
                    "POST", "/twilio/voice", {**call, "CallSid": "CB" + sid[2:], "To": "+15560000001"})
                self.expect("a call that is given up", "<Stream" in body and status, 200)
                self.dialled["given up"] += 1
                if index == 0 and number % SILENT_EVERY == 0:
                    self.silent.append(time.monotonic())
                else:
                    self.request("POST", "/twilio/status", {
                        **call, "CallSid": "CB" + sid[2:], "To": "+15560000001", "CallStatus": "completed"})
                self.expect("a wrong token", self.request("GET", "/calls", token="wrong")[0], 401)
                self.expect("a call that never was", self.request("GET", f"/calls/{sid}")[0], 404)
                self.knock(index)
            self.expect("the list of calls", self.request("GET", "/calls?limit=100")[0], 200)
            # Somebody who called a while ago asks to be forgotten; what waits to be told of a number goes with it.
            if number > 2:
                status, _ = self.request("DELETE", f"/records?number=%2B1557{(number - 3) % 1000:03}0001")
                self.expect("a number to be erased", status, 200)
            if number % 5 == 0:
                for unread in self.unread:
                    unread.stop()
                self.unread = [Watcher(self.port, is_lazy=True)]
        except (OSError, http.client.HTTPException) as error:
            self.faults.append(f"wave {number}: {error}")

    def knock(self, index):
        """A stream that nobody was told to open: it begins without a token, or with nonsense, and breaks off."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as stream:
            stream.sendall(
                b"GET /twilio/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            stream.settimeout(10)
            stream.recv(4096)
            text = b'{"event":"start","start":{"callSid":"CA0","customParameters":{}},"streamSid":"MZ0"}'
            if index % 2:
                text = text[:40]
            stream.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)

    def settled(self, number):
        """How the server stands when the wave is over: no call runs, nothing waits to be written."""
        end = time.monotonic() + SETTLING
        while True:
            if self.server.poll() is not None:
                raise Failure(f"the server ended with {self.server.returncode}\n{tail(self.server.log)}")
            values = self.metrics()
            ringing = sum(time.monotonic() - begin < SILENT_SECONDS for begin in self.silent)
            rests = values["patchbay_calls_active"] <= ringing and values["patchbay_records_waiting"] == 0
            if rests or time.monotonic() > end:
                break
            time.sleep(0.25)
        if not rests:
            running = [call for call in json.loads(self.request("GET", "/calls?limit=500")[1])["calls"]
                       if call["state"] not in ("ended", "failed")]
            self.faults.append(
                f"wave {number}: {SETTLING} s later {values['patchbay_calls_active']:.0f} calls run and "
                f"{values['patchbay_records_waiting']:.0f} steps wait to be written; one is {json.dumps(running[:1])}")
        time.sleep(0.5)
        sample = Sample(self.server.pid)
        return {
            "wave": number, "seconds": time.monotonic() - self.begin,
            "calls": sum(self.dialled.values()), "rssKB": sample.rss,
            "descriptors": sample.descriptors, "threads": len(sample.threads), "cpuSeconds": sample.user + sample.system,
            "diskKB": self.size("*.sqlite"), "logKB": self.size("*-wal"),
            "recordsWaiting": values["patchbay_records_waiting"], "outbox": values["patchbay_webhooks_waiting"],
            "webhooks": sum(map(len, self.customer.taken.values())),
        }

    def size(self, pattern):
        return sum(path.stat().st_size for path in self.records.rglob(pattern)) // 1024

    # The evening

    def deliver(self):
        """Waits for the webhooks that were refused at first."""
        end = time.monotonic() + DELIVERY
        told = [self.customer.taken.setdefault(event, set()) for event in ("call.started", "call.ended")]
        while min(map(len, told)) < sum(self.dialled.values()) and time.monotonic() < end:
            time.sleep(0.5)

    def check(self):
        """What must have happened, whatever was measured."""
        values, dialled = self.metrics(), sum(self.dialled.values())
        # The agent that breaks off makes room for the next; a call ends early only if both are gone.
        if self.phones["closedEarly"]:
            self.faults.append(f"{self.phones['closedEarly']} calls were ended by the server")
        exact = {
            "calls that are over": (values["patchbay_calls_total"], dialled),
            "webhooks of calls that began": (len(self.customer.taken.get("call.started", ())), dialled),
            "webhooks of calls that ended": (len(self.customer.taken.get("call.ended", ())), dialled),
            "ends of calls that a reader of /events saw": (self.watcher.ended, dialled),
            "refused numbers": (
                values['patchbay_calls_refused_total{reason="unknown-number"}'], REFUSALS * self.options.waves),
            "refused streams": (values['patchbay_streams_total{result="refused"}'], REFUSALS // 2 * self.options.waves),
        }
        for what, (found, wanted) in exact.items():
            if found != wanted:
                self.faults.append(f"{what}: {found:.0f}, and {wanted} there were")
        for name in ("patchbay_records_lost_total", "patchbay_audit_lost_total",
                     "patchbay_log_lines_dropped_total", "patchbay_metrics_refused_series_total",
                     "patchbay_trace_spans_dropped_total"):
            if values[name]:
                self.faults.append(f"{name} is {values[name]:.0f}")
        return {
            "tools": values["patchbay_tool_calls_total"], "takeovers": values["patchbay_agent_takeovers_total"],
            "cut": self.phones["cut"], "refusedWebhooks": self.customer.refused,
            "repeatedWebhooks": self.customer.repeated, "readersDropped": values["patchbay_event_readers_dropped_total"],
        }


# Reports


def thirds(samples, key):
    """The medians of the middle and of the last third."""
    third = max(1, len(samples) // 3)
    middle, last = samples[-2 * third:-third] or samples[:1], samples[-third:]
    return statistics.median(sample[key] for sample in middle), statistics.median(sample[key] for sample in last)


def growth(samples, key):
    """What the middle and the last third added to `key`, for each call."""
    third = max(1, len(samples) // 3)
    def slope(part):
        calls = part[-1]["calls"] - part[0]["calls"]
        return (part[-1][key] - part[0][key]) / calls if calls else 0
    return slope(samples[-2 * third - 1:-third]), slope(samples[-third - 1:])


def verdicts(samples):
    """For every measure: its name, the middle and the last third, what is allowed, and whether it is kept."""
    for name, key, allowed in (
            ("memory, KB", "rssKB", lambda middle: middle * (1 + MEMORY_SHARE) + MEMORY_KB),
            ("descriptors", "descriptors", lambda middle: middle + DESCRIPTORS),
            ("threads", "threads", lambda middle: middle + THREADS),
            ("steps that wait to be written", "recordsWaiting", lambda middle: middle + WAITING),
            ("webhooks that wait", "outbox", lambda middle: middle * 1.5 + WAITING),
            ("write-ahead log, KB", "logKB", lambda middle: middle * 1.5 + LOG_KB)):
        middle, last = thirds(samples, key)
        yield name, middle, last, allowed(middle), last <= allowed(middle)
    middle, last = growth(samples, "diskKB")
    # The records of a call are kept for a day, so the file grows: by as much for the last call as for those before.
    allowed = middle * (1 + DISK_SHARE) + 0.5
    yield "records, KB for each call", middle, last, allowed, last <= allowed
    middle, last = growth(samples, "cpuSeconds")
    yield "CPU, ms for each call", middle * 1000, last * 1000, middle * 1500 + 1, last <= middle * 1.5 + 0.001


def row(sample):
    return [str(sample["wave"]), f"{sample['seconds']:.0f}", str(sample["calls"]), f"{sample['rssKB'] / 1024:.1f}",
            str(sample["descriptors"]), str(sample["threads"]), f"{sample['diskKB'] / 1024:.1f}",
            f"{sample['logKB'] / 1024:.1f}", f"{sample['recordsWaiting']:.0f}", f"{sample['outbox']:.0f}",
            str(sample["webhooks"])]


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waves", type=int, default=30, help="waves, at least 6 (30)")
    parser.add_argument("--calls", type=int, default=350, help="calls of a wave (350)")
    parser.add_argument("--at-once", type=int, default=50, help="calls at the same time (50)")
    parser.add_argument("--seconds", type=float, default=1, help="length of a call (1)")
    parser.add_argument("--patchbay", default=str(ROOT / ".build/release/patchbay"),
                        help="the binary (.build/release/patchbay)")
    parser.add_argument("--traces", action="store_true", help="let the server write its spans, too")
    parser.add_argument("--log", metavar="FILE", help="keep what the server logs")
    parser.add_argument("--json", metavar="FILE", help="write everything that was measured")
    options = parser.parse_args()
    if not 6 <= options.waves <= 10_000 or not 1 <= options.at_once <= options.calls <= 100_000:
        parser.error("at least 6 waves, and as many calls in a wave as at once")
    if not 0.5 <= options.seconds <= 60:
        parser.error("calls last 0.5 to 60 seconds")
    if not os.access(options.patchbay, os.X_OK):
        parser.error(f"there is no {options.patchbay}: swift build -c release --product patchbay")
    return options


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    build()
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, Linux {about['kernel']}, load {about['loadBefore']:.2f} before the run")
    samples, done, failure = [], {}, None
    with tempfile.TemporaryDirectory(prefix="patchbay-day-") as folder:
        day = Day(options, folder)
        try:
            day.open()
            for number in range(options.waves):
                samples.append(day.wave(number))
                print(" ".join(["wave {}: {} s, {} calls, {} MB, {} descriptors, {} threads".format(*row(samples[-1]))]),
                      file=sys.stderr, flush=True)
            day.deliver()
            done = day.check()
        except (OSError, Failure) as error:
            failure = f"{error}"
        finally:
            day.watcher.stop()
            day.stop_all()
            log = tail(Path(folder) / "server.log") if (Path(folder) / "server.log").exists() else ""
            if options.log and log:
                shutil.copy(Path(folder) / "server.log", options.log)
    found = list(verdicts(samples[FIRST_WAVE:])) if len(samples) == options.waves else []
    table([["wave", "s", "calls", "RSS MB", "fds", "threads", "records MB", "log MB", "steps waiting", "outbox",
            "webhooks"]] + [row(sample) for sample in samples])
    print()
    if found:
        table([["", "middle third", "last third", "allowed", "flat"]] + [
            [name, f"{middle:.1f}", f"{last:.1f}", f"{allowed:.1f}", "yes" if flat else "NO"]
            for name, middle, last, allowed, flat in found])
    if done:
        print(f"\n{done['tools']:.0f} tools were called, {done['takeovers']:.0f} agents broke off and were replaced, "
              f"{done['cut']} streams were cut, {done['refusedWebhooks']} webhooks were refused at first and "
              f"{done['repeatedWebhooks']} came twice, {done['readersDropped']:.0f} readers of events were too slow.")
    for fault in day.faults[:20] + ([failure] if failure else []):
        print(f"wrong: {fault}")
    if (day.faults or failure) and log:
        print(f"the server's last lines:\n{log}")
    is_good = bool(found) and all(flat for *_, flat in found) and not day.faults and not failure
    print("\nThe day was flat." if is_good else "\nThe day was NOT flat, or something went wrong.")
    if options.json:
        settings = {key: getattr(options, key) for key in ("waves", "calls", "at_once", "seconds", "traces")}
        write_json(Path(options.json), {
            "machine": about, "settings": settings, "samples": samples, "done": done, "faults": day.faults,
            "verdicts": [dict(zip(("name", "middle", "last", "allowed", "flat"), verdict)) for verdict in found]})
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
