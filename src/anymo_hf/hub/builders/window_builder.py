"""What the builders are: `GeneratorBasedBuilder`s that never fork.

It stands alone because `datasets` replaces `os` and `open` in the modules of a builder and of its parents.
"""

from typing import Any

import datasets
import multiprocess  # what `datasets` starts its workers with


class WindowBuilder(datasets.GeneratorBasedBuilder):
    """Its workers are spawned: a process that is forked after torch has started threads may hang.

    As always with spawned processes, a script that gives num_proc needs `if __name__ == "__main__":`.
    """

    DEFAULT_WRITER_BATCH_SIZE = 100  # rows that wait in memory

    def _prepare_split(self, *args: Any, **kwargs: Any) -> None:
        before = multiprocess.get_start_method(allow_none=True)
        multiprocess.set_start_method("spawn", force=True)
        try:
            super()._prepare_split(*args, **kwargs)
        finally:
            multiprocess.set_start_method(before, force=True)
