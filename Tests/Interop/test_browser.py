"""A caller without a telephone: the open agent protocol at /ws, from the caller's side."""

import asyncio
import base64
import json
import math
import struct
import time
import urllib.request

import jwt
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

ECHO = json.dumps({"name": "page", "transport": "browser", "stages": ["echo"]})
SCRIPT = json.dumps({
    "name": "page", "transport": {"type": "browser", "rateHz": 16000},
    "stages": [{"type": "script", "say": "Good morning. This is the ward.", "goodbye": "Goodbye.", "silenceSeconds": 1}]})
TELEPHONE = json.dumps({"name": "phone", "numbers": ["*"], "transport": "twilio", "stages": ["echo"]})
TONE = b"".join(struct.pack("<h", int(8000 * math.sin(i * 0.2))) for i in range(320))
START = {"type": "start", "version": 1, "audio": {"form": "binary", "input": ["pcm16_16000"], "output": ["pcm16_16000"]}}


def start(**audio):
    return json.dumps({**START, "audio": {**START["audio"], **audio}})


async def converse(server, first, packets, seconds, path="/ws", form="binary", **options):
    """Sends the packets in real time and gives the sound that came, and the messages."""
    heard, messages = bytearray(), []
    async with connect(f"ws://127.0.0.1:{server.port}{path}", compression=None, **options) as socket:
        await socket.send(first)

        async def listen():
            try:
                async for message in socket:
                    if isinstance(message, bytes):
                        heard.extend(message)
                        continue
                    message = json.loads(message)
                    messages.append(message)
                    if message["type"] == "audio":
                        heard.extend(base64.b64decode(message["audio"], validate=True))
                    if message["type"] == "mark":
                        await socket.send(json.dumps(message))
            except ConnectionClosed:
                pass

        listening = asyncio.create_task(listen())
        for packet in packets:
            if form == "binary":
                await socket.send(packet)
            else:
                await socket.send(json.dumps({"type": "audio", "audio": base64.b64encode(packet).decode()}))
            await asyncio.sleep(0.02)
        await asyncio.wait([listening], timeout=seconds)
        listening.cancel()
        return bytes(heard), messages, socket


@pytest.mark.parametrize("form", ["binary", "base64"])
def test_what_is_said_comes_back(serve, form):
    server = serve(ECHO, TELEPHONE)
    heard, messages, _ = asyncio.run(converse(server, start(form=form), [TONE] * 50, 1, form=form))
    assert messages[0]["type"] == "ready"
    assert messages[0]["audio"] == {"form": form, "input": "pcm16_16000", "output": "pcm16_16000"}
    assert TONE * 40 in heard
    assert any(message["type"] == "mark" for message in messages)
    call = json.loads(server.get(f"/calls/{messages[0]['conversation']}"))
    assert call["pipeline"] == "page" and call["state"] == "ended"
    assert call["carrierFaults"] == 0


