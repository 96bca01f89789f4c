"""The clinic's line, from webhook to transcript: six tools, a backend of its own, and everything in German."""

import asyncio
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest
from backends import KEY
from conftest import AUTH_TOKEN, Process
from deployments import deployed, report, said
from frontdesk import TOKEN, front_desk, next_monday
from phone import CALLER, SILENCE, call, connect, start_message, webhook
from spoken import speak, stretches
from twilio.request_validator import RequestValidator

NUMBER = "+4930901820"
SID = "CA" + "c" * 32
VOICE, STATUS, CONVERSATIONS = "/api/twilio/voice", "/api/twilio/status", "/api/twilio/conversations"
GREETING = "Guten Tag, hier ist der Assistent der Praxis."
QUESTION = "ich brauche einen Termin zur Kontrolle"
NOBODY = {"active": 0, "conversations": []}
PATIENT = {"name": "Erika Test", "born": "1980-05-31", "phone": "+4930123456"}


@contextmanager
def agent(**tools):
    """The vendor, whose agent calls these tools after the caller's first turn."""
    options = [f"--tool={name}={json.dumps(arguments)}" for name, arguments in tools.items()]
    simulator = Process([
        "simulate", "elevenlabs", "--port", "0", "--format", "ulaw_8000", "--api-key", KEY, "--private",
        "--agent-id", "agent_clinic", "--language", "de", "--require-variable", "caller_number",
        "--require-variable", "call_sid", "--greeting", GREETING, "--reply", "Sehr gern.", "--transcript", QUESTION, *options])
    try:
        yield simulator
    finally:
        simulator.stop()


@contextmanager
def clinic(vendor, backend, **more):
    environment = {
        "ELEVENLABS_API_KEY": KEY, "ELEVENLABS_AGENT_ID": "agent_clinic",
        "ELEVENLABS_BASE_URL": f"http://127.0.0.1:{vendor}", "BACKEND_URL": backend,
        "BACKEND_AUTHORIZATION": f"Bearer {TOKEN}", "PATCHBAY_ADMIN_TOKEN": "clinic-token", **more}
    with deployed("clinic", environment) as server:
        yield server
        log = "".join(server.lines)
        assert TOKEN not in log and PATIENT["name"] not in log, "neither secrets nor patients are anything for a log"


def conversations(server):
    return json.loads(server.get(CONVERSATIONS))


def converse(server, packets, **more):
    playout = []
    asyncio.run(call(server, NUMBER, packets, sid=SID, playout=playout, path=VOICE, **more))
    return playout, report(server, SID)


def question(after=250, before=220):
    return [SILENCE] * before + speak("I need an appointment for a check, please.") + [SILENCE] * after


def test_the_agent_uses_every_tool_of_the_clinic(tmp_path):
    monday = next_monday().isoformat()
    with front_desk(tmp_path) as desk:
        status, saved = desk.ask("POST", "/api/patients", PATIENT)
        assert status == 201
        tools = {
            "patient_lookup": {"name": PATIENT["name"], "born": PATIENT["born"]},
            "patient_create_or_update": {**PATIENT, "insurance": "Testkasse"},
            "get_available_slots": {"date": monday, "kind": "kontrolle"},
            "book_appointment": {"patientId": saved["patient"]["id"], "kind": "kontrolle", "start": f"{monday}T09:00"},
            "add_to_urgent_queue": {"name": PATIENT["name"], "phone": PATIENT["phone"], "reason": "Fieber seit gestern"},
            "register_emergency_transfer": {"name": PATIENT["name"], "reason": "Atemnot"},
        }
        with agent(**tools) as vendor, clinic(vendor.port, desk.url) as server:
            assert json.loads(server.get("/health")) == {"status": "ok"}
            assert conversations(server) == NOBODY
            twiml = webhook(server, NUMBER, SID, VOICE)
            assert re.search(r'<Stream url="ws://[^"]+/api/twilio/stream"', twiml)
            assert re.search(r'<Connect action="http://[^"]+/api/twilio/next\?', twiml)

            running = []
            playout, record = converse(server, question(), at={150: lambda: running.append(conversations(server))})
            webhook(server, NUMBER, SID, STATUS, CallStatus="completed", CallDuration="12")
            assert conversations(server) == NOBODY
            transcript = json.loads(server.get(f"/calls/{record['id']}/transcript"))

        events = json.dumps(record["events"], indent=1, ensure_ascii=False)
        assert len(stretches(playout)) >= 2, events
        [running] = running
        [entry] = running["conversations"]
        assert running["active"] == 1
        assert set(entry) == {"conversation_id", "call_sid", "from", "to", "status", "started_at"}
        assert (entry["call_sid"], entry["from"], entry["to"]) == (SID, CALLER, NUMBER)
        assert entry["conversation_id"] and entry["status"] == "streaming"

        assert record["pipeline"] == "clinic" and record["backend"] == "elevenlabs" and record["state"] == "ended"
        assert sorted(text.split()[0] for text in said(record, "tool called")) == sorted(tools)
        answers = {text.split()[0]: text for text in said(record, "tool answered")}
        for name, words in [
            ("patient_lookup", '"found":true'), ("patient_create_or_update", "Testkasse"),
            ("get_available_slots", f"{monday}T08:00"), ("book_appointment", f"{monday}T09:00"),
            ("add_to_urgent_queue", '"level":"urgent"'), ("register_emergency_transfer", '"level":"emergency"'),
        ]:
            assert words in answers[name], answers[name]

        # What the agent did is in the clinic's own database.
        assert desk.rows("SELECT name, insurance FROM patients") == [(PATIENT["name"], "Testkasse")]
        assert desk.rows("SELECT customer_name, status FROM appointments") == [(PATIENT["name"], "booked")]
        assert desk.rows("SELECT level, phone, reason, call_sid FROM queue ORDER BY level") == [
            ("emergency", CALLER, "Atemnot", SID), ("urgent", PATIENT["phone"], "Fieber seit gestern", SID)]

        # And what was said is in Patchbay's.
        assert transcript["callId"] == record["id"]
        assert sorted(tool["name"] for tool in transcript["toolCalls"]) == sorted(tools)
        assert not any(tool["error"] for tool in transcript["toolCalls"])
        turns = transcript["turns"]
        assert turns[0]["speaker"] == "agent" and turns[0]["text"] == GREETING and turns[0]["heard"] == GREETING
        assert any(turn["speaker"] == "caller" and turn["text"] == QUESTION for turn in turns)

        log = "".join(server.lines)
        for line in [
            f"incoming call.*callSid={SID}.*from=\\{CALLER}.*to=\\{NUMBER}", f"stream connected.*callSid={SID}",
            f"agent conversation started.*callSid={SID}.*conversation={entry['conversation_id']}",
            f"connected to agent.*callSid={SID}", f"call ended.*callSid={SID}",
        ]:
            # The order of what stands behind the words is the log's own.
            head, *fields = line.split(".*")
            assert any(head in said_ and all(re.search(field, said_) for field in fields) for said_ in server.lines), (line, log)


