"""Calls that the server has dialled: over real sockets, with a simulated carrier, and with Twilio's own client."""

import asyncio
import base64
import html
import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import AUTH_TOKEN, BINARY, Process
from phone import SILENCE
from spoken import espeak
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from websockets.asyncio.client import connect

ACCOUNT = "AC" + "5" * 32
TOKEN = "an-admin-token"
FROM, TO = "+15550100001", "+15550200001"
ECHO = '{"name": "echo", "numbers": ["+15550100001"], "transport": "twilio", "stages": ["echo"]}'


@pytest.fixture
def carrier():
    running = []

    def start(*options):
        simulator = Process(
            ["simulate", "twilio", "--port", "0", "--account-sid", ACCOUNT, "--ring-after", "20", "--answer-after", "50",
             "--machine-after", "100", *options])
        running.append(simulator)
        return simulator

    yield start
    for simulator in running:
        simulator.stop()


@pytest.fixture
def serve_with(serve, tmp_path):
    """Gives a function that serves with a `server.json`."""

    def start(settings, simulator, **more):
        (tmp_path / "server.json").write_text(json.dumps(settings))
        return serve(ECHO, environment={**environment(simulator), **more})

    return start


def environment(simulator, **more):
    return {
        "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_BASE_URL": simulator.url, "TWILIO_PHONE_NUMBER": FROM,
        "PATCHBAY_ADMIN_TOKEN": TOKEN, **more}


def ask(server, path, body=None, method=None, token=TOKEN, headers=None):
    """Gives the status, the answer and its headers, also of refusals."""
    request = urllib.request.Request(
        server.url + path, None if body is None else json.dumps(body).encode(),
        {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})},
        method=method or ("GET" if body is None else "POST"))
    try:
        with urllib.request.urlopen(request, timeout=40) as response:
            text = response.read().decode()
            return response.status, json.loads(text) if text else None, response.headers
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read().decode() or "null"), error.headers


def words(answer):
    return answer["error"]["message"]


def session(server, id):
    return ask(server, f"/sessions/{id}")[1]


def until(server, id, condition, seconds=20):
    """Asks for a session until a condition holds."""
    end = time.monotonic() + seconds
    while True:
        current = session(server, id)
        if condition(current):
            return current
        assert time.monotonic() < end, current
        time.sleep(0.05)


def ended(server, id, seconds=20):
    return until(server, id, lambda s: s["status"] not in ("dialing", "ringing", "answered", "unknown"), seconds)


def dialled(simulator):
    return [line.split()[1] for line in list(simulator.lines) if line.startswith("dialling ")]


# The whole way

def test_a_dialled_call_to_its_transcript(serve, carrier, tmp_path):
    question = tmp_path / "question.wav"
    espeak("Which day is free?", question)
    agent = Process(
        ["simulate", "elevenlabs", "--port", "0", "--format", "ulaw_8000", "--greeting", "Hello.", "--transcript",
         "which day is free", "--reply", "Monday.", "--goodbye", "Bye.", "--require-variable", "customer"])
    try:
        document = json.dumps({
            "name": "reminder", "numbers": ["+15550109999"], "transport": "twilio", "variables": {"customer": "somebody"},
            "stages": [{
                "type": "elevenlabs", "agentId": "agent_1", "baseUrl": agent.url,
                "dynamicVariables": {"customer": "${customer}", "number": "${call.to}"}}]})
        simulator = carrier("--audio", str(question), "--audio", str(question), "--repeat-callbacks")
        server = serve(ECHO, document, environment=environment(simulator))
        status, answer, _ = ask(server, "/calls", {"to": TO, "pipeline": "reminder", "variables": {"customer": "Ada"}})
        assert status == 201 and not answer["simulated"], answer
        assert re.fullmatch("CA[0-9a-f]{32}", answer["callSid"])
        done = ended(server, answer["sessionId"], 40)
        assert done["status"] == "completed" and done["pipeline"] == "reminder", done
        assert done["variables"] == {"customer": "Ada"} and done["conversationId"]
        whole = until(server, answer["sessionId"], lambda s: s.get("transcript"))
        said = [(turn["speaker"], turn["text"]) for turn in whole["transcript"]]
        assert ("agent", "Hello.") in said and ("caller", "which day is free") in said and ("agent", "Monday.") in said
        call = ask(server, f"/calls/{answer['callSid']}")[1]
        assert (call["direction"], call["from"], call["to"]) == ("outbound", FROM, TO)
        assert call["id"] == whole["callId"] and call["state"] == "ended"
    finally:
        agent.stop()


