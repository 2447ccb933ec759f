"""Loading no more than is needed, and at once.

What libraries load only because it happens to be installed, or because it lies beside what we use, is left out.

structlog takes rich for tracebacks that we format ourselves, requests takes charset_normalizer to guess what a text is
written in, which no peer of ours leaves open: 7 MB of every process and a twentieth of its start. wechatpy and redis
load all they have when one part is asked for (payments, components, the asynchronous clients): 3.5 MB, a fiftieth.
"""

import contextlib
import gc
import sys
import warnings
from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path


def leave_out() -> None:
    """Before anything else is imported: these libraries do without when an import fails, and their parts without the
    whole."""
    for name in ("rich", "charset_normalizer", "chardet"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
    for package in ("wechatpy", "redis.asyncio"):
        _enter_by_the_parts(package)


def _enter_by_the_parts(package: str) -> None:
    """Let modules of ``package`` be imported one by one, without its own ``__init__``, which imports them all."""
    library, *inner = package.split(".")
    found = find_spec(library)
    if package in sys.modules or found is None or found.origin is None:
        return
    folder = Path(found.origin).parent.joinpath(*inner)
    spec = spec_from_file_location(package, folder / "__init__.py", submodule_search_locations=[str(folder)])
    if spec is not None:
        sys.modules[package] = module_from_spec(spec)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Import inside what a command, or a process that bears others, needs: little of it is garbage, and looking for
    some again and again is a seventh of the time. (A web process or a worker that is a program of its own does look:
    holes that garbage leaves are filled by what is loaded next, 5 MB.)

    Afterwards it stands apart from the collector, which would otherwise touch every page of it again, and so copy each
    in every child by fork.
    """
    known = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:
            gc.freeze()
        gc.enable()
