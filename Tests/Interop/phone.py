"""A phone in Python, on the `websockets` library: what a carrier sends, written independently of ours."""

import asyncio
import base64
import html
import json
import re
import urllib.parse
import urllib.request

from conftest import AUTH_TOKEN
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

SILENCE = b"\xff" * 160


CALLER = "+15550100099"


def webhook(server, number, sid, path="/twilio/voice", caller=CALLER, url=None, tls=None, **fields):
    """What the carrier asks or tells, signed: at a path of the server, or at a whole address."""
    form = {"CallSid": sid, "From": caller, "To": number, "CallStatus": "ringing", **fields}
    url = url or server.url + path
    request = urllib.request.Request(
        url, urllib.parse.urlencode(form).encode(),
        {"X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(url, form)})
    with urllib.request.urlopen(request, timeout=10, context=tls) as response:
        return response.read().decode()


def words(twiml):
    """What the carrier's own voice says."""
    return [html.unescape(text) for text in re.findall(r"<Say[^>]*>([^<]*)</Say>", twiml)]


def start_of(sid, parameters, stream):
    """What a stream tells of itself when it begins."""
    return {
        "accountSid": "AC1", "callSid": sid, "streamSid": stream, "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": parameters}


def start_message(sid, parameters, stream="MZ1"):
    """The message that a stream begins with, for those who speak to the socket themselves."""
    return json.dumps({
        "event": "start", "sequenceNumber": "1", "streamSid": stream, "start": start_of(sid, parameters, stream)})


async def call(
    server, number, packets, sid="CA" + "1" * 32, tail=25, until=None, started=None, sent=None, playout=None, at=None,
    said=None, path="/twilio/voice", caller=CALLER, tls=None, steps=None,
):
    """Sends the packets in real time and gives every byte that was heard, and the messages as they came.

    `started` is filled with the time at which the stream began, `sent` with that at which each packet went out, `playout` with
    that at which each packet that was heard began to be played. `at` maps a packet's number to something that is done just
    before it goes out. With `said`, a list, the next step is asked for when the server has ended the stream, and what the
    carrier's own voice says is noted; `steps`, a list, gets the step itself.
    """
    twiml = await asyncio.to_thread(webhook, server, number, sid, path, caller, tls=tls)
    if said is not None:
        said.extend(words(twiml))
        if "<Stream" not in twiml:
            return b"", []
    url = re.search(r'<Stream url="([^"]+)"', twiml).group(1)
    parameters = dict(re.findall(r'<Parameter name="([^"]+)" value="([^"]+)"', twiml))
    stream = "MZ" + "2" * 32
    heard, messages = bytearray(), []
    async with connect(url, compression=None, **({"ssl": tls} if tls else {})) as socket:
        sequence = 1

        async def send(event, **fields):
            nonlocal sequence
            await socket.send(json.dumps({"event": event, "sequenceNumber": str(sequence), "streamSid": stream, **fields}))
            sequence += 1

        await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        if started is not None:
            started.append(asyncio.get_running_loop().time())
        await send("start", start=start_of(sid, parameters, stream))

        async def echo(name):
            try:
                await send("mark", mark={"name": name})
            except ConnectionClosed:
                pass

        async def listen():
            played = asyncio.get_running_loop().time()
            async for text in socket:
                message = json.loads(text)
                messages.append(message)
                assert message["streamSid"] == stream
                if message["event"] == "media":
                    payload = base64.b64decode(message["media"]["payload"], validate=True)
                    assert len(payload) % 160 == 0
                    heard.extend(payload)
                    played = max(played, asyncio.get_running_loop().time())
                    if playout is not None:
                        playout.extend((played + offset / 8000, payload[offset : offset + 160])
                                    for offset in range(0, len(payload), 160))
                    played += len(payload) / 8000
                elif message["event"] == "clear":
                    # What has not been played yet is thrown away.
                    played = asyncio.get_running_loop().time()
                    while playout and playout[-1][0] >= played:
                        playout.pop()
                elif message["event"] == "mark":
                    wait = max(0, played - asyncio.get_running_loop().time())
                    name = message["mark"]["name"]
                    asyncio.get_running_loop().call_later(
                        wait, lambda name=name: asyncio.ensure_future(echo(name)))

        async def talk():
            begin = asyncio.get_running_loop().time()
            index = 0
            while index < len(packets) + tail if until is None else not until(heard) and index <= 3000:
                packet = packets[index] if index < len(packets) else SILENCE
                if at and index in at:
                    at[index]()
                if sent is not None:
                    sent.append(asyncio.get_running_loop().time())
                await send("media", media={
                    "track": "inbound", "chunk": str(index + 1), "timestamp": str(index * 20),
                    "payload": base64.b64encode(packet).decode()})
                index += 1
                await asyncio.sleep(max(0, begin + index * 0.02 - asyncio.get_running_loop().time()))
            await send("stop", stop={"accountSid": "AC1", "callSid": sid})

        listener, talker = asyncio.ensure_future(listen()), asyncio.ensure_future(talk())
        # Either side may end the stream, at any moment.
        await asyncio.wait([listener, talker], return_when=asyncio.FIRST_COMPLETED)
        for task in (talker, listener):
            task.cancel()
        outcomes = await asyncio.gather(talker, listener, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, (asyncio.CancelledError, ConnectionClosed)):
                raise outcome
    if said is not None and outcomes[0] is not None:
        action = html.unescape(re.search(r'action="([^"]+)"', twiml).group(1))
        step = await asyncio.to_thread(webhook, server, number, sid, caller=caller, url=action, CallStatus="in-progress")
        said.extend(words(step))
        if steps is not None:
            steps.append(step)
    return bytes(heard), messages
