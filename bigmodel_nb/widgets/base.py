"""What every widget of the course shares: its front end's parts and its static fallback.

A widget is a class here, NAME.py, and an ES module, NAME.js, which may begin with
`import { ... } from "./base.js";`. There is no build step: `front_end` puts the two texts together.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

import anywidget

from .picture import Picture

_HERE = Path(__file__).parent


def front_end(name: str) -> str:
    """The one ES module of a widget: base.js followed by NAME.js, without comment lines.

    Each displayed widget keeps this text in its state, so it has to stay small.
    """
    base = re.sub(r"^export ", "", (_HERE / "base.js").read_text("utf-8"), flags=re.M)
    own = (_HERE / f"{name}.js").read_text("utf-8")
    own = re.sub(r'^import \{[^}]*\} from "\./base\.js";\n', "", own, flags=re.M)
    return re.sub(r"^\s*//.*\n", "", base + own, flags=re.M)


def style(name: str = "") -> str:
    """The shared style sheet, followed by NAME.css where a widget has its own."""
    return "".join((_HERE / f"{part}.css").read_text("utf-8") for part in ("base", name) if part)


class CourseWidget(anywidget.AnyWidget):
    """A widget whose output still shows a picture where no widget can run.

    A subclass sets `_esm = front_end("name")`, keeps its state in synchronised traits and gives
    `describe()` and `picture()`. Both are a snapshot at display time and must be the same on every
    machine, since tests compare them. The output holds no HTML: wherever it stands, HTML is chosen
    before the picture, and GitHub then prints its markup.
    """

    _css = style()

    def describe(self) -> str:
        """One constant line that stands for the widget in plain text."""
        raise NotImplementedError

    def picture(self) -> Picture | None:
        """What to show where no widget can run."""
        return None

    def static_svg(self) -> str | None:
        """The fallback as SVG."""
        picture = self.picture()
        return picture and picture.svg()

    def static_png(self) -> bytes | None:
        """The fallback as PNG, for places that refuse SVG."""
        picture = self.picture()
        return picture and picture.png()

    def __repr__(self) -> str:
        return self.describe()

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        data = {**data, "text/plain": self.describe()}
        if svg := self.static_svg():
            data["image/svg+xml"] = svg
        if png := self.static_png():
            data["image/png"] = base64.b64encode(png).decode("ascii")
            metadata = {**metadata, "image/png": {"alt": self.describe()}}
        return data, metadata
