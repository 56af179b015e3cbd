"""TLS to PostgreSQL as a URL asks for it: the certificate is checked against our own authority, and its name too."""

import datetime as dt
import ipaddress
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.errors import StoreError
from forecasting.storage.warehouse.warehouse import Warehouse
from tests.support.needs import absent
from tests.support.servers.postgres import OPTIONS, Server, _identity, binaries

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class Authority(NamedTuple):
    """A certificate of our own, and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def issue(name: str, by: Authority | None = None, host: str | None = None) -> Authority:
    """A certificate of an authority, or one by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(START)
        .not_valid_after(START + dt.timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if host:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        builder = builder.add_extension(names, critical=False)
    return Authority(builder.sign(by.key if by else key, hashes.SHA256()), key)


def pem(one: Authority, folder: Path, name: str) -> Path:
    """NAME.crt and NAME.key."""
    (folder / f"{name}.crt").write_bytes(one.certificate.public_bytes(serialization.Encoding.PEM))
    secret = one.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / f"{name}.key").write_bytes(secret)
    (folder / f"{name}.key").chmod(0o600)
    return folder / f"{name}.crt"


class Place(NamedTuple):
    """A server's address and the certificate of its authority, and of another one."""

    url: str
    ours: Path
    other: Path


@pytest.fixture(scope="module", params=["127.0.0.1", "127.0.0.2"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server on 127.0.0.1 with a certificate for this address, or for another one."""
    programs, mine = binaries(), tmp_path_factory.mktemp("authorities")
    if programs is None:
        absent("no PostgreSQL server here: install the package `postgresql` (initdb, postgres) to run these tests")
    ours, folder = issue("our own"), Path(tempfile.mkdtemp(prefix="forecasting-tls-"))
    pem(issue("server", by=ours, host=request.param), folder, "server")
    for file in folder.iterdir():
        if identity := _identity(folder):
            shutil.chown(file, identity["user"], identity["group"])
    files = {"ssl_cert_file": str(folder / "server.crt"), "ssl_key_file": str(folder / "server.key")}
    server = Server(programs, folder, {**OPTIONS, "ssl": "on", **files})
    try:
        server.start()
        yield Place(server.url, pem(ours, mine, "ours"), pem(issue("another"), mine, "another"))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def warehouse(place: Place, authority: Path) -> Warehouse:
    url = sa.make_url(place.url).update_query_dict({"sslmode": "verify-full", "sslrootcert": str(authority)})
    return Warehouse(WarehouseSettings(url=url.render_as_string()))


@pytest.mark.parametrize("place", ["127.0.0.1"], indirect=True)
def test_our_authority_and_name_are_let_in_encrypted_and_another_authority_is_not(place):
    sure = warehouse(place, place.ours)
    assert sure.cutoffs() == []
    with sure._begin() as connection:
        assert connection.exec_driver_sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").scalar() is True
    with pytest.raises(StoreError, match="certificate verify failed"):
        warehouse(place, place.other).cutoffs()


@pytest.mark.parametrize("place", ["127.0.0.2"], indirect=True)
def test_a_certificate_for_another_machine_is_refused(place):
    with pytest.raises(StoreError, match=r"server certificate for .* does not match host name"):
        warehouse(place, place.ours).cutoffs()


def test_a_server_without_tls_is_refused(postgres_url, tmp_path):
    authority = pem(issue("our own"), tmp_path, "ours")
    with pytest.raises(StoreError, match="does not support SSL"):
        warehouse(Place(postgres_url, authority, authority), authority).cutoffs()
