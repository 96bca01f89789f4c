"""The corpus once more, through the noise suppressor of libspeexdsp with its own settings (15 dB)."""

import ctypes
import json
import pathlib

import numpy as np

import corpus

FRAME = 160  # 20 ms


def mulaw_table():
    """Linear samples of all codes (ITU-T G.711)."""
    codes = ~np.arange(256) & 0xFF
    magnitude = (((codes & 0x0F) << 3) + 132 << (codes >> 4 & 7)) - 132
    return np.where(codes & 0x80, -magnitude, magnitude).astype(np.int16)


def build(source, target):
    """Writes each file of `source` to `target`, as 16-bit samples; files that are there are kept."""
    target.mkdir(parents=True, exist_ok=True)
    library = ctypes.CDLL("libspeexdsp.so.1")
    library.speex_preprocess_state_init.restype = ctypes.c_void_p
    library.speex_preprocess_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.speex_preprocess_state_destroy.argtypes = [ctypes.c_void_p]
    table = mulaw_table()
    for entry in json.loads((source / "index.json").read_text()):
        path = target / entry["file"]
        if path.exists():
            continue
        # The header written by corpus.py has 46 bytes.
        samples = table[np.frombuffer((source / entry["file"]).read_bytes()[46:], np.uint8)].copy()
        state = library.speex_preprocess_state_init(FRAME, corpus.RATE)
        # What it gives out is the frame before, because it works on overlapping halves. A frame of silence more pushes the end
        # out, and without the first frame every sample is back in its place.
        frames = np.zeros((len(samples) // FRAME + 1) * FRAME, np.int16)
        frames[:len(frames) - FRAME] = samples[:len(frames) - FRAME]
        for start in range(0, len(frames), FRAME):
            library.speex_preprocess_run(state, frames[start:].ctypes.data)
        samples = frames[FRAME:]
        library.speex_preprocess_state_destroy(state)
        write_wav(path, samples)


def write_wav(path, samples):
    import wave
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(corpus.RATE)
        file.writeframes(samples.astype("<i2").tobytes())


if __name__ == "__main__":
    folder = pathlib.Path(__file__).parent / "corpus"
    corpus.build(folder)
    build(folder, folder / "denoised")
