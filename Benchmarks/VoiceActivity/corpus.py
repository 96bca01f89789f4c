"""Labelled telephone speech in noise, made here: espeak-ng speaks, numpy makes the noises. The same on every
machine that has the same versions of the two and of sox: `fingerprint` tells.

A track is one voice that says five things with pauses of 0.9 to 3 s between them. Its labels come from its own clean
waveform. Every track is then mixed with every noise at every signal-to-noise ratio, put through the telephone band
(300 to 3400 Hz) and G.711 µ-law, and written at 8 kHz. For each noise there is one track without speech.
"""

import hashlib
import json
import pathlib
import re
import struct
import subprocess

import numpy as np

RATE = 8000
FRAME = 80  # 10 ms, the grid of the labels
SNRS = [20, 10, 5, 0]
NOISES = ["white", "pink", "brown", "babble", "engine", "keyboard", "music"]
# Speech level of a track and the idle noise of its line, in dB below full scale.
LEVELS = [-20, -26, -32]
IDLE_NOISE = -68

VOICES = [
    ("en-us+f2", 165), ("en-us+m3", 185), ("en-gb+f4", 150), ("en-gb-scotland+m7", 170), ("de+f3", 160), ("de+m1", 180),
    ("fr-fr+f1", 170), ("es+m2", 185), ("it+f5", 165), ("pl+m5", 160), ("tr+f2", 175), ("pt-br+m4", 165),
]

SENTENCES = {
    "en": ["good morning I would like to move my appointment to Thursday", "yes please",
           "could you tell me how late you are open tonight",
           "my number ends in four seven two nine", "no that is all thank you very much"],
    "de": ["guten Tag ich möchte meinen Termin auf Donnerstag verschieben", "ja bitte", "wie lange haben Sie heute geöffnet",
           "meine Nummer endet auf vier sieben zwei neun", "nein das war alles vielen Dank"],
    "fr": ["bonjour je voudrais déplacer mon rendez-vous à jeudi", "oui merci", "à quelle heure fermez-vous ce soir",
           "mon numéro se termine par quatre sept deux neuf", "non c'est tout merci beaucoup"],
    "es": ["buenos días quisiera cambiar mi cita para el jueves", "sí por favor", "hasta qué hora están abiertos hoy",
           "mi número termina en cuatro siete dos nueve", "no eso es todo muchas gracias"],
    "it": ["buongiorno vorrei spostare il mio appuntamento a giovedì", "sì grazie", "fino a che ora siete aperti stasera",
           "il mio numero finisce con quattro sette due nove", "no è tutto grazie mille"],
    "pl": ["dzień dobry chciałbym przełożyć wizytę na czwartek", "tak proszę", "do której godziny jest dzisiaj otwarte",
           "mój numer kończy się na cztery siedem dwa dziewięć", "nie to wszystko dziękuję bardzo"],
    "tr": ["iyi günler randevumu perşembeye almak istiyorum", "evet lütfen", "bu akşam kaça kadar açıksınız",
           "numaram dört yedi iki dokuz ile bitiyor", "hayır hepsi bu çok teşekkür ederim"],
    "pt": ["bom dia eu gostaria de mudar minha consulta para quinta-feira", "sim por favor", "até que horas vocês ficam abertos hoje",
           "meu número termina em quatro sete dois nove", "não é só isso muito obrigado"],
}


def spoken(text, voice, speed, pitch=50):
    """A sentence at 8 kHz, without the silence around it."""
    wav = subprocess.run(
        ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdin", "--stdout"], input=text.encode(),
        capture_output=True, check=True).stdout
    raw = subprocess.run(
        ["sox", "-D", "-t", "wav", "--ignore-length", "-", "-t", "raw", "-e", "signed", "-b", "16", "-c", "1", "-r",
         str(RATE), "-", "gain", "-6"], input=wav, capture_output=True, check=True).stdout
    samples = np.frombuffer(raw, "<i2").astype(float) / 32768
    loud = np.flatnonzero(np.abs(samples) > 0.003)
    return samples[loud[0]:loud[-1] + 1]