def test_the_status_webhook_ends_the_call_and_its_conversation(tmp_path):
    with agent() as vendor, clinic(vendor.port, "http://127.0.0.1:9") as server:
        async def begin():
            twiml = webhook(server, NUMBER, SID, VOICE)
            url = re.search(r'<Stream url="([^"]+)"', twiml).group(1)
            parameters = dict(re.findall(r'<Parameter name="([^"]+)" value="([^"]+)"', twiml))
            async with connect(url, compression=None) as socket:
                await socket.send(start_message(SID, parameters))
                await socket.recv()
                assert conversations(server)["active"] == 1
                await asyncio.to_thread(webhook, server, NUMBER, SID, STATUS, CallStatus="completed")
                async with asyncio.timeout(10):
                    async for _ in socket:
                        pass

        asyncio.run(begin())
        assert conversations(server) == NOBODY
        record = report(server, SID)
        assert record["state"] == "ended" and record["endedAt"]
        assert any("call ended" in line for line in server.lines)


def test_when_the_vendor_is_down_the_caller_hears_so_in_german():
    with clinic(9, "http://127.0.0.1:9") as server:
        playout, record = converse(server, [SILENCE] * 300)
        assert stretches(playout), "the words of the second agent"
        assert record["backend"] == "script"
        assert any("nicht erreichbar" in text and "112" in text for text in said(record, "agent said"))


@pytest.mark.parametrize("more, reason", [
    ({"BACKEND_URL": "http://127.0.0.1:9"}, "reach"), ({"BACKEND_AUTHORIZATION": "Bearer wrong"}, "401")])
def test_a_backend_that_fails_is_told_to_the_agent_and_the_call_goes_on(tmp_path, more, reason):
    with front_desk(tmp_path) as desk, agent(patient_lookup={"phone": "+4930123456"}) as vendor:
        environment = {"BACKEND_URL": desk.url, **more}
        with clinic(vendor.port, environment.pop("BACKEND_URL"), **environment) as server:
            playout, record = converse(server, question(after=300))
            [answer] = said(record, "tool answered")
            assert reason in answer, answer
            assert record["state"] == "ended" and len(stretches(playout)) >= 2, "the agent says that it did not work"
            assert any("outcome=error" in line for line in server.lines if "tool answered" in line)


def post(server, path, form, headers):
    request = urllib.request.Request(server.url + path, urllib.parse.urlencode(form).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read().decode()


def test_behind_nginx_the_address_that_twilio_signed_counts():
    form = {"CallSid": SID, "From": CALLER, "To": NUMBER, "CallStatus": "ringing"}
    address = "https://telefon.example.org" + VOICE
    signature = RequestValidator(AUTH_TOKEN).compute_signature(address, form)
    proxied = {
        "Host": "telefon.example.org", "X-Real-IP": "203.0.113.9", "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https", "X-Twilio-Signature": signature}
    with agent() as vendor, clinic(vendor.port, "http://127.0.0.1:9") as server:
        assert 'url="wss://telefon.example.org/api/twilio/stream"' in post(server, VOICE, form, proxied)
        for path, headers, status in [
            (VOICE, {**proxied, "X-Twilio-Signature": "wrong"}, 403), (VOICE, {}, 403), (STATUS, {}, 403)]:
            with pytest.raises(urllib.error.HTTPError) as refused:
                post(server, path, form, headers)
            assert refused.value.code == status
        for headers, status in [
            ({"X-Forwarded-For": "203.0.113.9"}, 401),
            ({"X-Forwarded-For": "203.0.113.9", "Authorization": "Bearer clinic-token"}, 200)]:
            request = urllib.request.Request(server.url + CONVERSATIONS, headers=headers)
            try:
                assert urllib.request.urlopen(request, timeout=10).status == status
            except urllib.error.HTTPError as error:
                assert error.code == status
