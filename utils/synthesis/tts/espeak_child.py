"""eSpeak NG in its own process: `python espeak_child.py LIBRARY DATA VOICE PARAMETER=VALUE...`.

It reads a text and writes the rate in Hz as 4 bytes, then int16 samples. The library keeps its
state between utterances, hangs on some voices, and conflicts with the eSpeak NG inside piper-tts.
A child process starts with a fresh state and can be stopped.
"""
import ctypes
import os
import sys

RETRIEVAL, PLAIN_UTF8 = 1, 1   # AUDIO_OUTPUT_RETRIEVAL, espeakCHARS_UTF8


def main(library_path: str, data: str, voice: str, *settings: str) -> int:
    """Speak the text of standard input.

    Exit code 2 if the engine does not start, 3 if it lacks the voice.
    """
    library = ctypes.CDLL(library_path)
    rate = library.espeak_Initialize(RETRIEVAL, 0, os.fsencode(data), 0)
    if rate <= 0:
        return 2
    blocks: list[bytes] = []

    def keep(wave: int, count: int, events: int) -> int:
        if wave and count > 0:
            blocks.append(ctypes.string_at(wave, 2 * count))
        return 0
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(keep)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()):
        return 3
    for setting in settings:
        parameter, value = map(int, setting.split("="))
        library.espeak_SetParameter(parameter, value, 0)
    text = sys.stdin.buffer.read() + b"\0"
    library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, PLAIN_UTF8, None, None)
    library.espeak_Synchronize()
    sys.stdout.buffer.write(rate.to_bytes(4, "little") + b"".join(blocks))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
