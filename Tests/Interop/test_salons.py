"""Salons on one server, from webhook to transcript: a number a salon, tools that are functions, signed webhooks."""

import asyncio
import hashlib
import hmac
import html
import json
import re
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from backends import KEY
from conftest import AUTH_TOKEN, Process
from deployments import fill, report, said
from frontdesk import TOKEN, front_desk, next_monday
from phone import CALLER, SILENCE, call, webhook, words
from spoken import speak, stretches

NORTH, SOUTH, WEST = "+15550100012", "+15550100013", "+15550100014"
VOICE, PLAIN, STATUS = (f"/api/webhooks/twilio/{name}" for name in ("elevenlabs", "voice", "status"))
INITIATION = "/api/webhooks/elevenlabs/conversation-initiation"
REPORT = "/api/ai/webhook/elevenlabs"
SERVICES, APPOINTMENTS = "/api/webhooks/elevenlabs/services", "/api/webhooks/elevenlabs/appointments"
WEBHOOK_SECRET, TOOL_SECRET, ADMIN = "wsec-of-the-salons", "secret-of-the-tools", "salons-admin"
PROOF = {"X-Tool-Secret": TOOL_SECRET}
HOURS = "We're open Monday through Friday from 09:00 to 17:00."


def sid(letter):
    return "CA" + letter * 32


@contextmanager
def vendor(*options, **tools):
    """The vendor; each agent greets with what it was told."""
    tools = [f"--tool={name}={json.dumps(arguments)}" for name, arguments in tools.items()]
    simulator = Process([
        "simulate", "elevenlabs", "--port", "0", "--format", "ulaw_8000", "--api-key", KEY, "--private", "--agent-id", "agent_north",
        "--agent-id", "agent_default", "--reply", "Any time.", "--transcript",
        "when can I come", *(f"--require-variable={name}" for name in (
            "tenant_id", "tenant_name", "business_name", "caller_number", "call_sid", "conversation_id", "business_hours")),
        *options, *tools])
    try:
        yield simulator
    finally:
        simulator.stop()


