"""The buckets of the stack: `make` those that are missing, `save` them to a tar on stdout, `load` one from stdin."""

import io
import os
import sys
import tarfile

import s3fs

BUCKETS = ("lake", "mlflow")


def main(action: str) -> None:
    """Do it."""
    store = s3fs.S3FileSystem(
        key=os.environ["S3_ADMIN_KEY"], secret=os.environ["S3_ADMIN_SECRET"], endpoint_url=os.environ["S3_ENDPOINT"]
    )
    {"make": make, "save": save, "load": load}[action](store)


def make(store: s3fs.S3FileSystem) -> None:
    """Every bucket that is not there."""
    for bucket in BUCKETS:
        if not store.exists(bucket):
            store.mkdir(bucket)


def save(store: s3fs.S3FileSystem) -> None:
    """All objects. Delta's logs come first: what a log names was there before it, and is copied after it."""
    names = sorted((name for bucket in BUCKETS for name in store.find(bucket)), key=lambda n: "/_delta_log/" not in n)
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
        for name in names:
            content = store.cat_file(name)
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def load(store: s3fs.S3FileSystem) -> None:
    """In place of all that the buckets hold."""
    make(store)
    for bucket in BUCKETS:
        if left := store.find(bucket):
            store.rm(left)
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        for entry in archive:
            if entry.name.split("/")[0] in BUCKETS and (file := archive.extractfile(entry)) is not None:
                store.pipe_file(entry.name, file.read())


if __name__ == "__main__":
    main(sys.argv[1])
