"""Operations on waveforms: numpy in, numpy out. Knows no file, model or corpus."""

SAMPLE_RATE = 16000  # Hz, of everything after decoding
N_SAMPLES = 64600    # samples in one window of the published AASIST, 4.0375 s