@contextmanager
def salons(data, vendor_port, folder="Pipelines/salons", **more):
    """`frontdesk serve`: the salons' own service, with Patchbay in it."""
    values = {
        "PUBLIC_URL": "", "TWILIO_AUTH_TOKEN": AUTH_TOKEN, "ELEVENLABS_API_KEY": KEY, "ELEVENLABS_AGENT_ID": "agent_default",
        "ELEVENLABS_BASE_URL": f"http://127.0.0.1:{vendor_port}", "ELEVENLABS_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "TOOL_SECRET": TOOL_SECRET, "BACKEND_TOKEN": TOKEN, "PATCHBAY_ADMIN_TOKEN": ADMIN, **more}
    file = Path(data) / "salons.env"
    fill("salons", values, file)
    with front_desk(data, "serve", str(folder), "--env-file", str(file)) as desk:
        yield desk
        log = "".join(desk.process.lines)
        for secret in (KEY, WEBHOOK_SECRET, TOOL_SECRET, TOKEN, ADMIN, AUTH_TOKEN):
            assert secret not in log


def converse(desk, number, letter, packets, **more):
    playout = []
    asyncio.run(call(desk.process, number, packets, sid=sid(letter), playout=playout, path=VOICE, **more))
    webhook(desk.process, number, sid(letter), STATUS, CallStatus="completed")
    return playout, report(desk.process, sid(letter))


def question():
    return [SILENCE] * 230 + speak("When can I come next week?") + [SILENCE] * 250


def test_the_number_says_whose_call_it_is_and_the_agent_books_there(tmp_path):
    start = f"{next_monday().isoformat()}T10:00"
    booking = {"employeeId": "kim", "serviceId": "haircut", "customerName": "Ada Test", "startTime": start}
    tools = {
        "list_services": {}, "get_business_hours": {}, "get_tenant_info": {}, "get_service_details": {"serviceId": "colour"},
        "get_availability": {"date": start[:10], "serviceId": "haircut"}, "create_appointment": booking, "find_appointment": {}}
    with vendor(**tools) as agent, salons(tmp_path, agent.port) as desk:
        server = desk.process
        assert json.loads(server.get("/health")) == {"status": "ok"}
        twiml = webhook(server, NORTH, sid("a"), VOICE)
        assert re.search(r'<Stream url="ws://[^"]+/media-stream"', twiml)
        parameters = dict(re.findall(r'<Parameter name="([^"]+)" value="([^"]+)"', twiml))
        assert {name: parameters[name] for name in ("agent_id", "tenant_id", "call_sid", "business_name")} == {
            "agent_id": "agent_north", "tenant_id": "salon-north", "call_sid": sid("a"), "business_name": "Test Salon North"}

        playout, record = converse(desk, NORTH, "a", question())
        events = json.dumps(record["events"], indent=1)
        assert len(stretches(playout)) >= 2, events
        assert record["pipeline"] == "salons" and record["tenant"] == "salon-north" and record["state"] == "ended"
        # The first message of the tenant went over the agent's own.
        assert said(record, "agent said")[0] == "Hello! Welcome to Test Salon North."
        answers = {text.split()[0]: text for text in said(record, "tool answered")}
        for name, part in [
            ("list_services", "Colour"), ("get_business_hours", '"close":"17:00","open":"09:00"'), ("get_tenant_info", "Europe/London"),
            ("get_service_details", '"price":"74.00"'), ("get_availability", start[:10]), ("create_appointment", start),
            ("find_appointment", "appointments"),
        ]:
            assert part in answers[name], answers[name]
        assert desk.rows("SELECT business, customer_name, customer_phone FROM appointments") == [
            ("salon-north", "Ada Test", CALLER)]

        transcript = json.loads(server.get(f"/calls/{record['id']}/transcript"))
        assert {tool["name"] for tool in transcript["toolCalls"]} == set(tools)
        for line in ("incoming call", "stream connected", "agent conversation started", "connected to agent", "call ended"):
            assert any(line in said_ and sid("a") in said_ for said_ in server.lines), line


def test_each_salon_has_its_own_words_agent_and_diary(tmp_path):
    with vendor(get_services={}) as agent, salons(tmp_path, agent.port) as desk:
        heard = {}
        for number, letter in ((NORTH, "1"), (SOUTH, "2")):
            _, record = converse(desk, number, letter, question())
            heard[number] = record
        north, south = heard[NORTH], heard[SOUTH]
        assert said(south, "agent said")[0] == "Good day! This is Test Salon South."
        assert "Colour" in said(north, "tool answered")[0] and "Manicure" not in said(north, "tool answered")[0]
        assert "Manicure" in said(south, "tool answered")[0] and "Colour" not in said(south, "tool answered")[0]
        twiml = webhook(desk.process, SOUTH, sid("3"), VOICE)
        assert 'name="agent_id" value="agent_default"' in twiml, "a salon without an agent of its own has the default"


def copy(folder, **changes):
    """The deployment's folder, where functions change what stands in some of its files."""
    folder.mkdir()
    for file in Path("Pipelines/salons").glob("*.json"):
        document = json.loads(file.read_text())
        changes.get(file.stem, lambda _: None)(document)
        (folder / file.name).write_text(json.dumps(document))
    return folder


def test_the_agent_is_told_who_calls_whom(tmp_path):
    names = ("tenant_id", "tenant_name", "business_name", "caller_number", "call_sid", "conversation_id", "business_hours")

    def greet(tenants):
        tenants["tenants"][0]["greeting"] = "; ".join(f"{{{{{name}}}}}" for name in names)

    with vendor() as agent, salons(tmp_path, agent.port, copy(tmp_path / "salons", tenants=greet)) as desk:
        _, record = converse(desk, NORTH, "4", [SILENCE] * 200)
        assert said(record, "agent said")[0].split("; ") == [
            "salon-north", "Test Salon North", "Test Salon North", CALLER, sid("4"), sid("4"), HOURS]


def test_what_the_caller_hears_when_something_is_wrong(tmp_path):
    def nobody(tenants):
        tenants["tenants"][1]["agentId"] = ""

    with vendor() as agent, salons(tmp_path, agent.port, copy(tmp_path / "salons", tenants=nobody)) as desk:
        server = desk.process
        assert words(webhook(server, "+15550100099", sid("5"), VOICE)) == ["This number is not in service."]
        assert words(webhook(server, SOUTH, sid("6"), VOICE)) == ["Our AI assistant is not properly configured."]
        # A salon without an agent, at either path; and one with an agent, at the path for calls without.
        west = "Thank you for calling Test Salon West. We're open Monday and Tuesday from 11:00 to 19:00. Nobody at Test Salon West"
        north = f"Hello! Welcome to Test Salon North. {HOURS} Nobody at Test Salon North"
        for letter, path, number, words_of in (("7", VOICE, WEST, west), ("8", PLAIN, WEST, west), ("9", PLAIN, NORTH, north)):
            answer = webhook(server, number, sid(letter), path)
            assert words(answer) == [f"{words_of} can take your call just now. Please call again."]
            assert "<Hangup />" in answer and "<Stream" not in answer
            assert report(server, sid(letter))["endReason"].startswith("answeredByRule")
        assert words(webhook(server, "+15550100099", sid("e"), PLAIN)) == ["This number is not in service."]
        metrics = server.get("/metrics")
        assert 'patchbay_calls_total{direction="inbound",outcome="answeredByRule"} 3' in metrics
        assert "patchbay_loop_lag_seconds" in metrics


def test_a_vendor_that_is_down_is_told_in_words(tmp_path):
    with salons(tmp_path, 9) as desk:
        spoken = []
        asyncio.run(call(desk.process, NORTH, [SILENCE] * 300, sid=sid("b"), said=spoken, path=VOICE))
        assert spoken == ["We encountered an error. Please try again later."]
        assert report(desk.process, sid("b"))["state"] == "failed"


@pytest.mark.parametrize("change", [
    # The one moment at which the server knows it beforehand: an agent that cannot be set up, whoever has the number.
    lambda salons: salons.update(stages=[{"type": "openai-realtime"}]),
    lambda salons: salons.update(tools=[
        {"name": "get_services", "description": "x", "method": "GET", "url": "http://127.0.0.1:9/services"}]),
], ids=["no key of its account", "a tool that the service has too"])
def test_an_agent_that_cannot_be_set_up_is_told_in_words(tmp_path, change):
    with vendor() as agent, salons(
        tmp_path, agent.port, copy(tmp_path / "salons", salons=change), OPENAI_API_KEY="") as desk:
        for number, letter in ((NORTH, "1"), (SOUTH, "2")):
            spoken = []
            heard, _ = asyncio.run(call(desk.process, number, [], sid=sid(letter), said=spoken, path=VOICE))
            assert spoken == ["Our AI assistant is temporarily unavailable."] and not heard
        # Nothing stays behind of such calls, and a salon without an agent is not concerned.
        assert json.loads(desk.process.get("/calls"))["active"] == 0
        assert words(webhook(desk.process, WEST, sid("3"), VOICE))[0].startswith("Thank you for calling")


PERSON = "+15550100077"


def test_callers_of_a_salon_without_an_agent_are_connected_with_a_person(tmp_path):
    def answer(reception):
        del reception["when"]
        reception["transport"] = {"type": "twilio", "say": "Thank you for calling ${businessName}."}

    def lines(reception):
        # It waits for somebody to take the call.
        answer(reception)
        reception["stages"] = [{"type": "script", "say": "", "silenceSeconds": 60}]

    def by_itself(reception):
        # Nobody is there to speak: the salon's own telephone rings.
        answer(reception)
        reception["stages"] = [{
            "type": "agent", "backends": [{"type": "websocket", "url": "ws://127.0.0.1:9/"}], "transferTo": "${reception}"}]
        reception["variables"]["reception"] = PERSON

    def take(desk, letter):
        status, answer = desk.ask(
            "POST", f"/calls/{sid(letter)}/transfer", {"to": PERSON}, {"Authorization": f"Bearer {ADMIN}"})
        assert status == 200, answer

    for letter, change in (("1", lines), ("2", by_itself)):
        with salons(tmp_path, 9, copy(tmp_path / f"salons{letter}", reception=change)) as desk:
            spoken, steps = [], []
            asyncio.run(call(
                desk.process, WEST, [SILENCE] * 400, sid=sid(letter), said=spoken, steps=steps, path=VOICE,
                at={25: lambda: take(desk, letter)} if change is lines else None))
            assert spoken[0].startswith("Thank you for calling Test Salon West.") and len(spoken) == 1, spoken
            [step] = steps
            assert re.search(rf"<Dial [^>]*>{re.escape(PERSON)}</Dial>", step), step
            action = html.unescape(re.search(r'action="([^"]+)"', step).group(1))
            ended = webhook(desk.process, WEST, sid(letter), url=action, DialCallStatus="completed")
            assert "<Hangup" in ended and not words(ended)
            record = report(desk.process, sid(letter))
            assert record["endReason"] == f"transferred: {PERSON}" and record["tenant"] == "salon-west"


def test_a_salons_own_token_sees_its_calls_only(tmp_path):
    tokens = {"access": {"tokens": [
        {"name": f"{name}-desk", "token": {"env": f"{name.upper()}_DESK"}, "tenant": f"salon-{name}", "rights": ["read", "calls"]}
        for name in ("north", "south")]}}
    own = {"north": "token-of-the-north-desk", "south": "token-of-the-south-desk"}
    with vendor(get_services={}) as agent, salons(
        tmp_path, agent.port, copy(tmp_path / "salons", server=lambda settings: settings.update(tokens)),
        **{f"{name.upper()}_DESK": token for name, token in own.items()},
    ) as desk:
        def ask(name, path, method="GET"):
            return desk.ask(method, path, headers={"Authorization": f"Bearer {own[name]}"})

        records = {}
        for name, number, letter in (("north", NORTH, "1"), ("south", SOUTH, "2")):
            _, records[name] = converse(desk, number, letter, question())
        for name, other in (("north", "south"), ("south", "north")):
            mine, theirs = records[name], records[other]
            assert {entry["id"] for entry in ask(name, "/calls")[1]["calls"]} == {mine["id"]}
            assert ask(name, f"/calls?tenant=salon-{other}")[1]["calls"] == []
            status, transcript = ask(name, f"/calls/{mine['id']}/transcript")
            assert status == 200 and transcript["turns"] and transcript["toolCalls"][0]["name"] == "get_services"
            for path in ("", "/transcript", "/events"):
                for called in (theirs["id"], theirs["callSid"]):
                    assert ask(name, f"/calls/{called}{path}")[0] == 404, path
            assert ask(name, f"/calls/{theirs['id']}/hangup", "POST")[0] == 404
            events = urllib.request.Request(
                desk.url + f"/calls/{mine['id']}/events", headers={"Authorization": f"Bearer {own[name]}"})
            with urllib.request.urlopen(events, timeout=10) as answer:
                told = [json.loads(line[6:]) for line in answer.read().decode().splitlines() if line.startswith("data: ")]
            assert told[-1]["event"] == "call ended" and {event["callId"] for event in told} == {mine["id"]}

        # What happens to all, as it happens: a desk is told of its own salon's calls.
        feed = urllib.request.Request(desk.url + "/events", headers={"Authorization": f"Bearer {own['north']}"})
        with urllib.request.urlopen(feed, timeout=20) as answer:
            for number, letter in ((SOUTH, "3"), (NORTH, "4")):
                webhook(desk.process, number, sid(letter), VOICE)
                webhook(desk.process, number, sid(letter), STATUS, CallStatus="completed")
            told = []
            while not told or told[-1]["event"] != "call ended":
                line = answer.readline().decode()
                if line.startswith("data: "):
                    told.append(json.loads(line[6:]))
        assert {event["callId"] for event in told} == {report(desk.process, sid("4"))["id"]}


def test_the_service_reads_its_pipelines_again_at_sighup(tmp_path):
    folder = copy(tmp_path / "salons")
    with salons(tmp_path, 9, folder) as desk:
        def greeting(letter):
            return words(webhook(desk.process, WEST, sid(letter), VOICE))[0]

        def change(text):
            tenants = json.loads((folder / "tenants.json").read_text())
            tenants["tenants"][2]["greeting"] = text
            (folder / "tenants.json").write_text(json.dumps(tenants))
            desk.process.process.send_signal(signal.SIGHUP)

        assert greeting("1").startswith("Thank you for calling")
        change("Welcome back.")
        calls = iter("23456789abcdef")
        wait("the new greeting", lambda: greeting(next(calls)).startswith("Welcome back."))
        # A mistake changes nothing, and is said.
        (folder / "salons.json").write_text("{")
        desk.process.process.send_signal(signal.SIGHUP)
        wait("the finding", lambda: any("salons.json" in line for line in desk.process.lines))
        assert greeting("0").startswith("Welcome back.")


def wait(what, condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def post(desk, path, body, headers=None, key=None):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return desk.ask("POST", path, data, {"Content-Type": "application/json", **(headers or {})})


def signed(body, secret=WEBHOOK_SECRET, now=None):
    data = json.dumps(body).encode()
    now = int(time.time() if now is None else now)
    code = hmac.new(secret.encode(), f"{now}.".encode() + data, hashlib.sha256).hexdigest()
    return data, {"ElevenLabs-Signature": f"t={now},v0={code}"}


def legacy(data, secret=WEBHOOK_SECRET):
    return {"X-ElevenLabs-Signature": hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()}


def test_the_conversation_is_initiated_with_the_tenants_values(tmp_path):
    with salons(tmp_path, 9) as desk:
        own = {"caller_id": CALLER, "agent_id": "agent_north", "called_number": NORTH, "call_sid": sid("c")}
        other = {
            "type": "conversation_initiation_client_data", "conversation_id": "conv_1", "agent_id": "agent_north",
            "dynamic_variables": {
                "tenant_id": "salon-north", "caller_number": CALLER, "call_sid": sid("c"), "business_name": "Test Salon North"}}
        for request in (own, other):
            status, answer = post(desk, INITIATION, request, PROOF)
            assert status == 200, answer
            variables = answer["dynamic_variables"]
            assert variables["tenant_id"] == "salon-north" and variables["tenant_name"] == "Test Salon North"
            assert variables["business_name"] == "Test Salon North" and variables["business_hours"] == HOURS
            assert variables["caller_number"] == CALLER and variables["call_sid"] == sid("c")
            assert answer["conversation_config_override"] == {
                "agent": {"first_message": "Hello! Welcome to Test Salon North.", "language": "en"}}
        for headers in ({}, {"X-Tool-Secret": "wrong"}):
            assert post(desk, INITIATION, own, headers)[0] in (401, 403)


def test_formats_are_named_where_the_deployment_wants_it(tmp_path):
    folder = copy(tmp_path / "salons", server=lambda settings: settings["elevenlabs"].update(legacyFormats=True))
    with salons(tmp_path, 9, folder) as desk:
        status, answer = post(desk, INITIATION, {"caller_id": CALLER, "agent_id": "a", "called_number": NORTH, "call_sid": "CA1"}, PROOF)
        assert status == 200
        override = answer["conversation_config_override"]
        assert override["agent"]["agent_output_audio_format"] == override["agent"]["user_input_audio_format"] == "ulaw_8000"
        assert override["tts"]["output_format"] == "ulaw_8000"


def test_webhooks_of_both_shapes_are_taken_once(tmp_path):
    with salons(tmp_path, 9) as desk:
        transcription = {
            "type": "post_call_transcription", "event_timestamp": int(time.time()),
            "data": {"agent_id": "agent_north", "conversation_id": "conv_7", "status": "done",
                     "transcript": [{"role": "agent", "message": "Hello", "time_in_call_secs": 0}]}}
        older = {"event": "conversation_started", "agentId": "agent_north", "sessionId": "s1", "data": {}}
        for body in (transcription, older, {**older, "event": "conversation_ended"}):
            data, headers = signed(body)
            for _ in range(2):
                status, answer = post(desk, REPORT, data, headers)
                assert status == 200 and answer["success"] is True and isinstance(answer["data"], dict), answer
            assert answer["data"].get("duplicate") is True
        status, answer = post(desk, REPORT, json.dumps(older).encode(), legacy(json.dumps(older).encode()))
        assert status == 200 and answer["success"] is True
        for data, headers in [
            (b"{}", {}), (b"{}", PROOF), (data, {"ElevenLabs-Signature": "t=1,v0=" + "0" * 64}),
            signed(older, secret="another"), signed(older, now=time.time() - 3600), (data + b" ", headers)]:
            status, answer = post(desk, REPORT, data, headers)
            assert status in (401, 403), (status, answer)


def test_a_tool_call_of_the_older_shape_runs_the_salons_own_tool(tmp_path):
    with salons(tmp_path, 9) as desk:
        event = {"event": "tool_call", "agentId": "agent_north", "sessionId": "s2",
                 "data": {"tool_name": "list_services", "parameters": {}}}
        data, headers = signed(event)
        status, answer = post(desk, REPORT, data, headers)
        assert status == 200 and answer["success"] is True, answer
        assert "Colour" in json.dumps(answer["data"]) and "Manicure" not in json.dumps(answer["data"])
        # The number that was called goes before what an agent says of it.
        event["data"]["parameters"] = {"called_number": SOUTH, "tenant_id": "salon-north"}
        data, headers = signed(event)
        status, answer = post(desk, REPORT, data, headers)
        assert status == 200 and "Manicure" in json.dumps(answer["data"]), answer


def test_the_plain_http_endpoints(tmp_path):
    start = f"{next_monday().isoformat()}T10:00"
    draft = {"employeeId": "robin", "serviceId": "haircut", "customerName": "Ada Test", "startTime": start}
    with salons(tmp_path, 9) as desk:
        query = "tenantId=salon-south"
        for headers in (PROOF, legacy(query.encode())):
            status, answer = desk.ask("GET", f"{SERVICES}?{query}", headers=headers)
            assert status == 200 and answer["success"] is True
            assert [service["name"] for service in answer["data"]["services"]] == ["Haircut", "Manicure"]
        assert desk.ask("GET", f"{SERVICES}?tenantId=salon-north", headers=legacy(query.encode()))[0] == 401
        for missing in draft:
            body = {name: value for name, value in draft.items() if name != missing}
            assert post(desk, f"{APPOINTMENTS}?tenantId=salon-south", body, PROOF) == (400, {
                "success": False, "error": "employeeId, serviceId, customerName, and startTime are required",
                "code": "VALIDATION_ERROR"})
        data, headers = signed({**draft, "tenantId": "salon-south"})
        status, answer = post(desk, APPOINTMENTS, data, headers)
        assert status == 201 and answer["data"]["start"] == start, answer
        assert post(desk, f"{APPOINTMENTS}?tenantId=salon-south", draft, PROOF)[1]["code"] == "SLOT_TAKEN"
        assert post(desk, f"{APPOINTMENTS}?tenantId=salon-north", draft, PROOF)[0] == 404, "robin works elsewhere"
        assert desk.rows("SELECT business, customer_name FROM appointments") == [("salon-south", "Ada Test")]


def test_calls_are_listed_by_tenant(tmp_path):
    with vendor() as agent, salons(tmp_path, agent.port) as desk:
        for number, letter in ((NORTH, "d"), (SOUTH, "e")):
            converse(desk, number, letter, [SILENCE] * 60)
        server = desk.process
        listed = json.loads(server.get("/calls"))["calls"]
        assert {entry["tenant"] for entry in listed} == {"salon-north", "salon-south"}
        only = json.loads(server.get("/calls?tenant=salon-north"))["calls"]
        assert [entry["callSid"] for entry in only] == [sid("d")]
        numbers = {entry["number"]: entry for entry in json.loads(server.get("/numbers"))["numbers"]}
        assert numbers[NORTH]["sid"].startswith("PN") and numbers[NORTH]["tenant"] == "salon-north"
