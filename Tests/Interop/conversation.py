"""The spoken call that every agent backend is put through: what the caller says and when, and what came of it.

The caller waits for the greeting, asks, hears an answer that a tool helped with, speaks over it and is answered once more.
"""

import asyncio
import json
import re

from backends import QUESTION, REPLIES
from phone import SILENCE, call
from spoken import speak, stretches

#: When the caller asks and when they speak over the answer, in packets of 20 ms.
ASKS, INTERRUPTS = 130, 350
PACKET = 0.02
#: What makes a simulator call the tool of a `Diary`.
TOOL = ("--tool", "free_times", "--tool-parameters", '{"day": "Monday"}')


class Caller:
    """The packets of a call, and where in them the question ends."""

    def __init__(self):
        question, interruption = speak("Which day is free next week?"), speak("Wait, that is enough for me.")
        self.packets = [SILENCE] * ASKS + question
        self.end = len(self.packets)
        self.packets += [SILENCE] * (INTERRUPTS - self.end) + interruption + [SILENCE] * 200


class Conversation:
    """A call that is over: times on the caller's own clock, words as the server's report has them."""

    def __init__(self, caller, started, sent, playout, report):
        self.started, self.sent, self.report = started, sent, report
        self.speech = stretches(playout)
        self.asked, self.interrupted = sent[caller.end - 1] + PACKET, sent[INTERRUPTS]

    @classmethod
    async def hold(cls, server, caller, sid="CA" + "1" * 32, number="+15550100001"):
        started, sent, playout = [], [], []
        await call(server, number, caller.packets, sid=sid, started=started, sent=sent, playout=playout)

        def report():
            [found] = [each for each in json.loads(server.get("/calls"))["calls"] if each["callSid"] == sid]
            return json.loads(server.get("/calls/" + found["id"]))

        return cls(caller, started[0], sent, playout, await asyncio.to_thread(report))

    @property
    def is_whole(self):
        """Greeting, answer and second answer, the answer while it was to be cut."""
        return len(self.speech) >= 3 and self.speech[1][0] < self.interrupted < self.speech[1][1]

    @property
    def seconds(self):
        return self.sent[-1] - self.sent[0] + PACKET

    @property
    def first_audio(self):
        """From the beginning of the stream to the first word, in seconds."""
        return self.speech[0][0] - self.started

    @property
    def response(self):
        """From the end of the question to the answer, in seconds."""
        return self.speech[1][0] - self.asked

    @property
    def interruption(self):
        """From the beginning of the caller's speech to the end of the agent's, in seconds."""
        return self.speech[1][1] - self.interrupted

    def said(self, event):
        return [entry["detail"] for entry in self.report["events"] if entry["event"] == event]

    @property
    def called_the_tool(self):
        """With the arguments of the agent, and the answer of the real server came back."""
        calls = [re.sub(r": ", ":", text) for text in self.said("tool called")]
        return calls == ['free_times {"day":"Monday"}'] and "14:30" in self.said("tool answered")[0]

    @property
    def agents_words(self):
        return [text.strip() for text in self.said("agent said")]

    @property
    def cut(self):
        """Of the one turn that was cut: how much of it was heard, in seconds, and which words."""
        cuts = self.said("interruption")
        found = re.search(r"heard (\d+) ms: (.*)", cuts[0]) if len(cuts) == 1 else None
        return (int(found.group(1)) / 1000, found.group(2).strip()) if found else (0, "")

    @property
    def has_the_words(self):
        """What both said, and of the cut turn the part that was heard and no more."""
        question = QUESTION in " ".join(text.strip() for text in self.said("caller said"))
        answer = any("answer" in text or text.startswith(REPLIES[0].split()[0]) for text in self.agents_words)
        heard = self.cut[1]
        part = bool(heard) and any(text.startswith(heard) and text != heard for text in self.agents_words)
        return question and answer and part
