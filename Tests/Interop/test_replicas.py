"""Two servers behind one address: the webhook of a call meets one of them, its stream the other."""

import asyncio
import html
import json
import re
import time
import urllib.error

import pytest
from conftest import Process
from phone import start_message, webhook, words
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

NUMBER = "+15550100001"
PERSON = "+4930123456"
DESK = {"name": "desk", "numbers": [NUMBER], "transport": "twilio", "stages": ["echo"]}
# Its agent is nowhere, so every caller is connected with a person.
PEOPLE = {**DESK, "stages": [{
    "type": "agent", "transferTo": PERSON,
    "backends": [{"type": "elevenlabs", "agentId": "a", "baseUrl": "http://127.0.0.1:9"}]}]}


@pytest.fixture
def replicas(tmp_path):
    """Gives a function that starts two servers with one secret, and with one folder of records or two."""
    running = []

    def start(document=DESK, folders=1):
        pipelines = tmp_path / "pipelines"
        pipelines.mkdir()
        (pipelines / "desk.json").write_text(json.dumps(document))
        for index in range(2):
            running.append(Process(
                ["serve", str(pipelines), "--port", "0", "--drain-timeout", "1",
                 "--store", str(tmp_path / f"store-{index % folders}")]))
        return running

    yield start
    for server in running:
        server.stop()


def wait(what, condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def told(server, sid):
    try:
        return json.loads(server.get(f"/calls/{sid}"))
    except urllib.error.HTTPError:
        # It has not been made yet.
        return {"state": ""}


def sid(number):
    return f"CA{number:032d}"


class Caller:
    """Somebody whose carrier asks one server what to do, and brings the audio to another."""

    def __init__(self, server, name):
        self.name = name
        self.follow(webhook(server, NUMBER, name))

    def follow(self, twiml):
        self.parameters = dict(re.findall(r'<Parameter name="([^"]+)" value="([^"]+)"', twiml))
        action = html.unescape(re.search(r'action="([^"]+)"', twiml).group(1))
        self.action = re.sub(r"^https?://[^/]+", "", action)

    def next(self, server):
        """What the carrier is told to do after the stream."""
        return webhook(server, NUMBER, self.name, url=server.url + self.action, CallStatus="in-progress")

    async def stream(self, server, meanwhile):
        """Brings the audio to a server and gives the code by which the stream ended."""
        async with connect(f"ws://127.0.0.1:{server.port}/twilio/stream", compression=None) as socket:
            await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
            await socket.send(start_message(self.name, self.parameters, "MZ" + "2" * 32))
            work = asyncio.create_task(asyncio.to_thread(meanwhile))
            try:
                async for text in socket:
                    message = json.loads(text)
                    if message["event"] == "mark":
                        await socket.send(json.dumps({
                            "event": "mark", "sequenceNumber": "2", "streamSid": "MZ" + "2" * 32,
                            "mark": {"name": message["mark"]["name"]}}))
            except ConnectionClosed:
                pass
            await work
            return socket.close_code

    def talks(self, server, then=lambda: None):
        def meanwhile():
            wait("the stream", lambda: told(server, self.name)["state"] == "streaming")
            then()

        return asyncio.run(self.stream(server, meanwhile))

    def is_refused(self, server):
        return asyncio.run(self.stream(server, lambda: None)) == 1008


def test_the_goodbye_of_one_is_known_to_the_other(replicas):
    a, b = replicas()
    caller = Caller(a, sid(1))
    assert caller.talks(b, lambda: b.post(f"/calls/{sid(1)}/hangup")) == 1000
    # At once: what the carrier learns by the close is in the common folder before.
    answer = caller.next(a)
    assert "<Hangup" in answer and "<Stream" not in answer and not words(answer)
    assert told(a, sid(1))["state"] == "moved"
    assert told(b, sid(1))["endReason"] == "operatorHungUp"
    assert told(a, sid(1))["endReason"] == "moved: " + told(b, sid(1))["id"]
    usage = json.loads(a.get("/usage"))
    assert [day["calls"] for day in usage["usage"]] == [1], usage
    metrics = a.get("/metrics")
    assert 'outcome="moved"' in metrics and 'outcome="noStream"' not in metrics


def test_a_caller_is_connected_with_a_person_once(replicas):
    a, b = replicas(PEOPLE)
    caller = Caller(a, sid(1))
    assert asyncio.run(caller.stream(b, lambda: None)) == 1000
    first, again, elsewhere = caller.next(a), caller.next(a), caller.next(b)
    assert f">{PERSON}</Dial>" in first
    for answer in (again, elsewhere):
        assert "<Dial" not in answer and "<Stream" not in answer and "<Hangup" in answer


def test_a_caller_whose_server_is_killed_goes_on_with_the_other(replicas):
    a, b = replicas()
    caller = Caller(a, sid(1))
    assert caller.talks(b, b.process.kill) == 1006
    answer = caller.next(a)
    assert "<Stream" in answer and not words(answer)
    caller.follow(answer)
    assert caller.talks(a, lambda: a.post(f"/calls/{sid(1)}/hangup")) == 1000
    assert "<Stream" not in caller.next(a)


def test_the_half_that_rings_is_given_up_by_itself(replicas):
    a, b = replicas()
    caller = Caller(a, sid(1))

    def meanwhile():
        wait("the other half's end", lambda: told(a, sid(1))["state"] == "moved")
        assert told(b, sid(1))["state"] == "streaming"
        b.post(f"/calls/{sid(1)}/hangup")

    assert caller.talks(b, meanwhile) == 1000


@pytest.mark.parametrize("rings", [True, False])
def test_a_token_works_once_in_both(replicas, rings):
    a, b = replicas()
    caller = Caller(a, sid(1))
    first, second = (a, b) if rings else (b, a)

    def meanwhile():
        time.sleep(0.2)
        assert caller.is_refused(second)
        assert told(first, sid(1))["state"] == "streaming"
        first.post(f"/calls/{sid(1)}/hangup")

    assert caller.talks(first, meanwhile) == 1000
    wait("the log", lambda: any("the stream token was used before" in line for line in second.lines))


def test_without_a_common_folder_a_caller_is_never_dropped(replicas):
    a, b = replicas(folders=2)
    caller = Caller(a, sid(1))
    assert caller.talks(b, lambda: b.post(f"/calls/{sid(1)}/hangup")) == 1000
    assert "<Stream" in caller.next(a), "a does not know of the goodbye"
    assert "<Hangup" in caller.next(b) and "<Stream" not in caller.next(b)

    caller = Caller(a, sid(2))
    assert caller.talks(b, b.process.kill) == 1006
    assert "<Stream" in caller.next(a)
