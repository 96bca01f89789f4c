"""A secret in every place that takes one, a day's work, and then everything that was printed, written and answered is searched."""

import asyncio
import base64
import contextlib
import json
import re
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request

import jwt
import pytest
from conftest import AUTH_TOKEN, Process
from phone import CALLER, SILENCE, call, webhook
from spoken import speak
from test_webhooks import Service, signed
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

ACCOUNT = "AC" + "6" * 32
NORTH, SOUTH, TALK, FAILING, REFUSED, DIALLED = (f"+155501000{number}" for number in (12, 13, 14, 15, 16, 17))
#: What a server is configured with, by the name in its environment.
CONFIGURED = (
    "ELEVENLABS_API_KEY", "ELEVENLABS_WEBHOOK_SECRET", "TOOL_SECRET", "PATCHBAY_ADMIN_TOKEN", "JWT_SECRET", "HOOK_SECRET",
    "DASHBOARD_TOKEN", "NORTH_TOKEN", "TENANT_SECRET", "TOOL_HEADER", "AGENT_TOKEN", "LOOKUP_HEADER")
#: What requests bring along that is for nobody's eyes.
BROUGHT = ("COOKIE", "QUERY", "BEARER", "BASIC", "SUBPROTOCOL", "TOOL_HEADER_WRONG", "JWT_WRONG", "REPORT_QUERY")


def planted():
    """A secret of its own for each place; nothing else is alike."""
    return {name: f"plant{secrets.token_hex(16)}" for name in CONFIGURED + BROUGHT} | {"TWILIO_AUTH_TOKEN": AUTH_TOKEN}


def forms(secret):
    """How a secret may be written: as it is, in hexadecimal, and inside of Base64 wherever it begins."""
    data = secret.encode()
    yield data
    yield data.hex().encode()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data)
        # Without what the bytes beside it change.
        yield encoded[4 if shift else 0:len(encoded) // 4 * 4 - 4]


def leaks(places, values):
    """Where which secret stands."""
    return sorted(
        (place, name) for place, content in places.items() for name, secret in values.items()
        if any(form in content for form in forms(secret)))


def deployment(folder, service, vendor, refusing, careless=None):
    folder.mkdir()

    def stages(agent):
        return ["decoder", "vad", agent, "encoder"]

    elevenlabs = {
        "type": "elevenlabs", "agentId": "${agentId}", "apiKey": {"env": "ELEVENLABS_API_KEY"}, "baseUrl": vendor.url,
        "firstMessage": careless or "Good morning.", "dynamicVariables": {"tenant": "${tenantId}"}}
    tool = {
        "name": "free_times", "description": "Free times", "method": "GET", "url": f"{service.url}/times",
        "headers": {"X-Api-Key": {"env": "TOOL_HEADER"}, "X-Tenant-Key": "${tenantKey}"},
        "parameters": {"type": "object", "properties": {"day": {"type": "string"}}}}
    documents = {
        "salons": {
            "variables": {"tenantId": "", "agentId": "agent_1", "tenantKey": "${env.TENANT_SECRET}"},
            "transport": "twilio", "stages": stages(elevenlabs), "tools": [tool],
            "context": {
                "url": service.url + "/customers?phone=${call.from}", "timeoutMs": 2000, "default": {"name": "nobody"},
                "headers": {"Authorization": {"env": "LOOKUP_HEADER"}}}},
        "talk": {"numbers": [TALK], "transport": "twilio", "stages": ["echo"]},
        "failing": {"numbers": [FAILING], "transport": "twilio", "stages": stages(
            {"type": "websocket", "url": "ws://127.0.0.1:1/", "token": {"env": "AGENT_TOKEN"}})},
        "refused": {"numbers": [REFUSED], "transport": "twilio", "stages": stages(
            {"type": "websocket", "url": f"ws://127.0.0.1:{refusing.port}/", "token": {"env": "AGENT_TOKEN"}})},
        "dialled": {"numbers": [DIALLED], "transport": "twilio", "stages": ["echo"]},
    }
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps({"name": name, **document}))
    (folder / "tenants.json").write_text(json.dumps({"tenants": [
        {"id": "north", "name": "North", "pipeline": "salons", "numbers": [NORTH], "agentId": "agent_1"},
        {"id": "south", "name": "South", "pipeline": "salons", "numbers": [SOUTH]}]}))
    (folder / "server.json").write_text(json.dumps({
        "elevenlabs": {"legacySignatures": True, "secretHeader": {"name": "X-Tool-Secret", "value": {"env": "TOOL_SECRET"}}},
        "access": {"tokens": [
            {"name": "dashboard", "token": {"env": "DASHBOARD_TOKEN"}, "rights": ["read"]},
            {"name": "north", "token": {"env": "NORTH_TOKEN"}, "tenant": "north", "rights": ["read", "calls", "dial"]}]},
        "webhooks": [{
            "name": "crm", "url": service.url + "/hook", "events": ["call.started", "call.ended", "transcript.ready"],
            "secret": {"env": "HOOK_SECRET"}}],
        "outbound": {}}))
    return folder


