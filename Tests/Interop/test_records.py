"""What is remembered of calls when the server is killed in the middle, and when its disk gives out."""

import asyncio
import contextlib
import json
import os
import re
import resource
import signal
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from conftest import BINARY, Process
from phone import call, start_message, webhook
from test_webhooks import SECRET, Service, signed
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidMessage
from websockets.sync.server import serve as agent_server

DESK = '{"name": "desk", "numbers": ["*"], "transport": "twilio", "stages": ["echo"]}'
NUMBER = "+15550100002"
CALLS = 200


@pytest.fixture
def start(tmp_path):
    """Gives a function that serves on one and the same folder of records."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "desk.json").write_text(DESK)
    running = []

    def begin(wrapper=()):
        server = Process(
            ["serve", str(tmp_path / "pipelines"), "--port", "0", "--drain-timeout", "1",
             "--store", str(tmp_path / "store")], wrapper=wrapper)
        running.append(server)
        return server

    yield begin
    for server in running:
        server.stop()


def command(server, *arguments):
    return subprocess.run(
        [BINARY, *arguments], capture_output=True, text=True, timeout=30,
        env={**os.environ, "PATCHBAY_SERVER": server.url})


def wait(what, condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def said(server, text):
    return any(text in line for line in server.lines)


async def keys(server, sid, twiml):
    """A caller who only types, because that is what becomes an event."""
    url = re.search(r'<Stream url="([^"]+)"', twiml).group(1)
    parameters = dict(re.findall(r'<Parameter name="([^"]+)" value="([^"]+)"', twiml))
    stream = "MZ" + sid[2:]
    try:
        async with connect(url, compression=None) as socket:
            await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
            await socket.send(start_message(sid, parameters, stream))
            for number in range(1, 400):
                await socket.send(json.dumps({
                    "event": "dtmf", "sequenceNumber": str(number + 1), "streamSid": stream,
                    "dtmf": {"track": "inbound_track", "digit": str(number % 10)}}))
                await asyncio.sleep(0.1)
    except (ConnectionClosed, InvalidMessage, OSError):
        pass


async def flood(server, answered, shown, kill):
    """Two hundred callers one after the other, somebody who looks at them all the time, and a sudden end."""
    callers = []
    is_over = threading.Event()

    def look():
        while not is_over.is_set():
            for sid in list(answered):
                try:
                    told = json.loads(server.get(f"/calls/{sid}"))
                except (OSError, ValueError, urllib.error.URLError):
                    return
                shown[sid] = told["events"]

    async def one(number):
        sid = f"CA{number:032d}"
        try:
            twiml = await asyncio.to_thread(webhook, server, NUMBER, sid)
        except (OSError, urllib.error.URLError):
            return
        answered.append(sid)
        callers.append(asyncio.create_task(keys(server, sid, twiml)))

    looker = threading.Thread(target=look)
    looker.start()
    # The last ones are on their way while the server dies.
    for group in range(0, CALLS, 10):
        begun = [asyncio.create_task(one(number)) for number in range(group, group + 10)]
        if group + 10 == CALLS:
            await asyncio.sleep(0.02)
            kill()
        await asyncio.gather(*begun)
    is_over.set()
    looker.join()
    await asyncio.gather(*callers)


def test_nothing_that_was_told_is_forgotten_when_the_server_is_killed(start):
    server = start()
    answered, shown = [], {}
    asyncio.run(flood(server, answered, shown, lambda: server.process.send_signal(signal.SIGKILL)))
    server.process.wait(10)
    assert len(answered) >= CALLS - 10
    count = sum(len(events) for events in shown.values())
    assert count > len(answered), "the callers' keys were seen"

    again = start()
    wait("the closing of what was left open", lambda: not json.loads(again.get("/calls?active=true"))["calls"]
         and said(again, "marked as failed"))
    listed, offset = {}, 0
    while page := json.loads(again.get(f"/calls?limit=100&offset={offset}"))["calls"]:
        listed.update((call["callSid"], call) for call in page)
        offset += len(page)
    for sid in answered:
        assert sid in listed, f"{sid} was answered and is forgotten"
        assert listed[sid]["state"] == "failed" and listed[sid]["endReason"] and listed[sid]["endedAt"]
    for sid, events in shown.items():
        kept = json.loads(again.get(f"/calls/{sid}"))["events"]
        assert kept[:len(events)] == events, sid
    print(f"{len(answered)} calls answered, {count} events shown, none forgotten")


def test_calls_go_on_when_the_disk_gives_out(start, tmp_path):
    # A process whose files may not grow any more meets what a full disk is like; the signal would end it.
    server = start(wrapper=["bash", "-c", 'trap "" XFSZ; exec "$0" "$@"'])
    pid = server.process.pid

    def room(size):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    packets = [bytes([0x20 + index % 64]) * 160 for index in range(25)]
    asyncio.run(call(server, NUMBER, packets, sid="CAbefore"))
    room(1)
    begun = time.monotonic()
    heard, _ = asyncio.run(call(server, NUMBER, packets, sid="CAmeanwhile"))
    assert packets[3] in bytes(heard), "the caller hears the echo as ever"
    assert time.monotonic() - begun < 8
    wait("the log", lambda: said(server, "records cannot be written"))
    told = json.loads(server.get("/calls"))
    assert {"CAbefore", "CAmeanwhile"} <= {entry["callSid"] for entry in told["calls"]}
    assert "incomplete" in told
    assert re.search(r"^patchbay_records_waiting [1-9]", server.get("/metrics"), re.M)

    room(resource.RLIM_INFINITY)
    wait("the store to be well again", lambda: said(server, "records are written again"))
    assert any("lost=0" in line for line in server.lines if "records are written again" in line)
    assert "incomplete" not in json.loads(server.get("/calls"))

    # Ended while the disk is full: what could not be kept is counted and told.
    room(1)
    asyncio.run(call(server, NUMBER, packets, sid="CAlost"))
    server.stop()
    assert said(server, "records were lost")
    with sqlite3.connect(tmp_path / "store" / "patchbay.sqlite") as database:
        rows = dict(database.execute("SELECT call_sid, status FROM calls"))
    assert rows == {"CAbefore": "ended", "CAmeanwhile": "ended"}


def test_the_commands_for_calls(start, tmp_path):
    server = start()
    packets = [bytes([0x20 + index % 64]) * 160 for index in range(25)]
    asyncio.run(call(server, NUMBER, packets, sid="CApast"))
    webhook(server, NUMBER, "CArunning")

    listed = command(server, "calls").stdout
    assert re.search(r"^ringing .*\+15550100099 +\+15550100002 +desk +call-\w+$", listed, re.M)
    assert re.search(r"^ended ", listed, re.M)
    active = json.loads(command(server, "calls", "--active", "--format", "json").stdout)
    assert [entry["callSid"] for entry in active["calls"]] == ["CArunning"]

    plain = command(server, "show", "CApast").stdout
    assert "CApast  inbound" in plain and re.search(r"^ +\d+\.\d{3}          stream connected: MZ2", plain, re.M)
    drawn = command(server, "show", "CApast", "--width", "70").stdout.splitlines()
    assert all(len(line) <= 70 for line in drawn) and any("│ agent" in line for line in drawn)
    both = json.loads(command(server, "show", "CApast", "--format", "json").stdout)
    assert both["call"]["callSid"] == "CApast" and both["transcript"]["turns"] == []

    told = command(server, "tail", "CApast").stdout.splitlines()
    assert "stream connected" in "\n".join(told) and "call ended" in told[-1]
    follower = subprocess.Popen(
        [BINARY, "tail", "CArunning", "--format", "json", "--server", server.url], stdout=subprocess.PIPE, text=True)
    follower.stdout.readline()
    assert "hanging up: call-" in command(server, "hangup", "CArunning").stdout
    assert json.loads(follower.communicate(timeout=15)[0].splitlines()[-1])["event"] == "call ended"
    assert follower.returncode == 0

    missing = command(server, "show", "CAnobody")
    assert missing.returncode == 1 and 'there is no call "CAnobody"' in missing.stderr
    assert command(server, "hangup", "CArunning").stderr.count("has ended already") == 1
    nobody = subprocess.run(
        [BINARY, "calls", "--server", "http://127.0.0.1:1"], capture_output=True, text=True, timeout=30)
    assert nobody.returncode == 1 and "could not be asked" in nobody.stderr and "PATCHBAY_SERVER" in nobody.stderr

    with sqlite3.connect(tmp_path / "store" / "patchbay.sqlite") as database:
        assert database.execute("SELECT COUNT(*) FROM calls WHERE call_sid = 'CApast'").fetchone() == (1,)
    number = urllib.parse.quote("+15550100099")
    request = urllib.request.Request(f"{server.url}/records?number={number}", method="DELETE")
    with urllib.request.urlopen(request, timeout=10) as response:
        assert json.load(response)["erased"] == 2
    assert json.loads(server.get("/calls"))["calls"] == []


class Parrot:
    """An agent that says a word for every key that the caller presses, and claims that the caller has said it too."""

    def __init__(self, words):
        self.words = words
        self.said = []
        self.server = agent_server(self.converse, "127.0.0.1", 0, compression=None)
        self.port = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def converse(self, socket):
        try:
            for text in socket:
                if isinstance(text, bytes):
                    continue
                message = json.loads(text)
                if message["type"] == "start":
                    socket.send(json.dumps({
                        "type": "ready", "audio": {"form": "binary", "input": "mulaw_8000", "output": "mulaw_8000"}}))
                elif message["type"] == "dtmf":
                    word = self.words[message["digits"]]
                    for speaker in ("caller", "agent"):
                        socket.send(json.dumps({"type": "text", "speaker": speaker, "text": f"{word} {speaker}"}))
                    socket.send(b"\x7f" * 800)
                    socket.send(json.dumps({"type": "turnEnded"}))
                    self.said.append(word)
        except ConnectionClosed:
            pass


def ask(server, path, body=None, method=None, headers=None):
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, headers or {}, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read() or b"null")


async def typed(server, sid, twiml, steps):
    """A caller who stays on the line while `steps` press keys."""
    url = re.search(r'<Stream url="([^"]+)"', twiml).group(1)
    parameters = dict(re.findall(r'<Parameter name="([^"]+)" value="([^"]+)"', twiml))
    stream = "MZ" + sid[2:]
    async with connect(url, compression=None) as socket:
        await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        await socket.send(start_message(sid, parameters, stream))

        async def talk():
            for index in range(3000):
                await socket.send(json.dumps({
                    "event": "media", "streamSid": stream, "sequenceNumber": str(index + 2), "media": {
                        "track": "inbound", "chunk": str(index + 1), "timestamp": str(index * 20), "payload": "/" * 212 + "w=="}}))
                await asyncio.sleep(0.02)

        async def listen():
            async for _ in socket:
                pass

        async def press(digit):
            await socket.send(json.dumps({
                "event": "dtmf", "streamSid": stream, "sequenceNumber": "9", "dtmf": {"track": "inbound_track", "digit": digit}}))

        tasks = [asyncio.create_task(talk()), asyncio.create_task(listen())]
        await steps(press)
        for task in tasks:
            task.cancel()


def test_what_is_typed_and_said_in_a_pause_is_nowhere(start, tmp_path, monkeypatch):
    words = {"1": "plain-before", "4": "hidden-in-the-pause", "9": "plain-after"}
    parrot = Parrot(words)
    with Service(lambda method, path, body, count: (200, {})) as service:
        folder = tmp_path / "pipelines"
        (folder / "desk.json").write_text(json.dumps({
            "name": "desk", "numbers": ["*"], "transport": "twilio", "stages": [
                {"type": "recorder", "path": "recordings/${call.sid}.wav", "directory": str(tmp_path)},
                {"type": "websocket", "url": f"ws://127.0.0.1:{parrot.port}/"}]}))
        (folder / "server.json").write_text(json.dumps({"webhooks": [{
            "name": "crm", "url": service.url + "/hook", "events": ["call.ended", "transcript.ready"], "secret": {"env": "HOOK"}}]}))
        monkeypatch.setenv("HOOK", "hook-secret")
        server = start()
        told = []

        def follow():
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(server.url + "/events", timeout=30) as response:
                    told.extend(iter(response.readline, b""))

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        sid = "CA" + "4" * 32
        shown = []

        async def steps(press):
            async def pressed(digit):
                await press(digit)
                await asyncio.to_thread(wait, f"key {digit}", lambda: words[digit] in parrot.said)
                await asyncio.sleep(0.3)
                shown.append(server.get(f"/calls/{sid}"))

            # A key that comes before the agent does is not told to it.
            await asyncio.to_thread(wait, "the agent", lambda: "connected to agent" in server.get(f"/calls/{sid}"))
            await pressed("1")
            await asyncio.to_thread(ask, server, f"/calls/{sid}/recording", {"command": "pause"})
            await pressed("4")
            await asyncio.to_thread(ask, server, f"/calls/{sid}/recording", {"command": "resume"})
            # Whatever the caller said in the pause may be recognised so much later.
            await asyncio.sleep(3.1)
            await pressed("9")

        asyncio.run(typed(server, sid, webhook(server, NUMBER, sid), steps))
        wait("the webhooks", lambda: len(service.requests) >= 2)
        report, transcript = server.get(f"/calls/{sid}"), server.get(f"/calls/{sid}/transcript")
        events = json.loads(report)["events"]
        keys_told = [event["detail"] for event in events if event["event"] == "dtmf"]
        assert keys_told == ["1", "[withheld]", "9"]
        turns = [(turn["speaker"], turn["text"]) for turn in json.loads(transcript)["turns"]]
        assert turns == [
            ("caller", "plain-before caller"), ("agent", "plain-before agent"), ("caller", "[withheld]"),
            ("agent", "[withheld]"), ("caller", "plain-after caller"), ("agent", "plain-after agent")], turns
        server.stop()
        follower.join(10)
    said_out = {
        "report": report, "reports in the call": "".join(shown), "transcript": transcript, "log": "".join(server.lines),
        "/events": b"".join(told).decode(), "webhooks": b"".join(body for *_, body in service.requests).decode(),
        "store": b"".join(path.read_bytes() for path in (tmp_path / "store").iterdir()).decode(errors="replace")}
    for place, content in said_out.items():
        assert "hidden" not in content, place
    for place in ("report", "transcript", "/events", "webhooks", "store"):
        assert "plain-before" in said_out[place] and "plain-after" in said_out[place], place


def test_nothing_of_a_forgotten_caller_is_left(start, tmp_path, monkeypatch):
    monkeypatch.setenv("ELEVENLABS_WEBHOOK_SECRET", SECRET)
    folder, caller = tmp_path / "pipelines", "+15550107733"
    (folder / "desk.json").write_text(json.dumps({
        "name": "desk", "numbers": ["*"], "transport": "twilio", "stages": [
            {"type": "recorder", "path": "recordings/${call.from}.wav", "directory": str(tmp_path)}, "echo"]}))
    server = start()
    packets = [bytes([0x20 + index % 64]) * 160 for index in range(25)]
    asyncio.run(call(server, NUMBER, packets, sid="CAmine", caller=caller))
    asyncio.run(call(server, NUMBER, packets, sid="CAother", caller="+15550107734"))

    def tell(event, conversation="conv_mine", **data):
        body = json.dumps({"type": event, "event_timestamp": 1, "data": {
            "agent_id": "a", "conversation_id": conversation, **data}}).encode()
        return ask(server, "/elevenlabs/post-call", body, headers={"ElevenLabs-Signature": signed(body)})

    phone = {"metadata": {"start_time_unix_secs": int(time.time()), "phone_call": {
        "direction": "inbound", "agent_number": NUMBER, "external_number": caller, "call_sid": "CAnative"}}}
    tell("post_call_audio", full_audio="SUQzBAAA")
    words = [{"role": "user", "message": "words of the forgotten", "time_in_call_secs": 1}]
    assert tell("post_call_transcription", status="done", transcript=words, **phone)["data"]["call"] == "elevenlabs-conv_mine"
    recordings = lambda: sorted(path.name for path in tmp_path.rglob("recordings/*"))
    wait("the recordings", lambda: recordings() == ["+15550107733.wav", "+15550107734.wav", "conv_mine.mp3"])
    wait("their records", lambda: ask(server, "/calls/CAother")["state"] == "ended" and all(
        row for row in rows(tmp_path, "SELECT recordings <> '[]' FROM calls")))

    erased = ask(server, "/records?number=" + urllib.parse.quote(caller), method="DELETE")
    assert erased["erased"] >= 2 and (erased["recordings"], erased["recordingsLeft"]) == (2, 0), erased
    assert recordings() == ["+15550107734.wav"]
    # The vendor tells it all once more, as something new.
    assert tell("post_call_transcription", status="done", transcript=words, note="again", **phone)["data"]["call"] is None
    assert tell("post_call_audio", full_audio="SUQzBAAAAAAA")["data"]["call"] is None
    assert recordings() == ["+15550107734.wav"]
    assert [entry["callSid"] for entry in ask(server, "/calls")["calls"]] == ["CAother"]
    trail = [entry for entry in ask(server, "/audit")["entries"] if entry["action"] == "records.erase"]
    assert len(trail) == 1 and trail[0]["subject"].startswith("…733: ") and trail[0]["actor"] == "local"
    assert any("erased=true" in line for line in server.lines if "webhook taken" in line)
    for running in (True, False):
        for path in (path for path in (tmp_path / "store").rglob("*") if path.is_file()):
            content = path.read_bytes()
            assert caller.encode() not in content and b"words of the forgotten" not in content, (path, running)
        if running:
            server.stop()


def rows(tmp_path, sql):
    with sqlite3.connect(f"file:{tmp_path}/store/patchbay.sqlite?mode=ro", uri=True) as database:
        return [row[0] for row in database.execute(sql)]
