"""Names of files and attacks as a picture's font can draw them."""
from utils.common.errors import printable


def drawable(name: str) -> str:
    """`name` with an escape for each character that matplotlib's font lacks: no glyph, a warning.

    A dollar sign stays one: matplotlib would set what follows it as a formula.
    """
    from matplotlib import font_manager
    file = font_manager.findfont(font_manager.FontProperties())
    known = font_manager.get_font(file).get_charmap()
    return "".join(letter if ord(letter) in known else letter.encode("unicode_escape").decode()
                   for letter in printable(name)).replace("$", r"\$")