def ask(server, path, body=None, headers=None, method=None):
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def wait(what, condition, server=None, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}: " + (server.get("/calls?active=true") if server else "")
        time.sleep(0.05)


def strangers(server, values):
    """Requests that bring a secret to where it does not belong, or a wrong one. Gives every answer."""
    answers = []

    def note(path, *arguments, expected=(400, 401, 403, 404), **more):
        status, body = ask(server, path, *arguments, **more)
        assert status in expected, (path, status, body)
        answers.append(body)

    away = {"X-Forwarded-For": "203.0.113.9"}
    note("/calls", headers={**away, "Authorization": f"Bearer {values['BEARER']}"})
    basic = base64.b64encode(f"admin:{values['BASIC']}".encode()).decode()
    note("/calls", headers={**away, "Authorization": f"Basic {basic}"})
    note(f"/calls?token={values['QUERY']}", headers=away)
    note("/calls", headers={**away, "Cookie": f"session={values['COOKIE']}"})
    forged = jwt.encode({"sub": "x", "secret": values["JWT_WRONG"]}, values["JWT_WRONG"], algorithm="HS256")
    note("/calls", headers={**away, "Authorization": f"Bearer {forged}"})
    answers.append(forged.encode())
    note("/records?number=%2B15550100099", headers={"Authorization": f"Bearer {values['NORTH_TOKEN']}"}, method="DELETE")
    note("/pipelines/reload", b"", {"Authorization": f"Bearer {values['DASHBOARD_TOKEN']}"})
    # Webhooks: a wrong signature, a cookie, a query with a secret in it; a tool with a wrong header.
    note("/twilio/voice", b"CallSid=CA1", {"X-Twilio-Signature": "wrong", "Cookie": f"session={values['COOKIE']}"})
    note(f"/twilio/voice?key={values['QUERY']}", b"CallSid=CA1", {"X-Twilio-Signature": "wrong"})
    note(f"/elevenlabs/post-call?key={values['REPORT_QUERY']}", b"{}", {"ElevenLabs-Signature": "t=1,v0=" + "0" * 64})
    note("/elevenlabs/tools/free_times", b"{}", {"X-Tool-Secret": values["TOOL_HEADER_WRONG"]})
    note("/elevenlabs/initiation", b"{}", {"X-Tool-Secret": values["TOOL_HEADER_WRONG"]})

    async def socket():
        for path, more in [
            ("/ws", {"subprotocols": ["patchbay", f"bearer.{values['SUBPROTOCOL']}"]}),
            (f"/twilio/stream?token={values['QUERY']}", {"additional_headers": {"X-Twilio-Signature": "wrong"}}),
        ]:
            with contextlib.suppress(InvalidStatus):
                async with connect(f"ws://127.0.0.1:{server.port}{path}", **more):
                    pass

    asyncio.run(socket())
    return [answer for answer in answers if answer != forged.encode()]


