#!/usr/bin/env python3
"""From the carrier's `start` to the first sound of the agent: connected while the phone rings, or when it is answered.

Between Patchbay and the simulated vendor stands a proxy that delays: connecting costs a round trip more than loopback (with
--tls-round-trips as many again, for a handshake), and every piece of data half a round trip each way. Signed URLs are asked for
through it too, so a private agent pays for them. A call that was never made while the phone rang has nothing prepared.

    swift build -c release --product patchbay
    Benchmarks/Agents/run.py                                 # elevenlabs, 20, 80 and 200 ms
    Benchmarks/Agents/run.py elevenlabs,gemini-live --delays 40 --calls 20 --json results.json

Needs Python 3 and `websockets`; espeak-ng is not used. Only 127.0.0.1 is spoken to.
"""

import argparse
import asyncio
import base64
import json
import math
import os
import platform
import re
import statistics
import struct
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import wave

from websockets.asyncio.client import connect

#: What makes a pipeline speak with the simulator of a vendor: the backend, its environment, and the simulator's options.
BACKENDS = {
    "elevenlabs": {
        "backend": {"type": "elevenlabs", "agentId": "agent_1", "apiKey": {"env": "BENCH_KEY"}},
        "base": ("ELEVENLABS_BASE_URL", "http://127.0.0.1:{port}"),
        "simulate": ["--format", "ulaw_8000", "--api-key", "bench-key", "--private"],
    },
    "openai-realtime": {
        "backend": {"type": "openai-realtime", "apiKey": {"env": "BENCH_KEY"}},
        "base": ("OPENAI_BASE_URL", "http://127.0.0.1:{port}/v1"), "simulate": ["--api-key", "bench-key"],
    },
    "gemini-live": {
        # Without a first message the model waits for the caller.
        "backend": {"type": "gemini-live", "apiKey": {"env": "BENCH_KEY"}, "firstMessage": "Hello."},
        "base": ("GEMINI_BASE_URL", "http://127.0.0.1:{port}"), "simulate": ["--api-key", "bench-key"],
    },
}
SILENCE = 0xFF


class Command:
    """A command of ours, with the port that it says it listens on."""

    def __init__(self, process, port):
        self.process, self.port = process, port

    @classmethod
    async def start(cls, arguments, environment):
        process = await asyncio.create_subprocess_exec(
            *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **environment})
        said = []
        while True:
            line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
            if not line:
                raise SystemExit(f"{' '.join(arguments)} did not start:\n{''.join(said)}")
            said.append(line)
            found = re.search(r"listen(?:s|ing) on .*:(\d+)\s*$", line)
            if found:
                command = cls(process, int(found.group(1)))
                command.reader = asyncio.ensure_future(process.stdout.read())
                return command

    async def stop(self):
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 10)
            except asyncio.TimeoutError:
                self.process.kill()
        self.reader.cancel()