def telephone_band(samples):
    """300 to 3400 Hz with edges as soft as those of a line."""
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    low = 1 / (1 + (270 / np.maximum(frequencies, 1)) ** 8)
    high = 1 / (1 + (frequencies / 3500) ** 24)
    return np.fft.irfft(np.fft.rfft(samples) * np.sqrt(low * high), len(samples))


def rms(samples):
    return np.sqrt(np.mean(np.square(samples)))


def labels_of(speech):
    """For each 10 ms whether somebody speaks: the clean level within 35 dB of the loud parts, gaps up to 200 ms filled."""
    frames = speech[:len(speech) // FRAME * FRAME].reshape(-1, FRAME)
    levels = 20 * np.log10(np.sqrt(np.mean(frames ** 2, axis=1)) + 1e-9)
    active = levels > np.percentile(levels[levels > -90], 95) - 35
    return filled(active, 20)


def filled(active, longest):
    """With gaps of up to `longest` frames filled."""
    active = active.copy()
    on = np.flatnonzero(active)
    for here, there in zip(on[:-1], on[1:]):
        if 1 < there - here <= longest + 1:
            active[here:there] = True
    return active


def track(index, generator):
    voice, speed = VOICES[index]
    sentences = SENTENCES[voice[:2]]
    parts = [np.zeros(int(RATE * generator.uniform(1.5, 3)))]
    for sentence in sentences:
        parts += [spoken(sentence, voice, speed), np.zeros(int(RATE * generator.uniform(0.9, 3)))]
    speech = telephone_band(np.concatenate(parts))
    labels = labels_of(speech)
    active = np.repeat(labels, FRAME)
    level = LEVELS[index % len(LEVELS)]
    return speech * (10 ** (level / 20) / rms(speech[:len(active)][active])), labels, level


def coloured(count, generator, exponent):
    """Noise whose power falls with frequency to the power of `exponent`."""
    spectrum = np.fft.rfft(generator.standard_normal(count))
    frequencies = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 20)
    return np.fft.irfft(spectrum / frequencies ** (exponent / 2), count)


def babble(count, generator, cache={}):
    """Eight voices at once that never pause."""
    if not cache:
        for index, (voice, speed) in enumerate(VOICES[:8]):
            cache[index] = np.concatenate([spoken(s, voice, speed + 5, 40 + 3 * index) for s in SENTENCES[voice[:2]]])
    total = np.zeros(count)
    for voice in cache.values():
        repeated = np.tile(voice / rms(voice), count // len(voice) + 2)
        start = generator.integers(len(voice))
        total += repeated[start:start + count]
    return total


def engine(count, generator):
    """A motor whose speed wanders, over rumble."""
    time = np.arange(count) / RATE
    speed = 28 + 6 * np.sin(2 * np.pi * 0.07 * time + generator.uniform(0, 6)) + 2 * np.sin(2 * np.pi * 0.31 * time)
    phase = 2 * np.pi * np.cumsum(speed) / RATE
    motor = sum(np.sin(k * phase + generator.uniform(0, 6)) / np.sqrt(k) for k in range(1, 60))
    rumble = coloured(count, generator, 1.5)
    return motor / rms(motor) + 0.7 * rumble / rms(rumble)


def keyboard(count, generator):
    """Runs of keystrokes, some five a second, with pauses between the runs."""
    total = np.zeros(count)
    at = 0
    while at < count:
        for _ in range(generator.integers(5, 25)):
            length = int(RATE * generator.uniform(0.012, 0.03))
            time = np.arange(length) / RATE
            click = generator.standard_normal(length) * np.exp(-time * generator.uniform(150, 400))
            click += 0.5 * np.sin(2 * np.pi * generator.uniform(500, 2500) * time) * np.exp(-time * 250)
            end = min(count, at + length)
            total[at:end] += click[:max(0, end - at)] * generator.uniform(0.4, 1)
            at += int(RATE * generator.uniform(0.09, 0.3))
        at += int(RATE * generator.uniform(0.5, 3))
    return total


def music(count, generator):
    """Music on hold: three notes at once out of one scale, with overtones."""
    scale = 220 * 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16]) / 12)
    total = np.zeros(count)
    for voice in range(3):
        at = 0
        while at < count:
            length = int(RATE * generator.choice([0.25, 0.5, 1.0]))
            time = np.arange(min(length, count - at)) / RATE
            pitch = generator.choice(scale) * (1, 1, 2)[voice]
            note = sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 7) if k * pitch < 3600)
            total[at:at + len(time)] += note * np.exp(-time * 2.5) * generator.uniform(0.4, 1)
            at += length
    return total


