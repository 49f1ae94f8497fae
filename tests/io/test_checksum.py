import hashlib

import pytest

from rsfiqa.io.checksum import append_checksum, sha256_of, verify_checksum


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "a") == expected


def test_a_checksum_by_hand(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"headtail")
    append_checksum(path, 4)
    digest = hashlib.sha256(b"headtail").digest()
    assert path.read_bytes() == b"head" + b"rsfiqa sha256 " + digest + b"tail"
    verify_checksum(path, 4, has_checksum=True)
    for tail, has_checksum in ((4, False), (3, True), (100, True)):
        with pytest.raises(ValueError, match="checksum differs"):
            verify_checksum(path, tail, has_checksum=has_checksum)
