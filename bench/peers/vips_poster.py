"""The poster that a pyvips script would make: the designer's backdrop, the photo, a card, the face, the QR and the
words, composed in one pass and saved as JPEG. For every line read it makes one and says how many milliseconds it took.

On the command line: the font, the backdrop, the photo, the face and the ready-made QR (files). Runs in .venv-bench.
"""

import sys
import time

import pyvips

FONT, BACKDROP, PHOTO, FACE, CODE = sys.argv[1:]
CARD = '<svg width="1000" height="444"><rect width="1000" height="444" rx="44" fill="#fff"/></svg>'
DISC = '<svg width="136" height="136"><circle cx="68" cy="68" r="68" fill="#fff"/></svg>'


def words(text: str, size: int, colour: tuple[int, int, int]) -> pyvips.Image:
    cover = pyvips.Image.text(text, font=f"Noto Serif SC {size}px", fontfile=FONT)
    return cover.new_from_image(colour).bandjoin(cover).copy(interpretation="srgb")


def poster(number: int) -> bytes:
    photo = pyvips.Image.thumbnail(PHOTO, 920, height=920, crop="centre").addalpha()
    face = pyvips.Image.thumbnail(FACE, 136, height=136, crop="centre")
    face = face.bandjoin(pyvips.Image.svgload_buffer(DISC.encode())[3])
    layers = [(photo, 80, 80), (pyvips.Image.svgload_buffer(CARD.encode()), 40, 1436), (face, 84, 1478),
              (pyvips.Image.thumbnail(CODE, 336).colourspace("srgb").addalpha(), 660, 1468)]
    for text, size, left, top in ((f"有机五常大米 稻花香{number}号 5kg", 60, 84, 1032), ("¥68.0", 104, 84, 1160),
                                  ("产地直发  现磨现发  48小时内发货", 30, 84, 1322), ("来自@李姐的推荐", 42, 84, 1640),
                                  ("有效期至 2026-12-22", 28, 84, 1752), ("李记有机", 38, 84, 40)):
        layers.append((words(text, size, (34, 34, 34)), left, top))
    backdrop = pyvips.Image.new_from_file(BACKDROP)
    made = backdrop.composite([layer for layer, _, _ in layers], "over", x=[left for _, left, _ in layers],
                              y=[top for _, _, top in layers])
    return bytes(made.flatten().jpegsave_buffer(Q=88))


print("loaded", flush=True)
for number, _ in enumerate(sys.stdin):
    begun = time.perf_counter()
    poster(number)
    print((time.perf_counter() - begun) * 1e3, flush=True)