def noise(kind, count, generator):
    """The noise in the telephone band, with a root mean square of 1 where it sounds."""
    if kind in ("white", "pink", "brown"):
        samples = coloured(count, generator, {"white": 0, "pink": 1, "brown": 2}[kind])
    else:
        samples = {"babble": babble, "engine": engine, "keyboard": keyboard, "music": music}[kind](count, generator)
    samples = telephone_band(samples)
    frames = np.abs(samples[:count // FRAME * FRAME].reshape(-1, FRAME)).max(axis=1)
    sounding = np.repeat(frames > 0.05 * np.percentile(frames, 99), FRAME)
    return samples / rms(samples[:len(sounding)][sounding])


def mulaw(samples):
    """G.711 µ-law (ITU-T G.711, table 2) of samples in -1 to 1."""
    linear = np.clip(np.round(samples * 32768), -32768, 32767).astype(int)
    magnitude = np.minimum(np.abs(linear), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(int) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(linear < 0, 0x80, 0)
    return (~(sign | exponent << 4 | mantissa) & 0xFF).astype(np.uint8)


def write_wav(path, samples):
    data = mulaw(samples).tobytes()
    form = struct.pack("<HHIIHHH", 7, 1, RATE, RATE, 1, 8, 0)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    chunks += b"\0" * (len(data) % 2)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)


def build(folder):
    """Writes the corpus and its index; gives the index. A corpus that is there is kept."""
    index_file = folder / "index.json"
    if index_file.exists():
        return json.loads(index_file.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    index = []

    def add(name, samples, labels, kind, snr):
        idle = np.random.default_rng(len(index)).standard_normal(len(samples)) * 10 ** (IDLE_NOISE / 20)
        write_wav(folder / name, samples + idle)
        index.append({"file": name, "noise": kind, "snr": snr, "labels": "".join("1" if x else "0" for x in labels)})

    for number in range(len(VOICES)):
        generator = np.random.default_rng(1000 + number)
        speech, labels, level = track(number, generator)
        add(f"{number:02}-clean.wav", speech, labels, "clean", None)
        for kind in NOISES:
            sound = noise(kind, len(speech), generator) * 10 ** (level / 20)
            for snr in SNRS:
                add(f"{number:02}-{kind}-{snr}.wav", speech + sound * 10 ** (-snr / 20), labels, kind, snr)
    for kind in NOISES:
        generator = np.random.default_rng(2000 + NOISES.index(kind))
        sound = noise(kind, 60 * RATE, generator) * 10 ** (-36 / 20)
        add(f"nobody-{kind}.wav", sound, [False] * 6000, kind, "nobody")
    index_file.write_text(json.dumps(index))
    return index


def fingerprint(folder, index):
    """SHA-256 over all sound and all labels, in the order of the index."""
    digest = hashlib.sha256()
    for entry in index:
        digest.update(json.dumps(entry, sort_keys=True).encode())
        digest.update((folder / entry["file"]).read_bytes())
    return digest.hexdigest()


def versions():
    """Of everything that the sound of the corpus depends on, as installed now."""
    def first(*command):
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return re.search(r"\d+(\.\d+)+", text).group()

    return f"espeak-ng {first('espeak-ng', '--version')}, sox {first('sox', '--version')}, numpy {np.__version__}"


if __name__ == "__main__":
    folder = pathlib.Path(__file__).parent / "corpus"
    index = build(folder)
    print(f"{len(index)} files in {folder}: {fingerprint(folder, index)}, made with {versions()}")
