"""The bundled typefaces as rules of a style sheet, with the fonts inside."""

import base64
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "fonts"
_FACES = (
    ("Dossier Serif", 400, "normal", "dossier-serif-regular"),
    ("Dossier Serif", 400, "italic", "dossier-serif-italic"),
    ("Dossier Serif", 600, "normal", "dossier-serif-semibold"),
    ("Dossier Sans", 400, "normal", "dossier-sans-regular"),
    ("Dossier Sans", 600, "normal", "dossier-sans-semibold"),
    ("Dossier Mono", 400, "normal", "dossier-mono-regular"),
)
"""Family, weight, style, file: names of our own, because generic ones are resolved to fonts of the system."""


@cache
def face_rules() -> str:
    """One `@font-face` per bundled face."""
    return "".join(_rule(*face) for face in _FACES)


def _rule(family: str, weight: int, style: str, file: str) -> str:
    data = base64.b64encode((FOLDER / f"{file}.woff2").read_bytes()).decode()
    source = f"url(data:font/woff2;base64,{data}) format('woff2')"
    return f"@font-face{{font-family:'{family}';font-weight:{weight};font-style:{style};src:{source}}}\n"
