"""Draws the layers of a style on a picture. Knows what each kind of layer looks like, not who asks."""

import msgspec
from PIL import Image

from bot.pictures import avatar, goods, incoming, labels, paint, patterns, qr, styles
from bot.pictures.goods import Motif, Props
from bot.pictures.keep import Kept, fingerprint
from bot.pictures.request import PosterRequest

_faces: Kept[Image.Image] = Kept(128)
_codes: Kept[Image.Image] = Kept(16)


def backdrop(layers: tuple[styles.AnyLayer, ...]) -> Image.Image:
    """A new picture with ``layers``, which are the same for every product (see ``Style.behind``)."""
    picture = Image.new("RGB", (styles.WIDTH, styles.HEIGHT), "#ffffff")
    for layer in layers:
        _decor(picture, layer)
    return picture


def fixed(
    picture: Image.Image,
    layers: tuple[styles.AnyLayer, ...],
    request: PosterRequest,
    motifs: tuple[Motif, ...],
    props: Props,
) -> None:
    """Draws on ``picture`` what depends on the product."""
    for layer in layers:
        if isinstance(layer, styles.Product):
            _product(picture, layer, request, motifs, props)
        elif isinstance(layer, styles.Price):
            labels.price(picture, layer, request.price_fen, request.list_price_fen)
        elif isinstance(layer, styles.Points):
            labels.points(picture, layer, request.points)
        elif isinstance(layer, styles.Text):
            labels.words(picture, layer, request.values())
        else:
            _decor(picture, layer)


def person(picture: Image.Image, layers: tuple[styles.AnyLayer, ...], request: PosterRequest) -> None:
    """Draws on ``picture`` what depends on the sharer, on the rings and plates that ``mounts`` left."""
    for layer in layers:
        if isinstance(layer, styles.Avatar):
            _avatar(picture, layer, request)
        elif isinstance(layer, styles.Qr):
            _qr(picture, layer, request.qr_url)
        elif isinstance(layer, styles.Text):
            labels.words(picture, layer, request.values())


def mounts(picture: Image.Image, layers: tuple[styles.AnyLayer, ...]) -> None:
    """Draws what lies under face and QR and is the same for everybody: the ring and the white plate."""
    for layer in layers:
        if isinstance(layer, styles.Avatar) and layer.ring_width:
            side = min(layer.box[2:])
            paint.fill(picture, layer.box[:2], paint.mask("ellipse", side, side), (layer.ring,))
        elif isinstance(layer, styles.Qr):
            plate = paint.mask("rectangle", *layer.box[2:], layer.radius)
            paint.fill(picture, layer.box[:2], plate, ("#ffffff",))


def shifted(layers: tuple[styles.AnyLayer, ...], up: int) -> tuple[styles.AnyLayer, ...]:
    """The same layers ``up`` pixels higher, for drawing on a part of the picture."""
    moved = []
    for layer in layers:
        left, top, width, height = layer.box
        moved.append(msgspec.structs.replace(layer, box=(left, top - up, width, height)))
    return tuple(moved)


def _decor(picture: Image.Image, layer: styles.AnyLayer) -> None:
    left, top, width, height = layer.box
    if isinstance(layer, styles.Gradient):
        shade = paint.gradient(width, height, layer.stops, layer.form, layer.angle)
        paint.lay(picture, (left, top), shade)
    elif isinstance(layer, styles.Pattern):
        cover = patterns.cover(layer.name, width, height, layer.size, layer.count, layer.seed)
        paint.fill(picture, (left, top), cover, (layer.colour,))
    elif isinstance(layer, styles.Shape):
        cover = paint.mask(layer.form, width, height, layer.radius)
        _shadow(picture, layer, cover)
        if layer.fill:
            paint.fill(picture, (left, top), cover, layer.fill)
        if layer.outline:
            paint.outline(picture, layer.box, layer.form, layer.radius, layer.line, layer.outline)


def _product(
    picture: Image.Image, layer: styles.Product, request: PosterRequest, motifs: tuple[Motif, ...], props: Props
) -> None:
    left, top, width, height = layer.box
    cover = paint.mask(layer.form, width, height, layer.radius)
    _shadow(picture, layer, cover)
    photo = request.product_image
    shown = incoming.fitted(photo, width, height) if photo else None
    if shown is None:
        shown = goods.still_life(layer, goods.choose(motifs, request.title, request.category), request.sku, props)
    picture.paste(shown, (left, top), cover)


def _shadow(picture: Image.Image, layer: styles.Shape | styles.Product, cover: Image.Image) -> None:
    if layer.shadow:
        soft = layer.shadow
        paint.shadow(picture, layer.box[:2], cover, soft.colour, soft.blur, soft.dy)


def _avatar(picture: Image.Image, layer: styles.Avatar, request: PosterRequest) -> None:
    left, top, width, height = layer.box
    side, ring = min(width, height), layer.ring_width
    key = (fingerprint(request.avatar), request.sharer_name, side - 2 * ring)
    face = _faces.get(key, lambda: avatar.face(request.avatar, request.sharer_name, side - 2 * ring))
    picture.paste(face, (left + ring, top + ring), paint.mask("ellipse", *face.size))


def _qr(picture: Image.Image, layer: styles.Qr, url: str) -> None:
    left, top, width, height = layer.box
    code = _codes.get((url, width), lambda: qr.bare(url, width))
    picture.paste(code, (left + (width - code.width) // 2, top + (height - code.height) // 2))