class DelayingProxy:
    """Hands bytes on, each piece half a round trip late; order is kept."""

    def __init__(self, target, round_trip, handshakes):
        self.target, self.round_trip, self.handshakes = target, round_trip, handshakes
        self.connections = 0
        self.tasks = set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for task in self.tasks:
            task.cancel()

    async def serve(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        self.connections += 1
        try:
            # The kernel has accepted already: the first bytes wait for what connecting would have taken.
            await asyncio.sleep(self.round_trip * (1 + self.handshakes))
            there_reader, there = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(self.hand_on(reader, there), self.hand_on(there_reader, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self.tasks.discard(task)

    async def hand_on(self, reader, writer):
        queue = asyncio.Queue()

        async def give():
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0, due - time.monotonic()))
                if not data:
                    writer.close()
                    return
                writer.write(data)
                await writer.drain()

        giver = asyncio.ensure_future(give())
        try:
            while True:
                data = await reader.read(1 << 16)
                queue.put_nowait((time.monotonic() + self.round_trip / 2, data))
                if not data:
                    break
            await giver
        finally:
            giver.cancel()


def webhook(port, sid):
    form = {"CallSid": sid, "From": "+15550100099", "To": "+15550100001", "CallStatus": "ringing"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/twilio/voice", urllib.parse.urlencode(form).encode())
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read().decode()


async def measure(port, number, ring):
    """One call: seconds from `start` to the first packet in which something sounds."""
    sid = f"CA{number:032d}"
    twiml = await asyncio.to_thread(webhook, port, sid)
    url = re.search(r'<Stream url="([^"]+)"', twiml).group(1)
    parameters = dict(re.findall(r'<Parameter name="([^"]+)" value="([^"]+)"', twiml))
    await asyncio.sleep(ring)
    stream = f"MZ{number:032d}"
    async with connect(url, compression=None) as socket:
        await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        begin = time.monotonic()
        await socket.send(json.dumps({
            "event": "start", "sequenceNumber": "1", "streamSid": stream, "start": {
                "accountSid": "AC1", "callSid": sid, "streamSid": stream, "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": parameters}}))

        async def talk():
            packet = 0
            silence = base64.b64encode(bytes([SILENCE]) * 160).decode()
            while True:
                await socket.send(json.dumps({
                    "event": "media", "streamSid": stream, "sequenceNumber": str(packet + 2), "media": {
                        "track": "inbound", "chunk": str(packet + 1), "timestamp": str(packet * 20), "payload": silence}}))
                packet += 1
                await asyncio.sleep(max(0, begin + packet * 0.02 - time.monotonic()))

        talker = asyncio.ensure_future(talk())
        try:
            async with asyncio.timeout(20):
                async for text in socket:
                    message = json.loads(text)
                    if message["event"] == "media" and any(
                            byte not in (0xFF, 0x7F) for byte in base64.b64decode(message["media"]["payload"])):
                        return time.monotonic() - begin
        finally:
            talker.cancel()
    raise SystemExit(f"the call {sid} heard nothing")


async def run(binary, name, round_trip, connects, options, directory):
    plan = BACKENDS[name]
    simulator = await Command.start(
        [binary, "simulate", name, "--port", "0", "--greeting", f"{directory}/tone.wav",
         *plan["simulate"]], {})
    try:
        async with DelayingProxy(simulator.port, round_trip, options.tls_round_trips) as proxy:
            key, value = plan["base"]
            document = {
                "name": "bench", "numbers": ["*"], "transport": "twilio",
                "stages": [{"type": "agent", "connect": connects, "backends": [plan["backend"]]}]}
            folder = tempfile.mkdtemp(dir=directory)
            with open(f"{folder}/bench.json", "w") as file:
                json.dump(document, file)
            server = await Command.start(
                [binary, "serve", folder, "--port", "0", "--insecure-skip-signatures", "--drain-timeout", "1",
                 "--log-level", "error"],
                {key: value.format(port=proxy.port), "BENCH_KEY": "bench-key", "TWILIO_AUTH_TOKEN": ""})
            try:
                await measure(server.port, 0, options.ring)
                return [await measure(server.port, number + 1, options.ring) for number in range(options.calls)]
            finally:
                await server.stop()
    finally:
        await simulator.stop()


def tone(path):
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(b"".join(
            struct.pack("<h", int(12000 * math.sin(2 * math.pi * 440 * index / 16000))) for index in range(32000)))


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backends", nargs="?", default="elevenlabs", help=f"of {', '.join(BACKENDS)}")
    parser.add_argument("--delays", default="20,80,200", help="round trips to the vendor, in ms")
    parser.add_argument("--tls-round-trips", type=int, default=1, help="round trips of a TLS handshake")
    parser.add_argument("--ring", type=float, default=1.0, help="seconds from the webhook's answer to the stream")
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--binary", default=os.environ.get("PATCHBAY_BINARY", ".build/release/patchbay"))
    parser.add_argument("--json")
    options = parser.parse_args()
    unknown = set(options.backends.split(",")) - set(BACKENDS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        tone(f"{directory}/tone.wav")
        print(f"{platform.platform()}, {os.cpu_count()} CPUs; {options.calls} calls a row, one after the other; "
              f"{options.ring:g} s from webhook to stream, {options.tls_round_trips} round trip(s) for TLS")
        print(f"{'backend':16} {'round trip':>10}  {'connect':9} {'p50 ms':>8} {'p95 ms':>8} {'max ms':>8}")
        for name in options.backends.split(","):
            for delay in map(float, options.delays.split(",")):
                for connects in ("early", "answered"):
                    times = [1000 * t for t in await run(
                        options.binary, name, delay / 1000, connects, options, directory)]
                    rows.append({"backend": name, "roundTripMs": delay, "connect": connects, "ms": times})
                    print(f"{name:16} {delay:7.0f} ms  {connects:9} {statistics.median(times):8.1f} "
                          f"{percentile(times, 0.95):8.1f} {max(times):8.1f}")
                    sys.stdout.flush()
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    asyncio.run(main())
