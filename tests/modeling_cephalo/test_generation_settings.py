"""What a generation_config.json may say of answers, and what is refused or left out."""

import io
import json

import pytest
from transformers import GenerationConfig

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from modeling_cephalo.generation import answering_settings, checked_temperature
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v


def settings(**values):
    found = GenerationConfig()
    for name, value in values.items():
        setattr(found, name, value)
    return answering_settings(found, vocabulary=100)


def test_tokens_and_penalties_are_kept_and_lengths_are_not():
    kept = settings(
        eos_token_id=[3, 6],
        pad_token_id=3,
        bad_words_ids=[[7], [8, 9]],
        repetition_penalty=1.1,
        max_length=10**12,
        min_new_tokens=10**9,
        num_beams=10**6,
        temperature=-1,
        max_time="x",
    )
    assert (kept.eos_token_id, kept.pad_token_id) == ([3, 6], 3)
    assert (kept.bad_words_ids, kept.repetition_penalty) == ([[7], [8, 9]], 1.1)
    default = GenerationConfig()
    for name in ("max_length", "min_new_tokens", "num_beams", "temperature", "max_time"):
        assert getattr(kept, name) == getattr(default, name)


@pytest.mark.parametrize(
    "values",
    [
        {"eos_token_id": "x"},
        {"eos_token_id": [3, None]},
        {"eos_token_id": 100},
        {"pad_token_id": -7},
        {"bos_token_id": True},
        {"bad_words_ids": [[10**9]]},
        {"suppress_tokens": ["a"]},
        {"repetition_penalty": 0},
        {"repetition_penalty": float("nan")},
        {"no_repeat_ngram_size": "x"},
        {"top_p": 5},
        {"top_k": -1},
    ],
)
def test_values_that_cannot_be_are_refused(values):
    [name] = values
    with pytest.raises(CephaloError, match=f"generation_config.json has {name} .*correct or"):
        settings(**values)


@pytest.mark.parametrize("temperature", [float("nan"), float("inf"), 1e-300, 1e308, -1])
def test_temperatures_that_cannot_be_sampled_with(temperature):
    with pytest.raises(
        CephaloError, match=r"temperature .*: give 0, or a number from 0\.001 to 100"
    ):
        checked_temperature(temperature)
    assert [checked_temperature(one) for one in (0, 0.7, 2)] == [0, 0.7, 2]


def test_chat_ends_with_an_answer_or_a_line(tmp_path, monkeypatch, capsys):
    make_tiny_phi3_v(tmp_path, ["Nacre in rows."])
    path = tmp_path / "generation_config.json"
    good = json.loads(path.read_text())

    def chat(**changes):
        path.write_text(json.dumps(good | changes))
        monkeypatch.setattr("sys.stdin", io.StringIO("What?\n"))
        main(["chat", str(tmp_path), "--max-new-tokens", str(10**12)])
        return capsys.readouterr().out

    model = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(model | {"max_position_embeddings": 64}))
    answer = chat()
    assert chat(max_length=10**12, num_beams=10**6, num_return_sequences=5) == answer
    with pytest.raises(SystemExit, match=r"^cephalo: error: .*pad_token_id '-7'"):
        chat(pad_token_id=-7)
