"""Operations on waveforms: numpy in, numpy out. They know no file, model or corpus."""

SAMPLE_RATE = 16000  # Hz, of all audio after decoding
N_SAMPLES = 64600    # samples in one window of the published AASIST, 4.0375 s
