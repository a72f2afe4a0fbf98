"""Write the JSON Schema of every record type to `docs/schemas/`, one file each: `python -m mendline.schemas.export`.

With `--check` nothing is written; the exit code is 1 when a file is missing, stale or of no record type any more.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import get_args

from mendline.schemas.base import Envelope
from mendline.schemas.records import Record

FOLDER = Path("docs/schemas")


def record_types() -> dict[str, type[Envelope]]:
    """Return the model of every record type, by the name it has on the log."""
    union, _ = get_args(Record)
    return {model.model_fields["type"].default: model for model in get_args(union)}


def schemas() -> dict[str, str]:
    """Return the files' contents by name: sorted, indented, the same on every machine."""
    return {
        f"{name}.json": json.dumps(model.model_json_schema(), indent=2, sort_keys=True) + "\n"
        for name, model in sorted(record_types().items())
    }


def stale(folder: Path) -> list[str]:
    """Return, in words, what in the folder is not as the models say."""
    wanted = schemas()
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return [
        *(f"{name} is missing" for name in wanted if name not in found),
        *(f"{name} is of no record type" for name in sorted(found) if name not in wanted),
        *(f"{name} is stale" for name in wanted if name in found and found[name] != wanted[name]),
    ]


def export(folder: Path) -> None:
    """Write all files, and remove those of record types that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = schemas()
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")


def main() -> int:
    """Write the schemas, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    if not arguments.check:
        export(arguments.folder)
        return 0
    wrong = stale(arguments.folder)
    for one in wrong:
        print(f"{arguments.folder}: {one}; `make schemas` writes it anew", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
