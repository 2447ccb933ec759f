"""The people who are there from the start. They follow through the ordinary door, with a real event."""

from bot.simulator import acts, deliveries, people
from bot.simulator.peer import Peer
from bot.simulator.store import lock, row

_SEED_LOCK = 0x51_4D_00_04


def ensure_people(peer: Peer) -> None:
    """Create the configured people of the first account if nobody is there yet. Cheap when they are."""
    if not peer.config.people:
        return
    with peer.store.begin() as connection:
        if row(connection, "select 1 as one from sim.people limit 1") is not None:
            return
    queued = []
    account = peer.config.accounts[0]
    with peer.store.begin() as connection:
        lock(connection, _SEED_LOCK)
        if row(connection, "select 1 as one from sim.people limit 1") is not None:
            return
        for one in peer.config.people:
            made = people.add(connection, account=account.account, app_id=account.app_id, name=one.name,
                              now=peer.now())
            if one.follows:
                queued.append(acts.begin_following(peer, connection, made))
    deliveries.send(peer, queued)