def look(server, values):
    """Every GET that the server describes, with names that are there."""
    admin = {"Authorization": f"Bearer {values['PATCHBAY_ADMIN_TOKEN']}"}
    calls = json.loads(ask(server, "/calls", headers=admin)[1])["calls"]
    sessions = json.loads(ask(server, "/sessions", headers=admin)[1])
    session = next(iter(sessions.get("sessions", [])), {"id": "none"})["id"]
    known = {"/sessions": session, "/tenants": "north", "/pipelines": "salons", "/numbers": urllib.parse.quote(NORTH)}
    places, count = {}, 0
    described = json.loads(ask(server, "/openapi.json")[1])["paths"]
    for path, operations in described.items():
        if "get" not in operations or path in ("/events", "/ws") or "stream" in path:
            continue
        names = [entry["id"] for entry in calls] if path.startswith("/calls/{") else [known.get("/" + path.split("/")[1], "none")]
        for name in names if "{" in path else [""]:
            whole = re.sub(r"\{[^}]+\}", name, path)
            status, body = ask(server, whole, headers=admin)
            assert status in (200, 204, 403, 404, 422), (whole, status, body)
            count += status == 200
            places[f"GET {whole}"] = body
    assert count > 20, sorted(places)
    return places


def files(folder):
    return {str(path.relative_to(folder.parent)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def day(tmp_path, values, careless=None):
    """A day's work of a deployment. Gives everything that can be read afterwards, by its place."""
    places = {}

    def answer(method, path, body, count):
        if path.startswith("/hook"):
            return (500 if count % 3 == 0 else 200), {}
        return 200, {"times": ["09:00"], "name": "Ada"}

    key = ("--api-key", values["ELEVENLABS_API_KEY"], "--private")
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(Service(answer))

        def simulator(*arguments):
            process = Process(["simulate", *arguments, "--port", "0"])
            stack.callback(process.stop)
            return process

        vendor = simulator(
            "elevenlabs", *key, "--tool", "free_times", "--tool-parameters", '{"day": "Monday"}',
            "--format", "ulaw_8000", "--greeting", "Good morning.", "--transcript", "when can I come", "--reply", "At nine.")
        refusing = simulator("websocket", "--token", "another-token")
        carrier = simulator(
            "twilio", "--account-sid", ACCOUNT, "--auth-token", AUTH_TOKEN, "--ring-after", "20", "--answer-after", "50",
            "--machine-after", "100")
        folder = deployment(tmp_path / "pipelines", service, vendor, refusing, careless)
        (tmp_path / ".env").write_text("".join(f"{name}={values[name]}\n" for name in CONFIGURED))
        data, traces, wire = tmp_path / "Data", tmp_path / "spans.jsonl", tmp_path / "wire"
        server = Process(
            ["serve", str(folder), "--port", "0", "--drain-timeout", "2", "--env-file", str(tmp_path / ".env"),
             "--store", str(data), "--log-format", "json", "--log-level", "trace", "--traces", str(traces),
             "--wire-log", str(wire)],
            {"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_BASE_URL": carrier.url, "TWILIO_PHONE_NUMBER": DIALLED})
        stack.callback(server.stop)
        admin = {"Authorization": f"Bearer {values['PATCHBAY_ADMIN_TOKEN']}"}
        question = [SILENCE] * 100 + speak("When can I come?") + [SILENCE] * 150
        for index, number in enumerate((NORTH, SOUTH, TALK, FAILING, REFUSED)):
            sid = f"CA{index}" + "7" * 30
            said = []
            with contextlib.suppress(InvalidStatus):
                asyncio.run(call(server, number, question if number == NORTH else [SILENCE] * 20, sid=sid, said=said))
            webhook(server, number, sid, "/twilio/status", CallStatus="completed")
        for event in ({"type": "post_call_transcription", "event_timestamp": int(time.time()), "data": {
                "agent_id": "agent_1", "conversation_id": "conv_9", "status": "done", "transcript": []}},
                {"type": "post_call_audio", "event_timestamp": 1, "data": {
                    "agent_id": "agent_1", "conversation_id": "conv_9", "full_audio": "SUQzBAAA"}}):
            body = json.dumps(event).encode()
            status, text = ask(server, "/elevenlabs/post-call", body, {
                "ElevenLabs-Signature": signed(body, values["ELEVENLABS_WEBHOOK_SECRET"])})
            assert status == 200, text
        proof = {"X-Tool-Secret": values["TOOL_SECRET"]}
        status, text = ask(server, "/elevenlabs/tools/free_times?tenantId=north", {"day": "Monday"}, proof)
        assert status == 200, text
        places["initiation"] = ask(server, "/elevenlabs/initiation", {
            "caller_id": CALLER, "agent_id": "agent_1", "called_number": NORTH, "call_sid": "CA9"}, proof)[1]
        status, text = ask(server, "/calls", {"to": "+15550200001", "pipeline": "dialled", "from": DIALLED}, admin)
        assert status in (200, 201, 202), text
        ask(server, "/pipelines/reload", b"", admin)
        token = jwt.encode({"sub": "team", "exp": int(time.time()) + 600}, values["JWT_SECRET"], algorithm="HS256")
        assert ask(server, "/calls", headers={"Authorization": f"Bearer {token}", "X-Forwarded-For": "203.0.113.9"})[0] == 200
        for index, text in enumerate(strangers(server, values)):
            places[f"refusal {index}"] = text
        wait("the dialled call", lambda: b"streaming" in ask(server, "/calls?active=true", headers=admin)[1])
        for entry in json.loads(ask(server, "/calls?active=true", headers=admin)[1])["calls"]:
            ask(server, f"/calls/{entry['id']}/hangup", b"", admin)
        wait("the calls' end", lambda: not json.loads(ask(server, "/calls?active=true", headers=admin)[1])["active"], server)
        wait("the webhooks", lambda: sum(path == "/hook" for _, path, _, _ in service.requests) >= 10)
        # What was really sent was sent with the secrets: the test would find nothing otherwise.
        asked = [headers for _, path, headers, _ in service.requests if path.startswith("/times")]
        assert any(headers["X-Api-Key"] == values["TOOL_HEADER"] for headers in asked)
        assert any(headers["X-Tenant-Key"] == values["TENANT_SECRET"] for headers in asked)
        assert any(headers["Authorization"] == values["LOOKUP_HEADER"] for _, _, headers, _ in service.requests)
        places |= look(server, values)
        for _, path, _, body in service.requests:
            places.setdefault(f"sent to {path}", b"")
            places[f"sent to {path}"] += body
        # With the log of writes, which holds what the file does not have yet.
        places |= files(data)
        server.stop()
        places |= {f"stopped {name}": content for name, content in files(data).items()}
        places |= files(wire)
        places["traces"] = traces.read_bytes()
        places["output"] = "".join(server.lines).encode()
        # A one-time token of a stream is one, too.
        tokens = re.findall(r'"customParameters":\{[^}]*"token":"([^"]+)"', "".join(
            content.decode(errors="replace") for content in places.values()))
        assert set(tokens) <= {"[secret]"}, tokens
    for expected in ("output", "traces", "Data/patchbay.sqlite", "Data/patchbay.sqlite-wal"):
        assert len(places[expected]) > 500, expected
    assert any(name.startswith("wire/") for name in places), sorted(places)
    assert b"stream connected" in places["output"] and b"agent failed" in places["output"]
    assert b"refused" in places["output"]
    return places


def test_no_secret_is_printed_stored_or_answered(tmp_path):
    values = planted()
    assert leaks(day(tmp_path, values), values) == []


def test_the_search_finds_what_stands_in_the_open(tmp_path):
    values = planted() | {"CARELESS": f"plant{secrets.token_hex(16)}"}
    found = leaks(day(tmp_path, values, careless=values["CARELESS"]), values)
    assert {name for _, name in found} == {"CARELESS"}
    # The agent was told to say it, so that it is in the words of the call.
    for part in ("Data/patchbay.sqlite", "Data/patchbay.sqlite-wal", "wire/", "GET /calls/", "initiation", "sent to /hook"):
        assert any(part in place for place, _ in found), (part, found)


@pytest.mark.parametrize("written", [
    "a {} b", '{{"key":"{}"}}', "Authorization: Basic {basic}", "{hex}", "xx{base64}"])
def test_every_form_of_a_secret_is_found(written):
    secret = "plant0123456789abcdef"
    text = written.format(
        secret, hex=secret.encode().hex(), basic=base64.b64encode(f"user:{secret}".encode()).decode(),
        base64=base64.b64encode(f"{secret}!".encode()).decode())
    assert leaks({"here": text.encode()}, {"S": secret}) == [("here", "S")]
    assert leaks({"here": b"plant0123456789abcdee"}, {"S": secret}) == []