def test_the_command_dials_and_tells_how_it_goes(serve_with, carrier):
    simulator = carrier("--hang-up-after", "1", "--busy", "+15550200009")
    server = serve_with({"outbound": {"maximumPerSecond": 100}}, simulator)

    def dial(*arguments):
        return subprocess.run(
            [BINARY, "dial", *arguments, "--server", server.url, "--token", TOKEN], capture_output=True, text=True,
            timeout=60)

    waited = dial(TO, "--wait")
    assert waited.returncode == 0 and "completed" in waited.stdout and "session session-" in waited.stderr, waited
    short = dial(TO, "--format", "json")
    assert short.returncode == 0 and json.loads(short.stdout)["status"] in ("dialing", "ringing", "answered"), short
    busy = dial("+15550200009", "--wait")
    assert busy.returncode == 1 and "busy: the line was busy" in busy.stdout, busy
    unknown = dial(TO, "--pipeline", "nothing")
    assert unknown.returncode == 1 and 'there is no pipeline "nothing"; there are "echo"' in unknown.stderr
    assert dial("0301234").returncode == 64


async def stream(twiml, call, packet, until, breaks):
    """Streams a packet again and again until the answer satisfies, then breaks the line or ends it in order."""
    url = html.unescape(re.search(r'<Stream url="([^"]+)"', twiml).group(1))
    parameters = dict(re.findall(r'<Parameter name="([^"]+)" value="([^"]+)"', twiml))
    name, heard = "MZ" + "3" * 32, bytearray()
    async with connect(url, compression=None) as socket:
        async def send(event, **fields):
            await socket.send(json.dumps({"event": event, "streamSid": name, **fields}))

        await send("connected", protocol="Call", version="1.0.0")
        await send("start", start={
            "accountSid": ACCOUNT, "callSid": call, "streamSid": name, "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters})
        for index in range(500):
            await send("media", media={
                "track": "inbound", "chunk": str(index + 1), "timestamp": str(index * 20),
                "payload": base64.b64encode(packet).decode()})
            try:
                message = json.loads(await asyncio.wait_for(socket.recv(), 0.02))
            except TimeoutError:
                continue
            if message["event"] == "media":
                heard.extend(base64.b64decode(message["media"]["payload"]))
            if until(heard):
                break
        if breaks:
            socket.transport.abort()
        else:
            await send("stop", stop={"accountSid": ACCOUNT, "callSid": call})
    return bytes(heard)


def test_a_dialled_call_whose_stream_breaks_goes_on_under_its_session(serve, carrier):
    # It rings for ever at the simulated carrier; who answers is played here.
    server = serve(
        ECHO, '{"name": "other", "numbers": ["+15550109999"], "transport": "twilio", "stages": ["echo"]}',
        environment=environment(carrier("--answer-after", "60000")))
    answer = ask(server, "/calls", {"to": TO, "pipeline": "other", "variables": {"customer": "Ada"}})[1]
    id, sid = answer["sessionId"], answer["callSid"]
    form = {"CallSid": sid, "From": FROM, "To": TO, "CallStatus": "in-progress"}
    status, twiml = report(server, f"/twilio/connect/{id}", form)
    assert status == 200 and "<Stream" in twiml, twiml
    spoken = bytes(range(1, 161))
    assert spoken in asyncio.run(stream(twiml, sid, spoken, lambda heard: spoken in heard, breaks=True))
    first = session(server, id)
    assert first["status"] == "answered" and first["callId"]
    # The carrier finds the stream gone, and asks what is next.
    action = html.unescape(re.search(r'<Connect action="([^"]+)"', twiml).group(1))
    status, twiml = report(server, action.removeprefix(server.url), form)
    assert status == 200 and "<Stream" in twiml, twiml
    again = bytes(range(161, 1, -1))
    assert again in asyncio.run(stream(twiml, sid, again, lambda heard: again in heard, breaks=False))
    until(server, id, lambda s: s["callId"] != first["callId"])
    assert report(server, f"/twilio/status/{id}", {**form, "CallStatus": "completed"})[0] == 200
    done = ended(server, id)
    assert (done["status"], done["callSid"], done["pipeline"]) == ("completed", sid, "other")
    assert "failure" not in done, done
    assert [s["id"] for s in ask(server, "/sessions")[1]["sessions"]] == [id]
    calls = [call for call in ask(server, "/calls")[1]["calls"] if call["callSid"] == sid]
    assert len(calls) == 2 and all((c["direction"], c["pipeline"]) == ("outbound", "other") for c in calls), calls


# How calls end

def test_every_end_of_a_call_is_told_apart(serve_with, carrier):
    numbers = {"busy": "+15550200002", "no-answer": "+15550200003", "failed": "+15550200004"}
    options = [part for status, number in numbers.items() for part in (f"--{status}", number)]
    server = serve_with({"outbound": {"maximumPerSecond": 100}}, carrier(*options))
    for status, number in numbers.items():
        answer = ask(server, "/calls", {"to": number, "timeoutSeconds": 5})[1]
        done = ended(server, answer["sessionId"])
        assert done["status"] == status, done
        assert "failure" not in done or status == "failed"


def test_a_machine_is_told_a_message_and_the_call_ends(serve_with, carrier):
    simulator = carrier("--machine", "+15550200005")
    settings = {"outbound": {
        "machine": {"detect": True, "message": "Please call us back."}, "maximumPerSecond": 100}}
    server = serve_with(settings, simulator)
    machine = ask(server, "/calls", {"to": "+15550200005"})[1]
    done = ended(server, machine["sessionId"])
    assert (done["status"], done["answeredBy"]) == ("completed", "machine")
    assert any(line.endswith("hears: Please call us back.\n") for line in simulator.lines)
    person = ask(server, "/calls", {"to": TO})[1]
    until(server, person["sessionId"], lambda s: s.get("answeredBy") == "human" and s["status"] == "answered")
    assert ask(server, f"/calls/{person['sessionId']}/hangup", {})[0] == 200
    assert ended(server, person["sessionId"])["status"] == "completed"


def test_a_call_that_only_rings_can_be_ended(serve, carrier):
    server = serve(ECHO, environment=environment(carrier("--answer-after", "60000")))
    answer = ask(server, "/calls", {"to": TO})[1]
    until(server, answer["sessionId"], lambda s: s["status"] == "ringing")
    assert ask(server, f"/calls/{answer['callSid']}/hangup", {})[0] == 200
    assert ended(server, answer["sessionId"])["status"] == "completed"
    status, refusal, _ = ask(server, f"/calls/{answer['sessionId']}/hangup", {})
    assert status == 409 and "ended already" in words(refusal)
    assert ask(server, "/calls/nothing/hangup", {})[0] == 404


def test_a_command_ends_a_call_that_only_rings(serve, carrier):
    server = serve(ECHO, environment=environment(carrier("--answer-after", "60000")))
    answer = ask(server, "/calls", {"to": TO})[1]
    until(server, answer["sessionId"], lambda s: s["status"] == "ringing")
    command = [BINARY, "hangup", answer["sessionId"], "--server", server.url, "--token", TOKEN]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"hanging up: {answer['sessionId']} to {TO}\n"
    assert ended(server, answer["sessionId"])["status"] == "completed"


def test_bridged_to_the_vendors_number(serve_with, carrier):
    simulator = carrier()
    server = serve_with({"outbound": {"bridge": "dial"}}, simulator, ELEVENLABS_PHONE_NUMBER="+15550300001")
    answer = ask(server, "/calls", {"to": TO})[1]
    assert ended(server, answer["sessionId"])["status"] == "completed"
    assert any("is connected with +15550300001" in line for line in simulator.lines)
    assert json.loads(server.get("/twilio/health")) == {
        "status": "ok", "elevenlabs_number_configured": True, "elevenlabs_number": "+15550300001"}


# Orders

def test_an_order_that_is_repeated_dials_once(serve, carrier):
    simulator = carrier("--answer-after", "60000")
    server = serve(ECHO, environment=environment(simulator))
    key = {"Idempotency-Key": "order 1"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(server, "/calls", {"to": TO}, headers=key), range(8)))
    assert sorted(status for status, _, _ in answers) == [200] * 7 + [201]
    assert len({answer["sessionId"] for _, answer, _ in answers}) == 1
    status, other, _ = ask(server, "/calls", {"to": "+15550200002"}, headers=key)
    assert status == 409 and "another order" in words(other)
    assert len(dialled(simulator)) == 1


def test_the_form_of_campaigns(serve_with, carrier):
    settings = {
        "paths": {"initiate": ["/api/calls/initiate"], "connect": ["/api/twilio/connect"], "status": ["/api/twilio/status"]},
        "outbound": {"agents": {"reminder": {"pipeline": "echo", "variables": {"tone": "calm"}}}, "maximumPerSecond": 50}}
    server = serve_with(settings, carrier())
    order = {"customer_id": 17, "phone": TO, "agent_type": "reminder", "campaign": "spring"}
    status, answer, _ = ask(server, "/api/calls/initiate", order)
    assert status == 201
    assert set(answer) == {"session_id", "call_id", "call_sid", "status", "simulated", "message"}
    kept = session(server, answer["session_id"])
    assert (kept["customerId"], kept["agentName"], kept["variables"]) == ("17", "reminder", {"tone": "calm"})
    until(server, answer["session_id"], lambda s: s["status"] == "answered" and s.get("callId"))
    status, refusal, _ = ask(server, "/api/calls/initiate", {**order, "agent_type": "remindr"})
    assert status == 422 and 'there is no agent "remindr"; there are "reminder"' in words(refusal)
    assert ask(server, "/api/calls/initiate", {"customer_id": "1"})[0] == 400


def test_without_an_account_nobody_is_called(serve):
    server = serve(ECHO, environment={"PATCHBAY_ADMIN_TOKEN": TOKEN})
    status, answer, _ = ask(server, "/calls/initiate", {"customer_id": "1", "phone": TO, "agent_type": "echo"})
    assert status == 201 and answer["simulated"] and answer["status"] == "simulated"
    assert answer["call_sid"] is None and "simulation" in answer["message"]
    assert session(server, answer["session_id"])["customerPhone"] == TO
    assert [s["id"] for s in ask(server, "/sessions")[1]["sessions"]] == [answer["session_id"]]


def test_orders_need_a_token_and_sense(serve, carrier):
    simulator = carrier()
    server = serve(ECHO, environment=environment(simulator))
    assert ask(server, "/calls", {"to": TO}, token=None)[0] == 401
    assert ask(server, "/calls", {"to": TO}, token="another")[0] == 401
    for order, expected, told in [
        ({}, 400, '"to"'), ([1], 400, "no JSON object"), ({"to": 5}, 400, '"to" has the wrong type'),
        ({"to": "030 1234"}, 422, "E.164"), ({"to": "+0301234567"}, 422, "E.164"),
        ({"to": TO, "from": "me"}, 422, "no number to call from"), ({"to": TO, "pipelin": "echo"}, 422, 'no "pipelin"'),
        ({"to": TO, "pipeline": "nothing"}, 422, 'there are "echo"'),
        ({"to": TO, "variables": {"a": []}}, 400, "variables.a"), ({"to": TO, "timeoutSeconds": 1}, 422, "5 to 600"),
        ({"to": TO, "variables": {"a": "x" * 3000}}, 422, "too long"),
    ]:
        status, answer, _ = ask(server, "/calls", order)
        assert status == expected and told in words(answer), (order, status, answer)
    assert ask(server, "/calls", {"to": TO}, headers={"Idempotency-Key": "x" * 300})[0] == 400
    assert dialled(simulator) == []


def test_blocked_numbers_and_hours(serve, serve_with, carrier):
    simulator = carrier()
    server = serve(ECHO, environment=environment(simulator))
    assert ask(server, f"/blocked/{TO}", {"reason": "asked not to be called"}, "PUT")[0] == 200
    status, refusal, _ = ask(server, "/calls", {"to": TO})
    assert status == 403 and "block list" in words(refusal)
    assert [entry["number"] for entry in ask(server, "/blocked")[1]["blocked"]] == [TO]
    assert ask(server, f"/blocked/{urllib.parse.quote(TO)}")[1]["reason"] == "asked not to be called"
    assert ask(server, f"/blocked/{TO}", method="DELETE")[0] == 204
    assert ask(server, f"/blocked/{TO}", method="DELETE")[0] == 404
    assert ask(server, "/blocked/030", {}, "PUT")[0] == 422
    assert ask(server, "/calls", {"to": TO})[0] == 201
    server = serve_with({"outbound": {"hours": {"timeZone": "UTC", "monday": []}}}, simulator)
    status, refusal, _ = ask(server, "/calls", {"to": TO})
    assert status == 403 and "outside outbound.hours" in words(refusal)


def test_limits_are_told_with_when_to_ask_again(serve, carrier, tmp_path):
    simulator = carrier("--answer-after", "60000")
    settings = {"outbound": {"maximumPerSecond": 100, "maximumInFlight": 2, "maximumPerDay": 3}}
    store = ["--store", str(tmp_path / "store")]
    (tmp_path / "server.json").write_text(json.dumps(settings))
    server = serve(ECHO, environment=environment(simulator), arguments=store)
    first, second = [ask(server, "/calls", {"to": TO})[1] for _ in range(2)]
    status, refusal, headers = ask(server, "/calls", {"to": TO})
    assert status == 429 and "maximumInFlight" in words(refusal) and int(headers["Retry-After"]) > 0
    ask(server, f"/calls/{first['sessionId']}/hangup", {})
    ended(server, first["sessionId"])
    assert ask(server, "/calls", {"to": TO})[0] == 201
    server.stop()
    # Both what was dialled today and what still rings outlive the process.
    server = serve(ECHO, environment=environment(simulator), arguments=store)
    status, refusal, headers = ask(server, "/calls", {"to": TO})
    assert status == 429 and "maximumPerDay" in words(refusal) and 0 < int(headers["Retry-After"]) <= 86_400
    (tmp_path / "server.json").write_text(json.dumps({"outbound": {"maximumInFlight": 2}}))
    server.stop()
    server = serve(ECHO, environment=environment(simulator), arguments=store)
    status, refusal, _ = ask(server, "/calls", {"to": TO})
    assert status == 429 and "maximumInFlight" in words(refusal)


def test_the_carriers_refusals_are_told_in_words(serve, carrier):
    for code, expected, told in [
        (21211, 422, "check its digits"), (21215, 403, "Geographic Permissions"), (21219, 403, "trial account"),
        (21210, 422, "none of the account's"), (20003, 502, "TWILIO_ACCOUNT_SID"), (21216, 403, "blocks"),
    ]:
        simulator = carrier("--fail-with", str(code), "--fail-times", "1")
        server = serve(ECHO, environment=environment(simulator))
        status, answer, _ = ask(server, "/calls", {"to": TO})
        assert status == expected and told in words(answer) and str(code) in words(answer), (code, answer)
        only = ask(server, "/sessions")[1]["sessions"][0]
        assert only["status"] == "failed" and str(code) in only["failure"]
        simulator.stop()
        server.stop()


# Whose

def test_a_token_of_one_tenant_sees_and_touches_nothing_of_anothers(serve, carrier, tmp_path):
    simulator = carrier("--answer-after", "60000")
    (tmp_path / "tenants.json").write_text(json.dumps({"tenants": [
        {"id": id, "name": id, "pipeline": "echo", "numbers": [number]}
        for id, number in (("north", "+15550100011"), ("south", "+15550100012"))]}))
    (tmp_path / "server.json").write_text(json.dumps({
        "outbound": {"maximumPerSecond": 100},
        "access": {"tokens": [
            {"name": id, "token": {"env": id.upper()}, "tenant": id, "rights": ["read", "calls", "dial"]}
            for id in ("north", "south")]}}))
    server = serve(
        ECHO.replace('"+15550100001"', ""), environment=environment(simulator, NORTH="north-token", SOUTH="south-token"))

    def north(*arguments, **more):
        status, answer, _ = ask(server, *arguments, token="north-token", **more)
        assert "south" not in json.dumps(answer), answer
        return status, answer

    order = {"to": TO, "from": "+15550100012"}
    status, theirs, _ = ask(server, "/calls", order, token="south-token", headers={"Idempotency-Key": "k"})
    assert status == 201 and session(server, theirs["sessionId"])["tenant"] == "south", theirs
    until(server, theirs["sessionId"], lambda s: s["status"] == "ringing")
    # Neither in another's name, nor from another's number, nor by another's key.
    assert north("/calls", {**order, "tenant": "south"})[0] == 403
    assert north("/calls", order)[0] == 403
    status, ours = north("/calls", {**order, "from": "+15550100011"}, headers={"Idempotency-Key": "k"})
    assert status == 201 and ours["sessionId"] != theirs["sessionId"]
    assert [s["id"] for s in north("/sessions")[1]["sessions"]] == [ours["sessionId"]]
    for name in (theirs["sessionId"], theirs["callSid"]):
        status, nothing = north(f"/sessions/{name}")
        assert status == 404 and "status" not in nothing
        assert north(f"/calls/{name}/hangup", {})[0] == 404
        assert north(f"/calls/{name}")[0] == 404
    assert session(server, theirs["sessionId"])["status"] == "ringing", "nobody has ended it"
    # What belongs to all is not one tenant's, and does not tell whose a number is.
    for path, body, method in [
        ("/blocked", None, "GET"), (f"/blocked/{TO}", {}, "PUT"), (f"/blocked/{TO}", None, "DELETE"),
        ("/tenants/north", {"name": "N", "numbers": ["+15550100012"]}, "PUT"),
        ("/numbers/+15550100012", {"tenant": "north"}, "PUT"), ("/numbers/+15550100012", None, "DELETE"),
    ]:
        assert north(path, body, method)[0] == 403, (method, path)
    assert north("/numbers/+15550100012")[0] == 404
    assert north(f"/calls/{ours['sessionId']}/hangup", {})[0] == 200
    assert ended(server, ours["sessionId"])["status"] == "completed"
    # Who did what is in the trail, and a number only where it is what was done something to.
    assert ask(server, f"/blocked/{TO}", {"reason": "asked"}, "PUT")[0] == 200
    assert ask(server, "/calls", {"to": TO})[0] == 403
    assert ask(server, f"/blocked/{TO}", method="DELETE")[0] == 204
    trail = ask(server, "/audit")[1]["entries"]
    done = [(e["actor"], e["action"], e["subject"]) for e in reversed(trail) if e["outcome"] == "ok"]
    assert done == [
        ("south", "call.dial", theirs["sessionId"]), ("north", "call.dial", ours["sessionId"]),
        ("north", "call.hangup", ours["sessionId"]), ("admin", "number.block", TO), ("admin", "number.unblock", TO)]
    refused = [(e["actor"], e["subject"]) for e in reversed(trail) if e["action"] == "call.dial" and e["outcome"] != "ok"]
    assert refused == [("north", "/calls"), ("north", "/calls"), ("admin", "/calls")]
    assert all(TO not in e["outcome"] + e["subject"] for e in trail if e["action"] not in ("number.block", "number.unblock")
               and e["action"] != "request.refused")


# Never twice

def test_too_many_requests_are_tried_again(serve, carrier):
    simulator = carrier("--fail-with", "20429", "--fail-times", "2")
    server = serve(ECHO, environment=environment(simulator))
    status, answer, _ = ask(server, "/calls", {"to": TO})
    assert status == 201 and answer["callSid"] and len(dialled(simulator)) == 1


def test_an_answer_that_is_lost_does_not_dial_twice(serve, carrier):
    simulator = carrier("--drop-answer", "--answer-after", "60000")
    server = serve(ECHO, environment=environment(simulator))
    status, answer, _ = ask(server, "/calls", {"to": TO})
    assert status == 201 and answer["status"] in ("dialing", "ringing") and answer["callSid"]
    assert len(dialled(simulator)) == 1


def test_an_answer_that_is_late_does_not_dial_twice(serve, carrier):
    simulator = carrier("--slow", "30", "--answer-after", "60000")
    server = serve(ECHO, environment=environment(simulator))
    status, answer, _ = ask(server, "/calls", {"to": TO})
    assert status == 201 and answer["callSid"] and len(dialled(simulator)) == 1


def test_an_order_that_is_lost_stays_open_in_words(serve, carrier):
    simulator = carrier("--lose-order")
    server = serve(ECHO, environment=environment(simulator))
    status, answer, _ = ask(server, "/calls", {"to": TO}, headers={"Idempotency-Key": "k"})
    assert status == 202 and answer["status"] == "unknown" and "not dialled again" in answer["message"]
    status, again, _ = ask(server, "/calls", {"to": TO}, headers={"Idempotency-Key": "k"})
    assert status == 200 and again["sessionId"] == answer["sessionId"] and dialled(simulator) == []


def test_an_order_that_a_kill_interrupted_is_taken_up_by_the_next_process(serve, carrier, tmp_path):
    simulator = carrier("--slow", "30", "--answer-after", "60000")
    store = ["--store", str(tmp_path / "store")]
    server = serve(ECHO, environment=environment(simulator), arguments=store)
    key = {"Idempotency-Key": "k"}
    with ThreadPoolExecutor(1) as pool:
        order = pool.submit(ask, server, "/calls", {"to": TO}, headers=key)
        end = time.monotonic() + 10
        while not dialled(simulator):
            assert time.monotonic() < end
            time.sleep(0.01)
        server.process.kill()
        server.process.wait()
        with pytest.raises(OSError):
            order.result()
    server = serve(ECHO, environment=environment(simulator), arguments=store)
    only = ask(server, "/sessions")[1]["sessions"][0]
    found = until(server, only["id"], lambda s: s.get("callSid"))
    status, again, _ = ask(server, "/calls", {"to": TO}, headers=key)
    assert status == 200 and again["callSid"] == found["callSid"]
    assert ask(server, f"/calls/{only['id']}/hangup", {})[0] == 200
    assert len(dialled(simulator)) == 1


def test_a_carrier_that_is_away_is_told(serve, carrier):
    simulator = carrier()
    simulator.stop()
    server = serve(ECHO, environment=environment(simulator))
    status, answer, headers = ask(server, "/calls", {"to": TO})
    assert status == 503 and "cannot be reached" in words(answer) and headers["Retry-After"]


# What the carrier tells

def report(server, path, form, secret=AUTH_TOKEN):
    url = server.url + path
    signature = RequestValidator(secret).compute_signature(url, form)
    request = urllib.request.Request(url, urllib.parse.urlencode(form).encode(), {"X-Twilio-Signature": signature})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_reports_in_any_order_and_again(serve, carrier):
    server = serve(ECHO, environment=environment(carrier("--answer-after", "60000")))
    answer = ask(server, "/calls", {"to": TO})[1]
    until(server, answer["sessionId"], lambda s: s["status"] == "ringing")
    path = f"/twilio/status/{answer['sessionId']}"
    form = {"CallSid": answer["callSid"], "From": FROM, "To": TO}

    def tell(status):
        assert report(server, path, {**form, "CallStatus": status})[0] == 200
        return session(server, answer["sessionId"])["status"]

    assert tell("in-progress") == "answered"
    assert tell("ringing") == "answered", "nothing goes back"
    assert tell("completed") == "completed"
    for late in ("initiated", "ringing", "in-progress", "completed", "busy", "nonsense"):
        assert tell(late) == "completed", "an end is final"
    # Neither another's call nor another's signature changes anything, and nobody is connected afterwards.
    assert report(server, path, {**form, "CallStatus": "busy"}, "another")[0] == 403
    other = {**form, "CallSid": "CA" + "9" * 32, "CallStatus": "busy"}
    report(server, path, other)
    assert session(server, answer["sessionId"])["status"] == "completed"
    assert report(server, "/twilio/status/nothing", {**form, "CallStatus": "busy"})[0] == 200
    status, twiml = report(server, f"/twilio/connect/{answer['sessionId']}", {**form, "CallStatus": "in-progress"})
    assert status == 200 and "<Hangup />" in twiml and "<Stream" not in twiml


def test_the_carriers_test_speaks_and_hangs_up(serve, carrier):
    server = serve(ECHO, environment=environment(carrier()))
    status, twiml = report(server, "/twilio/test", {"CallSid": "CA1"})
    assert status == 200 and re.search(r"<Say>.+</Say><Hangup />", twiml)
    assert json.loads(server.get("/twilio/health")) == {
        "status": "ok", "elevenlabs_number_configured": False, "elevenlabs_number": None}


# Twilio's own client against the simulated carrier

class Here(TwilioHttpClient):
    """Sends what the library sends, to this machine."""

    def __init__(self, origin):
        super().__init__()
        self.origin = origin

    def request(self, method, url, *arguments, **more):
        return super().request(method, url.replace("https://api.twilio.com", self.origin), *arguments, **more)


def test_twilios_own_client_drives_the_simulated_carrier(carrier):
    simulator = carrier("--number", FROM, "--answer-after", "60000")
    client = Client(ACCOUNT, AUTH_TOKEN, http_client=Here(simulator.url))
    twiml = "<Response><Say>Hello.</Say><Pause length='10'/></Response>"
    call = client.calls.create(to=TO, from_=FROM, twiml=twiml)
    assert re.fullmatch("CA[0-9a-f]{32}", call.sid) and call.status == "queued" and call.direction == "outbound-api"
    assert call.date_created.tzinfo and call.price is None
    assert client.calls(call.sid).fetch().to == TO
    others = [client.calls.create(to="+15550200002", from_=FROM, twiml=twiml).sid for _ in range(3)]
    assert [found.sid for found in client.calls.list(to=TO)] == [call.sid]
    assert [found.sid for found in client.calls.list(page_size=2)] == [*reversed(others), call.sid]
    with pytest.raises(TwilioRestException) as early:
        client.calls(call.sid).update(twiml=twiml)
    assert (early.value.code, early.value.status) == (21220, 400)
    client.calls(call.sid).update(status="completed")
    end = time.monotonic() + 10
    while client.calls(call.sid).fetch().status != "completed":
        assert time.monotonic() < end
        time.sleep(0.05)
    client.calls(others[0]).update(status="canceled")
    while client.calls(others[0]).fetch().status != "canceled":
        assert time.monotonic() < end
        time.sleep(0.05)
    for order, code in [
        ({"to": "12", "from_": FROM}, 21211), ({"to": TO, "from_": "+15550999999"}, 21210), ({"to": TO, "from_": "x"}, 21212),
    ]:
        with pytest.raises(TwilioRestException) as refused:
            client.calls.create(twiml=twiml, **order)
        assert refused.value.code == code
    with pytest.raises(TwilioRestException) as missing:
        client.calls("CA" + "0" * 32).fetch()
    assert missing.value.status == 404 and missing.value.code == 20404
    with pytest.raises(TwilioRestException) as stranger:
        Client(ACCOUNT, "another", http_client=Here(simulator.url)).calls(call.sid).fetch()
    assert stranger.value.status == 401 and stranger.value.code == 20003


def test_redirected_calls_obey_the_new_instructions(carrier):
    simulator = carrier()
    client = Client(ACCOUNT, AUTH_TOKEN, http_client=Here(simulator.url))
    call = client.calls.create(to=TO, from_=FROM, twiml="<Response><Pause length='10'/></Response>")
    end = time.monotonic() + 10
    while client.calls(call.sid).fetch().status != "in-progress":
        assert time.monotonic() < end
        time.sleep(0.05)
    client.calls(call.sid).update(twiml="<Response><Say>Something else.</Say><Hangup/></Response>")
    while client.calls(call.sid).fetch().status != "completed":
        assert time.monotonic() < end
        time.sleep(0.05)
    done = client.calls(call.sid).fetch()
    assert any(line.endswith("hears: Something else.\n") for line in simulator.lines)
    assert done.duration is not None and done.end_time >= done.start_time
