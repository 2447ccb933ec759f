"""The WSGI application: ``granian --interface wsgi wsgi:app`` or any other server."""

from bot.runtime.app import create_app

app = create_app()
