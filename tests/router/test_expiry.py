from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from dpd_router.tls import Certificates, Expiry
from dpd_router.tls.expiry import not_after


def pem(end: datetime, *, whole_chain: bool = False) -> str:
    made = trustme.CA().issue_cert("localhost", not_after=end)
    chain = made.cert_chain_pems if whole_chain else made.cert_chain_pems[:1]
    return "".join(each.bytes().decode() for each in chain)


@pytest.mark.parametrize("year", [2030, 2049, 2050, 2090])
def test_the_end_of_a_certificate_is_read_before_and_after_the_format_of_years_changes(year):
    end = datetime(year, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert not_after(pem(end)) == end.timestamp()


def test_of_a_chain_the_first_certificate_counts_and_what_stands_before_it_does_not():
    end = datetime(2031, 1, 1, tzinfo=UTC)
    assert not_after("subject=localhost\n" + pem(end, whole_chain=True)) == end.timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_no_certificate_has_no_end(text):
    with pytest.raises(ValueError, match=r".+"):
        not_after(text)


def test_the_metric_follows_the_certificate_that_is_in_use(tmp_path: Path):
    crt, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificates = Certificates(crt, key, lambda _text: None, lambda _text: None)
    expiry = Expiry(lambda: certificates.ends)

    def shown() -> list[float]:
        return [sample.value for metric in expiry.collect() for sample in metric.samples]

    certificates.reload()
    assert shown() == []
    first = datetime(2033, 1, 1, tzinfo=UTC)
    for end in (first, first + timedelta(days=90)):
        made = trustme.CA().issue_cert("localhost", not_after=end)
        crt.write_bytes(made.cert_chain_pems[0].bytes())
        key.write_bytes(made.private_key_pem.bytes())
        certificates.reload()
        assert shown() == [end.timestamp()]
    key.write_text("not a key")
    certificates.reload()
    assert shown() == [end.timestamp()]
