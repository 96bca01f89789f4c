"""Speech for a phone in Python, and where in a recording somebody speaks."""

import audioop
import os
import subprocess
import tempfile
import wave

from phone import SILENCE

#: Root mean square of a packet's 16-bit samples above which somebody speaks.
THRESHOLD = 300


def speak(text, voice="en"):
    """A text as µ-law packets of 20 ms."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "speech.wav")
        subprocess.run(["espeak-ng", "-v", voice, "-w", path, text], check=True, timeout=20)
        with wave.open(path) as file:
            rate, data = file.getframerate(), file.readframes(file.getnframes())
    data, _ = audioop.ratecv(data, 2, 1, rate, 8000, None)
    data = audioop.lin2ulaw(data, 2)
    data += SILENCE[:1] * (-len(data) % 160)
    packets = [data[start : start + 160] for start in range(0, len(data), 160)]
    # espeak-ng begins and ends with silence of its own, which is nobody's speech.
    while packets and not is_speech(packets[0]):
        packets.pop(0)
    while packets and not is_speech(packets[-1]):
        packets.pop()
    return packets


def is_speech(packet):
    return audioop.rms(audioop.ulaw2lin(packet, 2), 2) > THRESHOLD


def stretches(playout, pause=0.4):
    """Begin and end of each stretch of speech in (time, packet) pairs; a shorter pause is part of one."""
    found = []
    for time, packet in playout:
        if not is_speech(packet):
            continue
        if found and time - found[-1][1] < pause:
            found[-1][1] = time + 0.02
        else:
            found.append([time, time + 0.02])
    return [tuple(stretch) for stretch in found]
