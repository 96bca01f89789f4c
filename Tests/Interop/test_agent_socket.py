"""The example agent in Python: `check-agent` finds nothing wrong with it, and a call hears it."""

import asyncio
import audioop
import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import wave

import pytest
from conftest import BINARY, Process
from phone import SILENCE, call

ROOT = pathlib.Path(__file__).parents[2]
AGENT = ROOT / "Examples/PythonAgent/agent.py"


@contextlib.contextmanager
def agent(**environment):
    process = subprocess.Popen(
        [sys.executable, str(AGENT), "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, **environment})
    try:
        line = process.stdout.readline()
        assert "listening on" in line, line + process.stdout.read()
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
        reader.start()
        yield f"ws://127.0.0.1:{line.strip().rsplit(':', 1)[1]}", lines
    finally:
        process.terminate()
        process.wait(10)


def check(url, *options, environment=None):
    result = subprocess.run(
        [BINARY, "check-agent", url, "--format", "json", *options], capture_output=True, text=True, timeout=120,
        env={**os.environ, **(environment or {})})
    assert result.returncode in (0, 1), result.stderr
    return result.returncode, json.loads(result.stdout)


def test_nothing_is_wrong_with_the_example():
    with agent(AGENT_TOKEN="open-sesame") as (url, lines):
        code, refused = check(url)
        assert code == 1 and [finding["code"] for finding in refused["findings"]] == ["refused"]
        code, report = check(url, "--token-env", "AGENT_TOKEN", environment={"AGENT_TOKEN": "open-sesame"})
    assert code == 0 and report["passed"] and report["findings"] == [], report
    assert report["tools"] == ["lookup"] and len(report["answerMs"]) == 2
    assert report["formats"] == {"input": "pcm16_16000", "output": "pcm16_16000"}
    assert not [line for line in lines if "Error" in line], "".join(lines)


def test_mistakes_are_found_over_the_network():
    simulator = Process(["simulate", "websocket", "--port", "0", "--mistake", "no-turn-end", "--mistake", "no-pong"])
    try:
        code, report = check(f"ws://127.0.0.1:{simulator.port}")
    finally:
        simulator.stop()
    assert code == 1
    assert {"no-turn-end", "no-pong"} <= {finding["code"] for finding in report["findings"]}


def test_the_page_shows_the_example():
    page = (ROOT / "Sources/Patchbay/Patchbay.docc/AgentProtocol.md").read_text()
    assert f"```python\n{AGENT.read_text()}```\n" in page


def loudness(packet):
    return audioop.rms(audioop.ulaw2lin(packet, 2), 2)


def speech():
    with wave.open(str(ROOT / "Pipelines/audio/caller-question.wav")) as sound:
        assert sound.getsampwidth() == 2 and sound.getnchannels() == 1
        samples, _ = audioop.ratecv(sound.readframes(sound.getnframes()), 2, 1, sound.getframerate(), 8000, None)
    coded = audioop.lin2ulaw(samples, 2)
    return [coded[at : at + 160].ljust(160, b"\xff") for at in range(0, len(coded), 160)]


@pytest.mark.parametrize("form", ["binary", "base64"])
def test_a_call_hears_the_parrot(serve, form):
    question = speech()
    with agent() as (url, lines):
        server = serve(json.dumps({
            "name": "parrot", "numbers": ["*"], "transport": "twilio", "stages": [
                "decoder", {"type": "resampler", "rateHz": 16000}, "vad", "turns",
                {"type": "websocket", "url": url, "audio": form},
                {"type": "resampler", "rateHz": 8000}, {"type": "encoder", "encoding": "mulaw"}]}))
        packets = [SILENCE] * 75 + question + [SILENCE] * (150 + len(question))
        heard, _ = asyncio.run(call(server, "+15550100001", packets))
        report = json.loads(server.get("/calls"))["calls"][0]
    assert not [line for line in lines if "Error" in line], "".join(lines)
    loud = [loudness(heard[at : at + 160]) > 300 for at in range(0, len(heard), 160)]
    assert any(loud[:40]), "the greeting"
    echoed = sum(loud[45:])
    assert echoed > sum(loudness(packet) > 300 for packet in question) * 0.6, "the parrot says it again"
    assert report["backend"] == "websocket" and report["state"] in ("ended", "streaming", "draining")


def test_run_makes_the_requests_of_tools(tmp_path):
    asked = []

    class Words(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = b"a bird that talks"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    words = http.server.HTTPServer(("127.0.0.1", 0), Words)
    threading.Thread(target=words.serve_forever, daemon=True).start()
    try:
        with agent() as (url, _):
            pipeline = tmp_path / "parrot.json"
            pipeline.write_text(json.dumps({
                "name": "parrot", "transport": "twilio", "tools": [{
                    "name": "lookup", "description": "Looks a word up.", "method": "GET",
                    "url": f"http://127.0.0.1:{words.server_port}/words",
                    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}}}],
                "stages": [
                    "decoder", {"type": "resampler", "rateHz": 16000}, "vad", "turns", {"type": "websocket", "url": url},
                    {"type": "resampler", "rateHz": 8000}, {"type": "encoder", "encoding": "mulaw"}]}))
            result = subprocess.run(
                [BINARY, "run", str(pipeline), "--input", str(ROOT / "Pipelines/audio/caller-question.wav"),
                 "--wait", "1500", "--patience", "2"],
                capture_output=True, text=True, timeout=60)
    finally:
        words.shutdown()
        words.server_close()
    assert result.returncode == 0, result.stderr
    assert asked == ["/words?word=parrot"] and "a bird that talks" in result.stdout, result.stdout
