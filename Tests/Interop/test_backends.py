"""The same spoken call through every agent backend, and the change from one to any other by one line."""

import asyncio
import json
from contextlib import ExitStack

import pytest
from backends import BACKENDS, ENVIRONMENT, GREETING, Diary, document, simulated
from conversation import TOOL, Caller, Conversation
from phone import SILENCE, call


@pytest.fixture(scope="module")
def caller():
    return Caller()


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.type)
def test_a_spoken_call(serve, backend, caller):
    diary = Diary()
    with simulated(backend, *TOOL) as simulator:
        server = serve(document(backend.entry(simulator.port), tools=[diary.tool()]), environment=ENVIRONMENT)
        held = asyncio.run(Conversation.hold(server, caller))
    diary.shutdown()
    events = json.dumps(held.report["events"], indent=1)
    assert held.report["backend"] == backend.type
    assert held.is_whole, f"greeting, answer that is cut, second answer: {held.speech}\n{events}"
    assert held.first_audio < 1.5, events
    assert 0.2 < held.response < 2.5, f"the answer comes after the question\n{events}"
    assert held.interruption < 1.0, f"the interruption stops it\n{events}"
    assert held.speech[-1][0] > held.interrupted, events
    # The tool was called, at a real server.
    assert diary.asked == ["/slots?day=Monday"]
    assert held.called_the_tool and held.has_the_words, events
    # As the caller's own clock has it; the pause within the answer's sound belongs to it.
    begin, end = held.speech[1]
    assert abs(held.cut[0] - (end - begin)) < 0.5, (held.cut, begin, end)


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
            words = [entry["detail"] for entry in report["events"] if entry["event"] == "agent said"]
            assert GREETING.split()[0] in " ".join(words), report["events"]
            assert report["playedMs"] > 300, f"{backend.type} was heard"
