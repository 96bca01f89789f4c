"""The hospital's assistant, from webhook to transcript: by telephone and from a browser."""

import asyncio
import json
import re
import urllib.error

import pytest
from backends import KEY
from conftest import Process
from deployments import deployed, linear, report, said
from phone import SILENCE, call, webhook
from spoken import speak, stretches
from test_browser import converse, start

SID = "CA" + "d" * 32
ANSWER = "The children's ward is on the second floor, next to the garden. You can take the lift behind the entrance."
QUESTION = "where is the children's ward"
GREETING = "Hello, this is the hospital's assistant."


@pytest.fixture(scope="module")
def model():
    simulator = Process([
        "simulate", "gemini-live", "--port", "0", "--api-key", KEY, "--greeting", GREETING, "--reply", ANSWER,
        "--reply", "You are welcome.", "--transcript", QUESTION])
    yield simulator
    simulator.stop()


def environment(model_port):
    return {
        "GEMINI_API_KEY": KEY, "GEMINI_BASE_URL": f"http://127.0.0.1:{model_port}", "PATCHBAY_ADMIN_TOKEN": "ward-token"}


def test_a_call_by_telephone(model):
    with deployed("hospital", environment(model.port)) as server:
        assert json.loads(server.get("/"))["pipelines"] == ["hospital-browser", "hospital-phone"]
        assert json.loads(server.get("/health")) == {"status": "ok"}
        twiml = webhook(server, "+4930901820", SID)
        assert re.search(r'<Say[^>]*language="en-GB"[^>]*>Welcome to the hospital', twiml)
        assert twiml.index("<Say") < twiml.index("<Connect")
        assert re.search(r'<Stream url="ws://[^"]+/twilio/stream"', twiml)

        packets = [SILENCE] * 200 + speak("Where is the children's ward?") + [SILENCE] * 250
        sent, playout = [], []
        asyncio.run(call(server, "+4930901820", packets, sid=SID, sent=sent, playout=playout))
        webhook(server, "+4930901820", SID, "/twilio/status", CallStatus="completed", CallDuration="9")

        record = report(server, SID, "/twilio/calls")
        events = json.dumps(record["events"], indent=1)
        speech = stretches(playout)
        assert len(speech) >= 2, events
        assert speech[0][0] - sent[0] < 2, "the greeting comes when the stream begins"
        assert speech[1][0] > sent[200], "the answer comes after the question"
        assert record["pipeline"] == "hospital-phone" and record["backend"] == "gemini-live"
        assert record["state"] == "ended"
        assert QUESTION in " ".join(text.strip() for text in said(record, "caller said"))
        # Connected for a caller who can hear it, not for one who listens to the carrier's voice.
        names = [entry["event"] for entry in record["events"]]
        assert names.index("stream connected") < names.index("connecting to agent")
        assert any("takes pcm16 16000" in detail and "gives pcm16 24000" in detail
                   for detail in said(record, "connected to agent"))


def test_a_call_from_a_browser(model):
    with deployed("hospital", environment(model.port)) as server:
        question = linear(b"".join(speak("Where is the children's ward?")))
        sound = bytes(640 * 200) + question + bytes(640 * 250)
        packets = [sound[at : at + 640] for at in range(0, len(sound), 640)]
        heard, messages, _ = asyncio.run(converse(server, start(form="base64"), packets, 1, form="base64"))
        record = json.loads(server.get("/calls/" + messages[0]["conversation"]))
        assert record["pipeline"] == "hospital-browser" and record["backend"] == "gemini-live"
        assert QUESTION in " ".join(text.strip() for text in said(record, "caller said"))
        # Greeting and answer, at 16 kHz and two bytes a sample.
        assert len(heard) > 32_000 * 4, json.dumps(record["events"], indent=1)
        assert any(ANSWER.startswith(text.strip()[:20]) for text in said(record, "agent said"))


def test_when_the_model_cannot_be_reached_the_caller_is_told():
    with deployed("hospital", environment(9)) as server:
        playout = []
        asyncio.run(call(server, "+4930901820", [SILENCE] * 300, sid=SID, playout=playout))
        assert stretches(playout), "the words of the second agent"
        record = report(server, SID)
        assert record["backend"] == "script"
        assert any("agent-unreachable" in detail for detail in said(record, "agent failed"))


def test_what_is_not_public_needs_the_token(model):
    with deployed("hospital", environment(model.port)) as server:
        import urllib.request
        forwarded = {"X-Forwarded-For": "203.0.113.9"}
        for path, status in [("/", 200), ("/health", 200), ("/twilio/calls", 401), ("/metrics", 401)]:
            request = urllib.request.Request(server.url + path, headers=forwarded)
            try:
                assert urllib.request.urlopen(request, timeout=10).status == status
            except urllib.error.HTTPError as error:
                assert error.code == status, path
