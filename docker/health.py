"""Is this container well? Asked by its health check; imports little, since it is asked every few seconds.

python docker/health.py url http://127.0.0.1:8080/api/v2/version   answers with 200
python docker/health.py job DagProcessorJob                        this container's job of Airflow has a fresh heartbeat
python docker/health.py worker                                     this container's Celery worker answers a ping
"""

import os
import socket
import sys
import urllib.request

PATIENCE = 10  # seconds
STALE = 60  # seconds after which a heartbeat is none


def url(address: str) -> bool:
    """Whether the address answers."""
    with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
        return bool(answer.status == 200)


def job(kind: str) -> bool:
    """Whether a job of this kind, on this host, gave a sign of life lately."""
    import psycopg

    address = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg", "", 1)
    asked = (
        "SELECT count(*) FROM job WHERE job_type = %s AND hostname = %s AND state = 'running'"
        " AND latest_heartbeat > now() - make_interval(secs => %s)"
    )
    with psycopg.connect(address, connect_timeout=PATIENCE) as connection:
        found = connection.execute(asked, (kind, socket.getfqdn(), STALE)).fetchone()
    return bool(found and found[0])


def worker() -> bool:
    """Whether the worker of this host answers through the broker."""
    from celery import Celery

    name = f"celery@{socket.gethostname()}"
    app = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"])
    return bool(app.control.inspect(destination=[name], timeout=PATIENCE).ping())


if __name__ == "__main__":
    sys.exit(0 if {"url": url, "job": job, "worker": worker}[sys.argv[1]](*sys.argv[2:]) else 1)
