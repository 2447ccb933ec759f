"""Scene codes: the living QR behind a sharer's posters and links, kept or made anew at the platform."""

from bot.kit.jobs import JobContext
from domain.materials import service as materials


def living_scene(ctx: JobContext, account: str, person_id: int, sku: str,
                 shot_id: int | None = None) -> materials.SceneView:
    """A code of this sharer and product that lives long enough to be shared; made anew before it expires.

    Calls out between transactions, never inside one. ``sku`` '' means the shop as a whole. ``shot_id``: the customer's
    picture that stands beside it has a code of its own, so that what comes by it is known. Raises GatewayError.
    """
    with ctx.begin() as session:
        scene = materials.current_scene(session, account, person_id, sku, ctx.now(), shot_id)
    if scene is not None:
        return scene
    token = materials.new_token()
    code = ctx.gateway(account).create_scene(token, materials.SCENE_DAYS * 86_400)
    lifetime = code.expires_at - ctx.real_now()
    scene = materials.SceneView(token, account, person_id, sku, code.url, ctx.now() + lifetime, shot_id)
    with ctx.begin() as session:
        materials.keep_scene(session, scene, ctx.now())
    return scene
