"""The texts of synthetic voices: captions of Tux Paint in the speakers' language, or our own."""
import re
from pathlib import Path

import numpy as np

# of a fast reader; texts are longer than needed and the speech is cropped
LETTERS_PER_SECOND = 14

# For speech without captions (the tiny corpus, a user's own recordings): simple sentences in the
# readers' languages.
SENTENCES = {
    "en": ("The ferry leaves the harbour at half past seven.",
           "She keeps her old letters in a wooden box.",
           "Please bring two chairs and a table to the garden.",
           "The last train home was almost empty.",
           "My brother plays the violin in a small orchestra.",
           "It rained so much that the river left its bed.",
           "The museum is closed on the first Monday of the month.",
           "We had soup and bread for supper.",
           "Nobody knew who had painted the portrait.",
           "Turn left at the church and follow the wall."),
    "de": ("Die Fähre legt um halb acht ab.",
           "Sie bewahrt ihre alten Briefe in einer Kiste auf.",
           "Der letzte Zug war fast leer.",
           "Am Abend gab es Suppe und Brot.",
           "Niemand wusste, wer das Bild gemalt hatte."),
    "fr": ("Le bateau quitte le port à sept heures et demie.",
           "Elle garde ses vieilles lettres dans une boîte en bois.",
           "Le dernier train était presque vide.",
           "Nous avons mangé de la soupe et du pain.",
           "Tournez à gauche après l'église."),
    "nl": ("De boot vertrekt om half acht.",
           "Zij bewaart haar oude brieven in een houten kist.",
           "De laatste trein was bijna leeg.",
           "Niemand wist wie het schilderij had gemaakt."),
    "pt": ("O barco sai do porto às sete e meia.",
           "Ela guarda as cartas antigas numa caixa de madeira.",
           "O último comboio ia quase vazio."),
    "hu": ("A hajó fél nyolckor indul a kikötőből.",
           "A régi leveleit egy fadobozban tartja.",
           "Az utolsó vonat majdnem üres volt."),
    "lt": ("Keltas išplaukia pusę aštuonių.",
           "Senus laiškus ji laiko medinėje dėžutėje.",
           "Paskutinis traukinys buvo beveik tuščias."),
    "uk": ("Пором відпливає о пів на восьму.",
           "Вона зберігає старі листи в дерев'яній скриньці.",
           "Останній потяг був майже порожній."),
}


def read_captions(folder: Path, languages: set[str]) -> dict[str, list[str]]:
    """The captions of Tux Paint's stamps below `folder`: {language: captions}.

    Their order is fixed, and each occurs once.
    """
    captions: dict[str, dict[str, None]] = {language: {} for language in languages}
    for path in sorted(folder.rglob("*.txt")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines):
            match = re.fullmatch(r"([a-z]{2,3})\.utf8=(.*)", line)
            language, text = ("en", line) if number == 0 else match.groups() if match else ("", "")
            if language in captions and len(text.split()) >= 2:
                captions[language][text.strip()] = None
    return {language: list(texts) for language, texts in captions.items() if texts}


def draw_text(sentences: list[str], seconds: float, rng: np.random.Generator) -> str:
    """Random sentences that last at least `seconds` at a fast pace."""
    text = ""
    while len(text) < seconds * LETTERS_PER_SECOND:
        sentence = sentences[int(rng.integers(len(sentences)))]
        text += sentence + (" " if sentence.endswith((".", "!", "?")) else ". ")
    return text.strip()
