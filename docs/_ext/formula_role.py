"""The role ``formula``: a Python expression, shown as mathematics; of long constants the first digits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docutils import nodes

from rectified.formula import mathml

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LONG = re.compile(r"(<mn>\d+\.\d{4})\d{4,}(?=</mn>)")


def formula(name: str, rawtext: str, text: str, *_: Any, **__: Any) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    return [nodes.raw(rawtext, LONG.sub(r"\1…", mathml(text)), format="html")], []


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_role("formula", formula)
    return {"parallel_read_safe": True}