def test_an_agent_greets_and_says_goodbye(serve):
    server = serve(SCRIPT)
    heard, messages, socket = asyncio.run(converse(server, start(), [bytes(640)] * 100, 12))
    assert len(heard) > 32000 * 1.5
    assert max(abs(sample) for sample, in struct.iter_unpack("<h", heard[: len(heard) // 2 * 2])) > 3000
    assert json.loads(server.get(f"/calls/{messages[0]['conversation']}"))["playedMs"] > 1500


@pytest.mark.parametrize("first, words", [
    ("not json", "expected an object"),
    ('{"type":"ready"}', "start"),
    (start(input=["mulaw_8000"]), "pcm16_16000"),
    ('{"type":"start"', ""),
])
def test_a_bad_start_is_refused_in_words(serve, first, words):
    server = serve(ECHO)
    _, messages, socket = asyncio.run(converse(server, first, [], 3))
    assert messages[-1]["type"] == "error" and words in messages[-1]["message"]
    assert socket.close_code == 1008


def test_faults_are_counted_and_the_call_goes_on(serve):
    server = serve(ECHO)

    async def run():
        async with connect(f"ws://127.0.0.1:{server.port}/ws", compression=None) as socket:
            await socket.send(start())
            ready = json.loads(await socket.recv())
            await socket.send(b"odd")
            await socket.send('{"type":"dtmf","digits":"12"}')
            await socket.send('{"type":"ping","id":7}')
            answers = []
            while not answers or answers[-1].get("type") != "pong":
                message = await asyncio.wait_for(socket.recv(), 5)
                if isinstance(message, str):
                    answers.append(json.loads(message))
            assert answers[-1] == {"type": "pong", "id": 7}
            return json.loads(server.get(f"/calls/{ready['conversation']}"))

    call = asyncio.run(run())
    assert call["state"] == "streaming" and call["carrierFaults"] == 2


def test_the_pipeline_has_to_be_one_for_browsers(serve):
    server = serve(ECHO, TELEPHONE)
    with pytest.raises(InvalidStatus) as refusal:
        asyncio.run(converse(server, start(), [], 1, path="/ws?pipeline=phone"))
    assert refusal.value.response.status_code == 404


def test_strangers_need_a_token(serve):
    server = serve(ECHO, environment={"PATCHBAY_ADMIN_TOKEN": "open-sesame"})
    foreign = {"additional_headers": {"X-Forwarded-For": "203.0.113.9"}}
    with pytest.raises(InvalidStatus) as refusal:
        asyncio.run(converse(server, start(), [], 1, **foreign))
    assert refusal.value.response.status_code == 401
    with pytest.raises(InvalidStatus):
        asyncio.run(converse(server, start(), [], 1, subprotocols=["patchbay", "bearer.wrong"], **foreign))
    heard, _, socket = asyncio.run(
        converse(server, start(), [TONE] * 20, 1, subprotocols=["patchbay", "bearer.open-sesame"], **foreign))
    assert heard and socket.subprotocol == "patchbay"


SECRET = "a secret that is long enough for HMAC with SHA-256"
STRANGER = {"additional_headers": {"X-Forwarded-For": "203.0.113.9"}}


def page(name):
    return json.dumps({"name": name, "transport": "browser", "stages": ["echo"]})


def refusal(server, path="/ws", **options):
    """The status and the words of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as failure:
        asyncio.run(converse(server, start(), [], 1, path=path, **options))
    return failure.value.response.status_code, failure.value.response.body.decode()


def trail(server, token):
    request = urllib.request.Request(server.url + "/audit", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read())["entries"]


def test_a_page_calls_with_a_short_lived_token_of_its_tenant(serve, tmp_path):
    (tmp_path / "server.json").write_text(json.dumps({"access": {"jwt": {
        "secret": {"env": "JWT_SECRET"}, "tenantClaim": "tenant_id", "rights": ["talk"], "requireExpiry": True}}}))
    (tmp_path / "tenants.json").write_text(json.dumps({"tenants": [
        {"id": name, "name": name, "pipeline": f"page-{name}"} for name in ("north", "south")]}))
    server = serve(
        page("page-north"), page("page-south"), environment={"JWT_SECRET": SECRET, "PATCHBAY_ADMIN_TOKEN": "admin-of-all"})

    def offer(tenant="north", seconds=60, **claims):
        claims = {"sub": "visitor", "tenant_id": tenant, "exp": int(time.time()) + seconds, **claims}
        token = jwt.encode({name: value for name, value in claims.items() if value is not None}, SECRET, algorithm="HS256")
        return {"subprotocols": ["patchbay", f"bearer.{token}"], **STRANGER}

    heard, messages, socket = asyncio.run(converse(server, start(), [TONE] * 25, 1, **offer()))
    assert TONE * 15 in heard and socket.subprotocol == "patchbay"
    call = json.loads(server.get(f"/calls/{messages[0]['conversation']}"))
    assert (call["tenant"], call["pipeline"], call["state"]) == ("north", "page-north", "ended")
    _, messages, _ = asyncio.run(converse(server, start(), [TONE], 0.2, path="/ws?pipeline=page-south", **offer("south")))
    assert json.loads(server.get(f"/calls/{messages[0]['conversation']}"))["tenant"] == "south"

    for path, options, status in [
        ("/ws?pipeline=page-south", offer(), 403), ("/ws?tenant=south", offer(), 404), ("/ws", offer(seconds=-90), 401),
        ("/ws", offer(exp=None), 401), ("/ws", offer(tenant_id=None), 401), ("/ws", STRANGER, 401),
    ]:
        assert refusal(server, path, **options)[0] == status, (path, options)
    entries = trail(server, "admin-of-all")
    assert [(entry["actor"], entry["tenant"]) for entry in entries if entry["action"] == "browser.call"] == [
        ("jwt:visitor", "south"), ("jwt:visitor", "north")]
    assert [entry["action"] for entry in entries if entry["outcome"] != "ok"].count("browser.refused") == 2
    assert [entry["action"] for entry in entries if entry["outcome"] != "ok"].count("request.refused") == 4
    assert 'patchbay_refused_total{action="browser.refused"} 2' in server.get("/metrics")


def test_places_are_counted_from_the_handshake(serve, tmp_path):
    (tmp_path / "server.json").write_text(json.dumps({"browser": {"open": True, "maximumCalls": 3}}))
    server = serve(ECHO)
    url = f"ws://127.0.0.1:{server.port}/ws"

    async def attempt():
        try:
            return await connect(url, compression=None)
        except InvalidStatus as refused:
            assert refused.response.status_code == 503
            return None

    async def crowd():
        sockets = [socket for socket in await asyncio.gather(*(attempt() for _ in range(12))) if socket]
        assert len(sockets) <= 3
        if len(sockets) == 3:
            return sockets
        # Of those who were there before, one is still being seen off.
        await asyncio.gather(*(socket.close() for socket in sockets))
        return None

    async def run():
        for turn in range(3):
            # Of twelve at once, before any has said a word, three have a place.
            sockets = await crowd()
            assert sockets or turn > 0
            for _ in range(200):
                sockets = sockets or await crowd()
            # One leaves without a word, one while its call is made, one in its call.
            await sockets[1].send(start())
            await sockets[2].send(start())
            assert json.loads(await sockets[2].recv())["type"] == "ready"
            await asyncio.gather(*(socket.close() for socket in sockets))
        return len(json.loads(server.get("/calls"))["calls"])

    assert asyncio.run(run()) >= 3
