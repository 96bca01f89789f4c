"""Spans in a file, and `traceparent` from the webhook to the tool."""

import asyncio
import http.server
import json
import os
import re
import threading
import time
import urllib.parse
import urllib.request

import phone
import pytest
from conftest import AUTH_TOKEN, Process
from phone import SILENCE, call
from spoken import speak
from test_metrics import NUMBER, value
from twilio.request_validator import RequestValidator

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Diary(http.server.BaseHTTPRequestHandler):
    """A tool's service, which notes what it was asked with."""

    asked = []

    def do_GET(self):
        Diary.asked.append((self.path, dict(self.headers)))
        body = b'{"times": ["09:00"]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """One whole call with a tool, and the spans that were written of it."""
    folder = tmp_path_factory.mktemp("traces")
    diary = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Diary)
    threading.Thread(target=diary.serve_forever, daemon=True).start()
    vendor = Process([
        "simulate", "elevenlabs", "--port", "0", "--tool", "free_times", "--tool-parameters", '{"day": "Monday"}'])
    (folder / "desk.json").write_text(json.dumps({
        "name": "desk", "numbers": [NUMBER], "transport": "twilio",
        "tools": [{
            "name": "free_times", "description": "Free times of a day", "method": "GET",
            "url": f"http://127.0.0.1:{diary.server_port}/times",
            "parameters": {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}}],
        "stages": ["decoder", "vad", {
            "type": "elevenlabs", "agentId": "agent-1", "apiKey": {"env": "AGENT_KEY"}, "baseUrl": vendor.url},
            "encoder"]}))
    file = folder / "spans.jsonl"
    server = Process(
        ["serve", str(folder), "--port", "0", "--drain-timeout", "1", "--traces", str(file)],
        {"AGENT_KEY": "planted-agent-key"})
    original = urllib.request.Request

    def request(url, data=None, headers={}, **options):
        headers = {**headers, "traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
        return original(url, data, headers, **options)

    question = speak("Which day is free next week?")
    phone.urllib.request.Request = request
    try:
        asyncio.run(call(server, NUMBER, [SILENCE] * 150 + question + [SILENCE] * 250, tail=0))
    finally:
        phone.urllib.request.Request = original
    deadline = time.monotonic() + 10
    while json.loads(server.get("/calls"))["active"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    form = {"CallSid": "CA" + "1" * 32, "From": phone.CALLER, "To": NUMBER, "CallStatus": "completed"}
    urllib.request.urlopen(urllib.request.Request(
        server.url + "/twilio/status", urllib.parse.urlencode(form).encode(),
        {"X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(server.url + "/twilio/status", form)}),
        timeout=10).read()
    dropped = value(server, "patchbay_trace_spans_dropped_total")
    assert server.stop() == 0
    vendor.stop()
    diary.shutdown()
    assert dropped in (None, 0)
    assert os.stat(file).st_mode & 0o777 == 0o600
    return file.read_text()


def spans(text):
    found = []
    for line in text.splitlines():
        [resource] = json.loads(line)["resourceSpans"]
        assert {"key": "service.name", "value": {"stringValue": "patchbay"}} in resource["resource"]["attributes"]
        for scope in resource["scopeSpans"]:
            found += scope["spans"]
    return found


def attributes(span):
    return {entry["key"]: next(iter(entry["value"].values())) for entry in span["attributes"]}


def test_every_span_is_as_the_protocol_has_it(traced):
    for span in spans(traced):
        assert re.fullmatch("[0-9a-f]{32}", span["traceId"]) and re.fullmatch("[0-9a-f]{16}", span["spanId"])
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        assert abs(int(span["endTimeUnixNano"]) / 1e9 - time.time()) < 600
        assert span["kind"] in (1, 2, 3)


def test_a_call_is_one_trace_below_what_the_webhook_said(traced):
    everything = spans(traced)
    [whole] = [span for span in everything if span["name"] == "call"]
    assert whole["traceId"] == TRACE and whole["parentSpanId"] == PARENT and whole["traceState"] == "vendor=1"
    assert attributes(whole)["patchbay.call.sid"] == "CA" + "1" * 32
    assert attributes(whole)["patchbay.call.end"] == "callerHungUp"
    assert attributes(whole)["gen_ai.conversation.id"]
    below = {}
    for span in everything:
        if span["traceId"] == TRACE:
            below.setdefault(span.get("parentSpanId"), []).append(span["name"])
    children = below[whole["spanId"]]
    assert children.count("webhook voice") == 1 and children.count("agent connect") == 1
    assert children.count("execute_tool free_times") == 1 and children.count("turn") >= 1
    [connect] = [span for span in everything if span["name"] == "agent connect"]
    assert below[connect["spanId"]] == ["GET"], "the signed address is asked for on the way to the agent"
    [tool] = [span for span in everything if span["name"] == "execute_tool free_times"]
    assert below[tool["spanId"]] == ["GET"]


def test_the_trace_is_carried_to_the_tool(traced):
    [(path, headers)] = Diary.asked
    headers = {name.lower(): text for name, text in headers.items()}
    version, trace, parent, flags = headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01") and headers["tracestate"] == "vendor=1"
    [request] = [span for span in spans(traced) if span["spanId"] == parent]
    assert request["kind"] == 3 and attributes(request)["url.path"] == "/times"


def test_the_trace_is_carried_into_the_handshake_of_an_agent(tmp_path):
    from websockets.sync.server import serve as websockets
    shaken = []

    def refuse(connection, request):
        shaken.append(dict(request.headers.raw_items()))
        return connection.respond(401, "")

    with websockets(lambda connection: None, "127.0.0.1", 0, process_request=refuse) as agent:
        threading.Thread(target=agent.serve_forever, daemon=True).start()
        (tmp_path / "desk.json").write_text(json.dumps({
            "name": "desk", "numbers": [NUMBER], "transport": "twilio", "stages": [
                {"type": "websocket", "url": f"ws://127.0.0.1:{agent.socket.getsockname()[1]}/"}]}))
        file = tmp_path / "spans.jsonl"
        server = Process(["serve", str(tmp_path), "--port", "0", "--drain-timeout", "1", "--traces", str(file)])
        asyncio.run(call(server, NUMBER, [SILENCE] * 50, tail=0))
        assert server.stop() == 0
        agent.shutdown()
    written = spans(file.read_text())
    [whole] = [span for span in written if span["name"] == "call"]
    connects = {span["spanId"]: span for span in written if span["name"] == "agent connect"}
    assert shaken
    for headers in shaken:
        version, trace, parent, flags = headers["traceparent"].split("-")
        assert (version, trace, flags) == ("00", whole["traceId"], "01") and parent in connects


def test_a_turn_lasts_from_the_callers_last_word_to_the_answer(traced):
    turns = [span for span in spans(traced) if span["name"] == "turn"]
    for turn in turns:
        assert 0.1 < (int(turn["endTimeUnixNano"]) - int(turn["startTimeUnixNano"])) / 1e9 < 5


def test_spans_hold_nobodys_number_word_or_key(traced):
    for text in ["+1555", "%2B1555", "planted-agent-key", AUTH_TOKEN, "day=Monday", "09:00"]:
        assert text not in traced


def test_a_file_that_cannot_be_written_is_told_before_anything_is_served(tmp_path):
    import subprocess
    from conftest import BINARY
    result = subprocess.run(
        [BINARY, "serve", "--port", "0", "--traces", str(tmp_path / "no" / "where")], capture_output=True, text=True,
        timeout=30)
    assert result.returncode == 1 and "--traces" in result.stderr and "cannot be opened" in result.stderr
