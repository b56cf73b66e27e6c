"""Cards: what a learner sees, as HTML and as plain text with the same words.

The HTML needs no script and no style sheet. It takes JupyterLab's colours for light and dark and
inherits those of the page elsewhere.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

_COLOURS = {
    "passed": "var(--jp-success-color1, #388e3c)",
    "failed": "var(--jp-warn-color1, #c77700)",
    "neutral": "var(--jp-info-color1, #0288d1)",
}
_BOX = (
    "border-left:4px solid {colour};padding:4px 12px;margin:4px 0;"
    "color:var(--jp-content-font-color1, inherit);background:transparent;"
    "font-family:var(--jp-content-font-family, inherit);line-height:1.5"
)
_PARAGRAPH = "margin:4px 0"
_CODE = (
    "margin:4px 0;padding:4px 8px;white-space:pre-wrap;color:inherit;"
    "background:var(--jp-layout-color2, rgba(128,128,128,0.12));"
    "font-family:var(--jp-code-font-family, monospace)"
)


@dataclass(frozen=True)
class Part:
    """A paragraph of a card, or a block of code."""

    text: str
    label: str = ""
    code: bool = False


@dataclass(frozen=True)
class Card:
    """A title and parts; `tone` is 'passed', 'failed' or 'neutral'."""

    title: str
    parts: Sequence[Part] = field(default_factory=tuple)
    tone: str = "neutral"

    def __repr__(self) -> str:
        return "\n".join([self.title, *map(_plain, self.parts)])

    def _repr_html_(self) -> str:
        label = html.escape(self.title, quote=True)
        style = _BOX.format(colour=_COLOURS[self.tone])
        body = "".join(map(_html, self.parts))
        title = f'<p style="{_PARAGRAPH}"><strong>{html.escape(self.title)}</strong></p>'
        return f'<div role="group" aria-label="{label}" style="{style}">{title}{body}</div>'

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": repr(self)}


def _plain(part: Part) -> str:
    if part.code:
        indented = "\n".join(f"    {line}" for line in part.text.splitlines())
        return f"{part.label}\n{indented}" if part.label else indented
    return f"{part.label} {part.text}".strip()


def _html(part: Part) -> str:
    label = f"<strong>{html.escape(part.label)}</strong> " if part.label else ""
    text = html.escape(part.text)
    if part.code:
        before = f'<p style="{_PARAGRAPH}">{label}</p>' if label else ""
        return f'{before}<pre style="{_CODE}"><code>{text}</code></pre>'
    return f'<p style="{_PARAGRAPH}">{label}{text}</p>'


def show(thing: object) -> None:
    """Display in a notebook; print its text elsewhere."""
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        print(repr(thing))
        return
    if get_ipython() is None:
        print(repr(thing))
    else:
        display(thing)
