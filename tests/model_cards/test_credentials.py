"""Credentials that must not go to the Hub, and texts that only look like some."""

import base64
import io
import json
import random
import string

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi
from safetensors.numpy import save_file

from cephalo.cli.errors import CephaloError
from cephalo.model_cards import credentials
from cephalo.model_cards.credentials import find_credential, refuse_credentials
from cephalo.model_cards.upload import push_folder

LETTERS, DIGITS, HEX = string.ascii_letters, string.digits, "0123456789abcdef"
ANY = LETTERS + DIGITS
URL = ANY + "-_"
BASE32 = string.ascii_uppercase + "234567"
CHANCE = random.Random(19)


def some(signs: str, count: int) -> str:
    return "".join(CHANCE.choices(signs, k=count))


def part_of_jwt(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def pem(kind: str) -> str:
    body = "\n".join(some(ANY + "+/", 64) for _ in range(4))
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----"


# Each as its service makes it: nothing that looks like a credential is in this file.
MADE = {
    "a Hub token": [
        lambda: "hf_" + some(LETTERS, 34),
        lambda: "hf_" + base64.urlsafe_b64encode(CHANCE.randbytes(27)).decode(),
        lambda: "api_org_" + some(LETTERS, 34),
    ],
    "an AWS access key": [lambda: f"{CHANCE.choice(['AKIA', 'ASIA'])}{some(BASE32, 16)}"],
    "an AWS secret key": [
        lambda: f"aws_secret_access_key = {some(ANY + '+/', 40)}",
        lambda: f'"SecretAccessKey": "{some(ANY + "+/", 40)}"',
    ],
    "a GitHub token": [
        lambda: f"gh{CHANCE.choice('pousr')}_{some(ANY, 36)}",
        lambda: f"github_pat_{some(ANY, 22)}_{some(ANY, 59)}",
    ],
    "a Slack token": [
        lambda: f"xoxb-{some(DIGITS, 12)}-{some(DIGITS, 12)}-{some(ANY, 24)}",
        lambda: (
            f"https://hooks.slack.com/services/T{some(BASE32, 8)}/B{some(BASE32, 8)}/"
            + some(ANY, 24)
        ),
    ],
    "a Google API key": [lambda: "AIza" + some(URL, 35)],
    "a W&B key": [
        lambda: f"wandb_v1_{some(ANY, 27)}_{some(ANY, 49)}",
        lambda: f"WANDB_API_KEY={some(HEX, 40)}",
        lambda: f"machine api.wandb.ai\n  login user\n  password {some(HEX, 40)}",
    ],
    "a private key": [
        lambda: pem("RSA PRIVATE KEY"),
        lambda: pem("ENCRYPTED PRIVATE KEY"),
        lambda: json.dumps({"private_key": pem("PRIVATE KEY")}),
    ],
    "a JSON Web Token": [
        lambda: ".".join(
            [part_of_jwt({"alg": "HS256"}), part_of_jwt({"sub": some(ANY, 9)}), some(URL, 43)]
        )
    ],
    "a password in an address": [
        lambda: f"postgresql://bob:{some(ANY, 9)}@db.lab.edu/x",
        lambda: f"redis://:{some(ANY + '!-~', 12)}@cache:6379",
    ],
    "an API key": [
        lambda: f"sk-proj-{some(URL, 74)}T3BlbkFJ{some(URL, 74)}",
        lambda: f"sk-ant-api03-{some(URL, 93)}AA",
    ],
}
AROUND = (
    "{}",
    'key = "{}"',
    "- {}\nnext",
    "curl -H 'Authorization: Bearer {}' there",
    r"a JSON line\n{}\nand more",
    "https://lab.org/?key%3D{}&page=1",
    "“{}” ü",
)


def test_every_kind_of_credential_is_found_wherever_it_is_written():
    found = {
        kind: [find_credential(around.format(make())) for make in makers for around in AROUND * 5]
        for kind, makers in MADE.items()
    }
    assert {kind: {one and one.kind for one in ones} for kind, ones in found.items()} == {
        kind: {kind} for kind in MADE
    }
    assert {len(one.shown) for ones in found.values() for one in ones} == {4}


@pytest.mark.parametrize(
    "text",
    [
        "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx and AKIAIOSFODNN7EXAMPLE",
        "hf_load_the_weights_of_a_whole_folder_ and sk-learn-of-a-task-with-a-long-name-of",
        "the commit 0123456789abcdef0123456789abcdef01234567 of wandb, sha1 of the secret key",
        'if "-----BEGIN RSA PRIVATE KEY-----" in text: raise ValueError("no key")',
        "https://user:password@example.org http://x.org:8080/a@b https://{user}:{word}@host",
        "git+ssh://git@github.com:lab/x.git, https://wiki.org/File:A.png@2x",
        "ACCAGGTTACCAGGTTACGT in MKAKIALLVVGGSSTTRRNNDDEEQQ",
        "eyJhbGciOi.eyJ is how one begins, " + "eyJ" * 400 + "." + "eyJ" * 400,
        "the GitHub token ghp_, and " + "A" * 60,
    ],
)
def test_what_only_looks_like_a_credential_may_go(text):
    assert find_credential(text) is None


def test_a_part_of_a_longer_word_is_no_token():
    token = MADE["a Hub token"][0]()
    for before in (".a", "..9", "a9", "%3", "%3DD", r"\u003dd"):
        assert find_credential(f"see {before}{token}") is None
    for before in (".", "a.", "a-", "_", "%3D", "%3d", r"\u003d", r"\n", "é "):
        found = find_credential(f"see {before}{token}")
        assert found and (found.start, found.shown) == (4 + len(before), token[:4])
    assert find_credential(f"x{token}") is None and find_credential(token).start == 0
    password = MADE["a password in an address"][0]()
    assert find_credential(f"x{password}") is not None


def test_random_texts_are_told_from_names_and_stand_ins():
    assert credentials.varied("abcdef") and not credentials.varied("abcdea")
    assert not credentials.varied("a1b2c3-example")
    assert credentials.mixed("ABCdef1") and credentials.cased("ABCdef")
    for text in ("ABcdef1", "ABCde11", "ABCdef", "ABCABCabcabc1"[:7]):
        assert not credentials.mixed(text)
    for text in ("ABcdef", "ABCdeg"[:5], "AAAaaa"):
        assert not credentials.cased(text)
    assert credentials.is_password("://bob:tr0ub4dor@host.org")
    for address in ("://bob:bob@lab.org", "://bob:my_password@lab.org", "://bob:***@lab.org"):
        assert not credentials.is_password(address)
    for host in ("example.com", "www.example.org", "example", "host", "hostname"):
        assert not credentials.is_password(f"://bob:tr0ub4dor@{host}")


def test_variables_of_sixteen_characters_that_are_called_secret_are(monkeypatch):
    for name in credentials.os.environ:
        monkeypatch.delenv(name)
    value = "correct horse battery"
    for name, count in {"A_TOKEN": 15, "B_TOKEN": 16, "a_password": 17, "C_TOKENS": 18}.items():
        monkeypatch.setenv(name, value[:count])
    monkeypatch.setenv("D_API_KEY", "x" * 20)
    found = {value[:16]: "the value of B_TOKEN", value[:17]: "the value of a_password"}
    assert credentials.credentials_in_use(None) == found
    assert credentials.credentials_in_use("t") == found | {"t": "the Hub token in use"}


def test_any_kind_of_file_is_read(tmp_path):
    token = MADE["a Hub token"][1]()
    files = {
        "notes.md": ("line 3", lambda path: path.write_text(f"# a\n\n{token}\n")),
        "wide.txt": ("line 1", lambda path: path.write_text(token, encoding="utf-16")),
        "args.bin": ("after byte 0", lambda path: path.write_bytes(b"\0\x80\4" + token.encode())),
        "w.safetensors": (
            "header",
            lambda path: save_file({"a": np.ones(3)}, path, {"made by": token}),
        ),
        "rows.parquet": (
            "row 3",
            lambda path: pq.write_table(
                pa.table({"a": [[{"b": x}] for x in ("", "x", token)], "c": [b"\0"] * 3}), path
            ),
        ),
    }
    for name, (where, write) in files.items():
        write(tmp_path / name)
        with pytest.raises(CephaloError) as refusal:
            refuse_credentials(tmp_path, [name], None)
        assert str(refusal.value) == (
            f"{name}, {where}: what looks like a Hub token ({token[:4]}...); "
            "remove it, then push again"
        )


def test_blocks_overlap_and_a_long_binary_file_is_read_at_its_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(credentials, "BLOCK", 1000)
    monkeypatch.setattr(credentials, "OVERLAP", 100)
    monkeypatch.setattr(credentials, "BINARY_ENDS", 2000)
    token, path = MADE["a Hub token"][0](), tmp_path / "file"
    cases = [("\n", 990, "line 991"), ("\n", 4990, "line 4991")]
    cases += [("\0", 500, "after byte 0"), ("\0", 8500, "after byte 8000"), ("\0", 5000, None)]
    cases = [(sign, at, where, 9000) for sign, at, where in cases]
    cases += [("\0", 2000, "after byte 1000", 4000), ("\0", 2700, None, 5500)]
    for sign, at, where, size in cases:
        path.write_text(sign * at + token + sign * (size - at - len(token)))
        if where is None:
            refuse_credentials(tmp_path, ["file"], None)
            continue
        with pytest.raises(CephaloError, match=rf"^file, {where}: what looks like a Hub token"):
            refuse_credentials(tmp_path, ["file"], None)
    path.write_text("\0" * 1500)  # shorter than one of its ends
    refuse_credentials(tmp_path, ["file"], None)


def test_a_binary_file_is_left_out_in_the_middle_and_no_block_is_read_twice(monkeypatch):
    monkeypatch.setattr(credentials, "BLOCK", 1000)
    monkeypatch.setattr(credentials, "OVERLAP", 100)
    monkeypatch.setattr(credentials, "BINARY_ENDS", 2000)

    def starts(size: int, binary: bool) -> list[int]:
        read = credentials.blocks(io.BytesIO(b"\0" * size), size, binary)
        return [int(part.where.removeprefix("after byte ")) for part in read]

    assert starts(3000, True) == [0, 1000, 2000]
    assert starts(4000, True) == [0, 1000, 2000, 3000]
    assert starts(4001, True) == [0, 1000, 2001, 3001]
    assert starts(9000, True) == [0, 1000, 7000, 8000]
    assert starts(5000, False) == [0, 1000, 2000, 3000, 4000]


def test_what_is_in_use_never_goes_whatever_its_form(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_API_KEY", "correct horse battery staple")
    monkeypatch.setenv("LAB_MODE", "wrong horse battery staple")
    for text, kind in (
        ("see alice-2026!", "the Hub token in use"),
        ("key: correct horse battery staple.", "the value of LAB_API_KEY"),
        ("alice-2026!x, wrong horse battery staple", None),
    ):
        (tmp_path / "a.txt").write_text(text)
        if kind is None:
            refuse_credentials(tmp_path, ["a.txt"], "alice-2026!")
            continue
        with pytest.raises(CephaloError, match=f"^a.txt, line 1: what looks like {kind} "):
            refuse_credentials(tmp_path, ["a.txt"], "alice-2026!")


def test_no_upload_begins_with_a_credential(tmp_path):
    """Every command uploads with `push_folder`; nobody answers at this address."""
    (tmp_path / "README.md").write_text("made with alice-2026!")
    api = HfApi(endpoint="http://127.0.0.1:9", token="alice-2026!")
    with pytest.raises(CephaloError, match=r"README\.md, line 1: what looks like the Hub token in"):
        push_folder(api, tmp_path, "a/b", repo_type="dataset", private=True, files=["README.md"])
