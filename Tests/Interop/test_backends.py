"""The same spoken call through every agent backend, and the change from one to any other by one line.

The caller waits for the greeting, asks, hears an answer that a tool helped with, speaks over it and is answered once more.
"""

import asyncio
import json
import re
from contextlib import ExitStack

import pytest
from backends import BACKENDS, ENVIRONMENT, GREETING, QUESTION, REPLIES, Diary, document, simulated
from phone import SILENCE, call
from spoken import speak, stretches

#: When the caller asks and when they speak over the answer, in packets of 20 ms.
ASKS, INTERRUPTS = 130, 350
TOOL = ("--tool", "free_times", "--tool-parameters", '{"day": "Monday"}')


@pytest.fixture(scope="module")
def caller():
    """What the caller says: packets, where the question ends, and where the interruption begins."""
    question, interruption = speak("Which day is free next week?"), speak("Wait, that is enough for me.")
    packets = [SILENCE] * ASKS + question
    end = len(packets)
    packets += [SILENCE] * (INTERRUPTS - end) + interruption + [SILENCE] * 200
    return packets, end


def converse(server, packets):
    sent, playout = [], []
    asyncio.run(call(server, "+15550100001", packets, sent=sent, playout=playout))
    report = json.loads(server.get("/calls"))["calls"][0]
    return sent, playout, json.loads(server.get("/calls/" + report["id"]))


def said(report, event):
    return [entry["detail"] for entry in report["events"] if entry["event"] == event]


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.type)
def test_a_spoken_call(serve, backend, caller):
    packets, end = caller
    diary = Diary()
    with simulated(backend, *TOOL) as simulator:
        server = serve(document(backend.entry(simulator.port), tools=[diary.tool()]), environment=ENVIRONMENT)
        sent, playout, report = converse(server, packets)
    diary.shutdown()
    events = json.dumps(report["events"], indent=1)
    assert report["backend"] == backend.type
    speech = stretches(playout)
    assert len(speech) >= 3, f"greeting, answer, second answer: {speech}\n{events}"
    greeting, answer, second = speech[0], speech[1], speech[-1]
    assert greeting[0] - sent[0] < 1.5, events
    assert 0.2 < answer[0] - sent[end - 1] < 2.5, f"the answer comes after the question\n{events}"
    assert answer[0] < sent[INTERRUPTS] < answer[1] < sent[INTERRUPTS] + 1.0, f"the interruption stops it\n{events}"
    assert second[0] > sent[INTERRUPTS], events
    # The tool was called, at a real server, with the arguments of the agent.
    assert diary.asked == ["/slots?day=Monday"]
    assert said(report, "tool called") == ['free_times {"day":"Monday"}'] or said(report, "tool called") == [
        'free_times {"day": "Monday"}']
    assert "14:30" in said(report, "tool answered")[0]
    # What was said, and what was heard of it.
    assert QUESTION in " ".join(text.strip() for text in said(report, "caller said"))
    texts = [text.strip() for text in said(report, "agent said")]
    assert any("answer" in text or text.startswith(REPLIES[0].split()[0]) for text in texts), events
    [cut] = said(report, "interruption")
    milliseconds, heard = re.search(r"heard (\d+) ms: (.*)", cut).groups()
    assert heard and any(text.startswith(heard.strip()) and text != heard.strip() for text in texts), (cut, texts)
    # As the caller's own clock has it; the pause within the answer's sound belongs to it.
    assert abs(int(milliseconds) / 1000 - (answer[1] - answer[0])) < 0.5, (cut, answer)


#: A walk that goes from every backend to every other one, once.
WALK = "0102031213230"


def test_the_change_is_one_line(serve, tmp_path):
    """A document's one line about its agent is exchanged and reloaded; the next call is answered by the other vendor."""
    pairs = {(WALK[index], WALK[index + 1]) for index in range(len(WALK) - 1)}
    assert len(pairs) == len(BACKENDS) * (len(BACKENDS) - 1)
    with ExitStack() as stack:
        ports = [stack.enter_context(simulated(backend)).port for backend in BACKENDS]
        server = None
        for number, step in enumerate(WALK):
            backend = BACKENDS[int(step)]
            text = document(backend.entry(ports[int(step)]))
            if server is None:
                server = serve(text, environment=ENVIRONMENT)
            else:
                (tmp_path / "0.json").write_text(text)
                server.post("/pipelines/reload")
            sid = f"CA{number:032d}"
            asyncio.run(call(server, "+15550100001", [SILENCE] * 50, sid=sid))
            [report] = [report for report in json.loads(server.get("/calls"))["calls"] if report["callSid"] == sid]
            assert report["backend"] == backend.type
            report = json.loads(server.get("/calls/" + report["id"]))
            assert GREETING.split()[0] in " ".join(said(report, "agent said")), report["events"]
            assert report["playedMs"] > 300, f"{backend.type} was heard"
