"""The WSGI application: ``granian --interface wsgi wsgi:app`` or any other server."""

from bot.runtime import lean, understanding

lean.leave_out()
understanding.warm_up()  # first: what comes after fills the holes that it leaves

from bot.runtime.app import create_app  # noqa: E402

app = create_app()
