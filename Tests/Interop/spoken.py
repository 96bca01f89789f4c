"""Speech for a phone in Python, and where in a recording somebody speaks."""

import audioop
import os
import subprocess
import tempfile
import wave

from phone import SILENCE

#: Root mean square of a packet's 16-bit samples above which somebody speaks.
THRESHOLD = 300
LIMIT = 20  # seconds; the most that speaking a text may take


def speak(text):
    """A text as µ-law packets of 20 ms."""
    with tempfile.TemporaryDirectory() as folder:
        rate, samples = espeak(text, os.path.join(folder, "speech.wav"))
    data = bytes(mulaw(sample) for sample in resample(rate, samples, 8000))
    data += SILENCE[:1] * (-len(data) % 160)
    packets = [data[start : start + 160] for start in range(0, len(data), 160)]
    # espeak-ng begins and ends with silence of its own, which is nobody's speech.
    while packets and not is_speech(packets[0]):
        packets.pop(0)
    while packets and not is_speech(packets[-1]):
        packets.pop()
    return packets


def espeak(text, path):
    subprocess.run(["espeak-ng", "-v", "en", "-w", path, text], check=True, timeout=LIMIT)
    with wave.open(str(path)) as file:
        assert file.getsampwidth() == 2 and file.getnchannels() == 1
        return file.getframerate(), memoryview(file.readframes(file.getnframes())).cast("h")


def resample(rate, samples, target):
    """Lines between samples are enough for a detector of speech."""
    result = []
    for index in range(len(samples) * target // rate - 1):
        position = index * rate / target
        at = int(position)
        result.append(int(samples[at] + (samples[min(at + 1, len(samples) - 1)] - samples[at]) * (position - at)))
    return result


def mulaw(sample):
    """ITU-T G.711, written out."""
    magnitude = min((~sample if sample < 0 else sample) // 4 + 33, 8191)
    segment = magnitude.bit_length() - 6
    return 255 ^ ((128 if sample < 0 else 0) | segment << 4 | (magnitude >> segment + 1 & 15))


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
