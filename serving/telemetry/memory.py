"""Memory that a process at rest does not need: about 30 MB of the API and its worker together."""

from __future__ import annotations

import ctypes
import gc


def use_one_allocator() -> None:
    """Let Arrow allocate where everything else does: its own allocator keeps what it freed."""
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())


def settle() -> None:
    """Collect, hide what stays from the garbage collector, and return what was freed to the system.

    Under load a collection that walks the catalogue took a tenth of a second, twice a second; in a worker's child it
    would copy all the pages that the child shares with its parent.
    """
    gc.collect()
    gc.freeze()
    give_back()


def give_back() -> None:
    """Return what was freed to the system."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # the GNU C library's own
    if trim is not None:
        trim(0)
