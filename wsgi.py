"""The WSGI application: ``granian --interface wsgi wsgi:app`` or any other server."""

from bot.runtime import lean

lean.leave_out()

from bot.runtime.app import create_app  # noqa: E402

app = create_app()
