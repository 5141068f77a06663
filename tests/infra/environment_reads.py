"""Import modules, and write which lines below some paths read the environment meanwhile: a JSON list.

    python -m tests.infra.environment_reads PATH[:PATH...] MODULE...

In a process of its own, because a module is imported once. What other packages read is their business.
"""

import _collections_abc
import importlib
import json
import os
import sys
from collections.abc import Iterator

# A read goes through these before it arrives; who asked stands above them.
PASSED_ON = {
    __file__,
    os.__file__,
    _collections_abc.__file__,
    "<frozen os>",
    "<frozen _collections_abc>",
}


class Watched(os._Environ[str]):
    """The environment, which notes the lines below these paths that read it."""

    def __init__(self, real: "os._Environ[str]", paths: tuple[str, ...]) -> None:
        super().__init__(
            real._data,  # type: ignore[attr-defined]
            real.encodekey,
            real.decodekey,
            real.encodevalue,
            real.decodevalue,
        )
        self.paths = paths
        self.readers: set[str] = set()

    def __getitem__(self, key: str) -> str:
        self._note()
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        self._note()
        return super().__iter__()

    def _note(self) -> None:
        frame = sys._getframe()
        while frame.f_back is not None and frame.f_code.co_filename in PASSED_ON:
            frame = frame.f_back
        if frame.f_code.co_filename.startswith(self.paths):
            self.readers.add(f"{frame.f_code.co_filename}:{frame.f_lineno}")


def main(paths: str, *modules: str) -> None:
    watched = os.environ = Watched(os.environ, tuple(paths.split(os.pathsep)))
    for module in modules:
        importlib.import_module(module)
    sys.stdout.write(json.dumps(sorted(watched.readers)))


if __name__ == "__main__":
    main(*sys.argv[1:])
