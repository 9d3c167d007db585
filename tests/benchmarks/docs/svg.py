"""A small drawing in SVG: boxes with words, arrows between them, texts."""
from dataclasses import dataclass, field
from html import escape

FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif"
INK = "#1c1c1c"
SOFT = {"blue": "#dce9f7", "orange": "#fdebd3", "green": "#dff1df", "grey": "#efefef",
        "white": "#ffffff"}
HARD = {"blue": "#2a6db0", "orange": "#c77a12", "green": "#3c8a3c", "grey": "#777777",
        "white": "#bbbbbb"}


@dataclass(frozen=True)
class Box:
    """A place in a drawing: left, top, width and height in pixels."""
    x: float
    y: float
    w: float
    h: float

    def side(self, name: str, at: float = 0.5) -> tuple[float, float]:
        """The point at the share `at` of a side: "left", "right", "top" or "bottom"."""
        return {"left": (self.x, self.y + at * self.h),
                "right": (self.x + self.w, self.y + at * self.h),
                "top": (self.x + at * self.w, self.y),
                "bottom": (self.x + at * self.w, self.y + self.h)}[name]


@dataclass
class Drawing:
    """Shapes in the order in which they are drawn."""
    width: int
    height: int
    title: str
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, size: int = 13, colour: str = INK,
             weight: str = "normal", anchor: str = "middle") -> None:
        """One line of words, with its baseline at y."""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" '
                          f'font-weight="{weight}" text-anchor="{anchor}">{escape(words)}</text>')

    def box(self, x: float, y: float, w: float, h: float, name: str, *lines: str,
            colour: str = "grey") -> Box:
        """A box with a name in bold and lines below it."""
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="8" '
                          f'fill="{SOFT[colour]}" stroke="{HARD[colour]}" stroke-width="1.4"/>')
        top = y + h / 2 - 8.5 * len(lines) + 5
        self.text(x + w / 2, top, name, 14, weight="600")
        for number, line in enumerate(lines, 1):
            self.text(x + w / 2, top + 17 * number, line, 12, "#444444")
        return Box(x, y, w, h)

    def arrow(self, start: tuple[float, float], end: tuple[float, float], words: str = "",
              colour: str = "grey", above: float = 6) -> None:
        """An arrow from one point to another, with words above its middle."""
        (x1, y1), (x2, y2) = start, end
        self.parts.append(f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" '
                          f'stroke="{HARD[colour]}" stroke-width="1.6" '
                          f'marker-end="url(#{colour})"/>')
        if words:
            self.text((x1 + x2) / 2, (y1 + y2) / 2 - above, words, 12, "#444444")

    def dots(self, points: list[tuple[float, float]], radius: float, colour: str,
             filled: list[bool] | None = None) -> None:
        """Nodes; those that are not `filled` are pale."""
        for number, (x, y) in enumerate(points):
            fill = HARD[colour] if filled is None or filled[number] else SOFT[colour]
            self.parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}" '
                              f'stroke="{HARD[colour]}" stroke-width="0.8"/>')

    def line(self, points: list[tuple[float, float]], colour: str, width: float = 1) -> None:
        """A line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{HARD[colour]}" '
                          f'stroke-width="{width:g}"/>')

    def svg(self) -> str:
        """The file's text."""
        heads = "".join(f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" '
                        f'markerWidth="7" markerHeight="7" orient="auto-start-reverse">'
                        f'<path d="M0 0L10 5L0 10z" fill="{colour}"/></marker>'
                        for name, colour in HARD.items())
        body = "\n".join(self.parts)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
                f'width="{self.width}" height="{self.height}" font-family="{FONT}">\n'
                f"<title>{escape(self.title)}</title>\n<defs>{heads}</defs>\n"
                f'<rect width="{self.width}" height="{self.height}" fill="#ffffff"/>\n'
                f"{body}\n</svg>\n")
