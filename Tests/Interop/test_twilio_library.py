"""Twilio's own Python library: it signs, our server verifies; it writes TwiML, ours is the same."""

import re
import urllib.error
import urllib.parse
import urllib.request

import pytest
from conftest import AUTH_TOKEN
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Connect, VoiceResponse

ECHO = '{"name": "echo", "numbers": ["+15550100001"], "transport": "twilio", "stages": ["echo"]}'
FORM = {
    "CallSid": "CA" + "0" * 32, "AccountSid": "AC" + "0" * 32, "From": "+15550100099", "To": "+15550100001",
    "CallStatus": "ringing", "CallerName": "Zoë & Søn  Ltd", "FromCity": "", "Direction": "inbound",
}


def post(url, form, signature):
    request = urllib.request.Request(url, urllib.parse.urlencode(form).encode(), {"X-Twilio-Signature": signature})
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read().decode()


def test_the_librarys_signature_is_accepted_and_our_twiml_equals_the_librarys(serve):
    server = serve(ECHO)
    url = server.url + "/twilio/voice"
    answer = post(url, FORM, RequestValidator(AUTH_TOKEN).compute_signature(url, FORM))

    action = re.search(r'action="([^"]+)"', answer).group(1).replace("&amp;", "&")
    parameters = re.findall(r'<Parameter name="([^"]+)" value="([^"]+)"', answer)
    expected = VoiceResponse()
    connect = Connect(action=action, method="POST")
    stream = connect.stream(url=f"ws://127.0.0.1:{server.port}/twilio/stream")
    for name, value in parameters:
        stream.parameter(name=name, value=value)
    expected.append(connect)
    expected.hangup()
    assert answer == str(expected)
    assert [name for name, _ in parameters] == ["token", "from", "to"]


def test_refusals_equal_the_librarys_too(serve):
    server = serve(ECHO)
    url = server.url + "/twilio/voice"
    form = {**FORM, "To": "+15550109999"}
    expected = VoiceResponse()
    expected.say("This number is not in service.")
    expected.hangup()
    assert post(url, form, RequestValidator(AUTH_TOKEN).compute_signature(url, form)) == str(expected)


@pytest.mark.parametrize("change", [{"From": "+15550100098"}, {"Extra": "x"}, {"FromCity": "Bonn"}])
def test_a_changed_form_is_refused(serve, change):
    server = serve(ECHO)
    url = server.url + "/twilio/voice"
    signature = RequestValidator(AUTH_TOKEN).compute_signature(url, FORM)
    with pytest.raises(urllib.error.HTTPError) as refusal:
        post(url, {**FORM, **change}, signature)
    assert refusal.value.code == 403


def test_behind_a_proxy_the_public_address_is_what_was_signed(serve):
    server = serve(ECHO, arguments=["--public-url", "https://voice.example.com"])
    signature = RequestValidator(AUTH_TOKEN).compute_signature("https://voice.example.com/twilio/voice", FORM)
    assert 'url="wss://voice.example.com/twilio/stream"' in post(server.url + "/twilio/voice", FORM, signature)
