"""What is remembered of calls when the server is killed in the middle, and when its disk gives out."""

import asyncio
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
from phone import call, webhook
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidMessage

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
            await socket.send(json.dumps({
                "event": "start", "sequenceNumber": "1", "streamSid": stream, "start": {
                    "accountSid": "AC1", "callSid": sid, "streamSid": stream, "tracks": ["inbound"],
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                    "customParameters": parameters}}))
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
