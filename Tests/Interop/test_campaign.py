"""The campaign, from the order to the stored transcript: an application, the carrier and the agent's vendor play along."""

import hashlib
import hmac
import json
import shutil
import sqlite3
import time
import urllib.error
import urllib.request

import jwt
import pytest
from backends import KEY
from conftest import AUTH_TOKEN, Process
from deployments import deployed
from phone import webhook, words
from spoken import espeak

ACCOUNT = "AC" + "6" * 32
SECRET = "a-secret-of-more-than-thirty-two-bytes"
WEBHOOK_SECRET = "wsec_of_the_campaign"
OURS, CUSTOMER = "+15550100009", "+15550200001"


@pytest.fixture(scope="module")
def vendor():
    simulator = Process([
        "simulate", "elevenlabs", "--port", "0", "--format", "ulaw_8000", "--api-key", KEY, "--private", "--greeting",
        "Hello, this is the {{campaign}} desk.", "--reply", "Monday is fine.", "--goodbye", "Goodbye.",
        "--transcript", "on monday please"])
    yield simulator
    simulator.stop()


@pytest.fixture
def folder(tmp_path):
    """The shipped folder; people may be called all day, because tests run at any hour."""
    copy = tmp_path / "outbound"
    shutil.copytree("Pipelines/outbound", copy)
    settings = json.loads((copy / "server.json").read_text())
    assert set(settings["outbound"]["hours"]) > {"timeZone", "monday"}
    del settings["outbound"]["hours"]
    (copy / "server.json").write_text(json.dumps(settings))
    return copy


@pytest.fixture
def carrier(tmp_path):
    answer = tmp_path / "answer.wav"
    espeak("On Monday, please.", answer)
    simulator = Process([
        "simulate", "twilio", "--port", "0", "--account-sid", ACCOUNT, "--ring-after", "20", "--answer-after", "50",
        "--machine-after", "100", "--audio", str(answer), "--audio", str(answer)])
    yield simulator
    simulator.stop()


