"""``python -m bot demo --keys``: what somebody needs to try the API on the demo shop.

Only keys that the demo made for itself are ever shown: they open nothing but its own made-up goods and people.
"""

import click

from bot.runtime.cli.common import complain, print_json
from bot.runtime.settings import Settings


def print_keys(settings: Settings, as_json: bool) -> None:
    """Print them, or refuse: for a real shop, and for accounts of somebody's own."""
    if not settings.demo:
        complain("this is not a demo (HUITOU_DEMO is 0): keys of a real shop are not printed")
    if settings.own_accounts:
        complain("HUITOU_ACCOUNTS names an accounts file: keys of your own are not printed, they are in that file")
    source, keys = next(iter(settings.api.items()))
    base = f"{settings.public_url}/api/v1"
    api_key, secret = keys.api_key.reveal(), keys.webhook_secrets[0].reveal()
    example = f'curl -H "Authorization: Bearer {api_key}" {base}/ledger/check'
    if as_json:
        print_json({"source": source, "webhook_secret": secret, "api_key": api_key,
                    "events_url": f"{base}/events/{source}", "example": example})
        return
    click.echo(f"""source          {source}
webhook secret  {secret}
api key         {api_key}

Events go to    {base}/events/{source}  (signed: Standard Webhooks; python -m bot order send does it for you)
Try reading     {example}
All operations  {settings.public_url}/api/docs""")
