"""Where the program begins: `fhir-ivig`, or `python -m fhir_ivig`."""

import atexit
import gc
import os


def start() -> None:
    """Run the command line, in a process that suits it.

    A command makes many objects that live to its end: to look through them for garbage while they are made, and once
    more at exit, is time lost. And it goes through blocks of some megabytes: memory given back to the system after
    each has to be cleared for the next. glibc keeps pieces up to the largest that it has seen freed, so it is shown a
    large one, which is never touched.
    """
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    bytes(31 << 20)
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from fhir_ivig.cli import main

    main()


if __name__ == "__main__":
    start()