def environment(tmp_path, vendor_port, carrier=None, **more):
    twilio = {
        "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_BASE_URL": carrier.url, "TWILIO_PHONE_NUMBER": OURS} if carrier else {
        "TWILIO_AUTH_TOKEN": ""}
    return {
        **twilio, "ELEVENLABS_API_KEY": KEY, "ELEVENLABS_AGENT_ID": "agent_1",
        "ELEVENLABS_BASE_URL": f"http://127.0.0.1:{vendor_port}", "ELEVENLABS_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "JWT_SECRET": SECRET, "PATCHBAY_STORE": str(tmp_path / "data"), **more}


def token(**claims):
    return jwt.encode({"sub": "crm", "exp": int(time.time()) + 60, **claims}, SECRET, algorithm="HS256")


def ask(server, path, body=None, token=None, headers=None):
    """Gives the status and the answer, also of refusals."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(
        server.url + path, data, {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read().decode() or "null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read().decode() or "null")


def until(server, session, condition, seconds=40):
    end = time.monotonic() + seconds
    while True:
        current = ask(server, f"/sessions/{session}")[1]
        if condition(current):
            return current
        assert time.monotonic() < end, current
        time.sleep(0.05)


ORDER = {"customer_id": "C-17", "phone": CUSTOMER, "agent_type": "appointment"}


def test_an_order_becomes_a_call_and_a_transcript(tmp_path, folder, vendor, carrier):
    with deployed("outbound", environment(tmp_path, vendor.port, carrier), folder=folder) as server:
        assert ask(server, "/api/calls/initiate", ORDER)[0] == 401
        assert ask(server, "/api/calls/initiate", ORDER, token=token(exp=int(time.time()) - 600))[0] == 401
        status, answer = ask(server, "/api/calls/initiate", ORDER, token=token())
        assert status == 201 and not answer["simulated"], answer
        assert set(answer) == {"session_id", "call_id", "call_sid", "status", "simulated", "message"}

        done = until(server, answer["session_id"], lambda s: s["status"] in ("completed", "failed"))
        assert done["status"] == "completed", done
        call = ask(server, f"/calls/{done['callId']}")[1]
        assert (call["direction"], call["to"], call["from"]) == ("outbound", CUSTOMER, OURS)
        said = [entry["detail"] for entry in call["events"] if entry["event"] == "agent said"]
        assert any("this is the appointment desk" in text for text in said), call["events"]
        assert any(entry["event"] == "caller said" and "monday" in entry["detail"] for entry in call["events"])

        # The vendor's own webhook brings the transcript and what was found out.
        report = json.dumps({
            "type": "post_call_transcription", "event_timestamp": int(time.time()), "data": {
                "agent_id": "agent_1", "conversation_id": call["conversationId"], "status": "done",
                "transcript": [
                    {"role": "agent", "message": "Hello, this is the appointment desk.", "time_in_call_secs": 0},
                    {"role": "user", "message": "On Monday, please.", "time_in_call_secs": 3}],
                "metadata": {"call_duration_secs": 9},
                "analysis": {
                    "call_successful": "success", "transcript_summary": "The customer wants Monday.",
                    "data_collection_results": {"day": {"value": "monday"}, "intent": {"value": "move"}}}}}).encode()
        stamp = int(time.time())
        seal = hmac.new(WEBHOOK_SECRET.encode(), f"{stamp}.".encode() + report, hashlib.sha256).hexdigest()
        signed = {"ElevenLabs-Signature": f"t={stamp},v0={seal}", "Content-Type": "application/json"}
        assert ask(server, "/voice/post_call", report)[0] == 403
        status, first = ask(server, "/voice/post_call", report, headers=signed)
        assert status == 200 and first["success"], first
        assert ask(server, "/voice/post_call", report, headers=signed)[1]["data"]["duplicate"]
        kept = ask(server, f"/sessions/{answer['session_id']}")[1]
        assert "On Monday, please." in json.dumps(kept["transcript"]), kept
        assert "monday" in json.dumps(kept["extractedData"])
    # As the team asks its database.
    with sqlite3.connect(tmp_path / "data" / "patchbay.sqlite") as database:
        [row] = database.execute(
            "SELECT id, status, agent_name, customer_phone, created_at, extracted_intent, conversation_id FROM voice_sessions")
        assert row[:4] == (answer["session_id"], "completed", "appointment", CUSTOMER)
        assert row[4] and row[6] == call["conversationId"]
        [row] = database.execute("SELECT id, direction, status, conversation_id, created_at FROM calls")
        assert row[:4] == (call["id"], "outbound", "ended", call["conversationId"])


def test_without_an_account_at_the_carrier_nobody_is_called(tmp_path, folder, vendor):
    with deployed("outbound", environment(tmp_path, vendor.port), folder=folder) as server:
        status, answer = ask(server, "/api/calls/initiate", ORDER, token=token())
        assert status == 201 and answer["simulated"] and answer["status"] == "simulated" and answer["call_id"] is None
        assert "TWILIO" in answer["message"]
        assert ask(server, f"/sessions/{answer['session_id']}")[1]["customerPhone"] == CUSTOMER


@pytest.mark.parametrize("change, status, part", [
    ({"phone": "0555 200001"}, 422, "E.164"),
    ({"agent_type": "sales"}, 422, "appointment"),
    ({"phone": None}, 400, "phone"),
])
def test_what_makes_no_sense_is_refused_in_words(tmp_path, folder, vendor, carrier, change, status, part):
    with deployed("outbound", environment(tmp_path, vendor.port, carrier), folder=folder) as server:
        order = {key: value for key, value in {**ORDER, **change}.items() if value is not None}
        answer = ask(server, "/api/calls/initiate", order, token=token())
        assert answer[0] == status and part in answer[1]["error"]["message"], answer


def test_the_paths_of_the_console(tmp_path, folder, vendor, carrier):
    number = {"ELEVENLABS_PHONE_NUMBER": "+15550300001"}
    with deployed("outbound", environment(tmp_path, vendor.port, carrier, **number), folder=folder) as server:
        assert ask(server, "/healthz") == (200, {"status": "ok"})
        assert ask(server, "/api/twilio/health") == (200, {
            "status": "ok", "elevenlabs_number_configured": True, "elevenlabs_number": "+15550300001"})
        said = webhook(server, OURS, "CA" + "9" * 32, "/api/twilio/test")
        assert words(said) and "<Hangup" in said
        assert words(webhook(server, OURS, "CA" + "9" * 32, "/api/twilio/error", ErrorCode="11200"))


def test_hours_of_the_shipped_folder_are_kept(tmp_path, vendor, carrier):
    """Whatever the hour is: an order is either taken or refused with the hours in words."""
    with deployed("outbound", environment(tmp_path, vendor.port, carrier)) as server:
        status, answer = ask(server, "/api/calls/initiate", ORDER, token=token())
        if status == 201:
            assert answer["status"] == "dialing"
        else:
            assert status == 403 and "Europe/Berlin" in answer["error"]["message"], answer
