"""What dlt takes for merging the same files into the same server; it is run by the Python of `.venv-peer`.

`python tests/bench/peer.py FOLDER URL NIGHT...` prints the seconds of each night as JSON. It checks and guards nothing.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"  # it warns of each column that Polars and dlt call otherwise

import dlt
import polars as pl

KEYS = {
    "schools": ["school_id"],
    "teachers": ["teacher_id", "school_id"],
    "students": ["student_id", "school_id", "guardian_id", "guardian_first_name", "guardian_last_name"],
    "classes": ["class_id", "teacher_id", "school_id"],
    "enrollments": ["class_id", "user_id"],
}


def main(folder: str, url: str, *nights: str) -> None:
    """Merge the files of each night in turn."""
    seconds = {}
    # dlt wants a host in its place, also where it is a folder with a socket.
    folder_of_socket = parse_qs(urlsplit(url).query)["host"][0]
    server = url.partition("?")[0].replace(":@/", f":peer@{quote(folder_of_socket, safe='')}/")
    with tempfile.TemporaryDirectory() as home:
        pipeline = dlt.pipeline(
            "peer", pipelines_dir=home, destination=dlt.destinations.postgres(server), dataset_name="peer"
        )
        for night in nights:
            started = time.perf_counter()
            files = sorted(Path(folder, night).glob("*.csv"))
            pipeline.run([_resource(file) for file in files])
            seconds[night] = time.perf_counter() - started
    sys.stdout.write(json.dumps(seconds) + "\n")


def _resource(file: Path) -> Any:
    rows = pl.read_csv(file, infer_schema=False)
    key = [name for name in KEYS[file.stem] if name in rows.columns]
    rows = rows.with_columns(pl.col(key).fill_null("")).unique(key)
    return dlt.resource(rows.to_arrow(), name=file.stem, primary_key=key, write_disposition="merge")


if __name__ == "__main__":
    main(*sys.argv[1:])
