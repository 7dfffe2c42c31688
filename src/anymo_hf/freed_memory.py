"""Large blocks that are freed stay with the process, as networks allocate the same sizes again at once.

By default glibc gives them back to the system, which clears every page anew: a third of a training step's time
(`python benchmarks/freed_memory.py`). It is a setting of the whole process, so programs make it, not imports.
"""

from __future__ import annotations

import ctypes
import platform

# <malloc.h>: the numbers of mallopt's settings
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_LARGEST_INT = 2**31 - 1


def keep_freed_memory(largest: int = 2**30) -> bool:
    """Sets it for this process where its C library is glibc; False where it is another one, which is left as it is.

    Memory in use grows to the largest that was needed at one time and stays there.

    Args:
        largest: bytes; larger blocks, such as a whole recording, still go back to the system.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {_MMAP_THRESHOLD: largest, _TRIM_THRESHOLD: _LARGEST_INT, _TOP_PAD: 2**26}
    return all([mallopt(name, value) == 1 for name, value in settings.items()])
