"""A pushed phi3_v loads in a process that has nothing of this package."""

import subprocess

import pytest
from phi3_v_samples import make_model
from warm_python import warm_python

PUSH = """
import sys
from modeling_cephalo import register
from transformers import AutoModelForCausalLM, AutoProcessor

register()
folder, repo = sys.argv[1:]
AutoModelForCausalLM.from_pretrained(folder).push_to_hub(repo)
AutoProcessor.from_pretrained(folder).push_to_hub(repo)
"""

# A None in sys.modules makes an import fail: the code can only come from the hub.
CLEAN = """
import sys
sys.modules["modeling_cephalo"] = sys.modules["cephalo"] = None
"""

ANSWER = """
import sys
import numpy as np
from PIL import Image
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor

repo, trust = sys.argv[1], sys.argv[2] == "trust" or None
processor = AutoProcessor.from_pretrained(repo, trust_remote_code=trust)
noise = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
prompt = "<|user|>\\n<|image_1|>\\nWhat?<|end|>\\n<|assistant|>\\n"
batch = processor(prompt, Image.fromarray(noise), return_tensors="pt")
for auto in (AutoModelForCausalLM, AutoModelForImageTextToText):
    model = auto.from_pretrained(repo, trust_remote_code=trust)
    print(type(model).__module__.split(".")[0], type(model).__name__)
    print(model.generate(**batch, max_new_tokens=8, do_sample=False)[0].tolist())
"""


@pytest.fixture(scope="module")
def pushed(hub, tmp_path_factory) -> str:
    folder = make_model(tmp_path_factory.mktemp("phi3_v"))
    hub.run(PUSH, tmp_path_factory.mktemp("home"), str(folder), "alice/phi3-v")
    return "alice/phi3-v"


def test_clean_process_loads_the_pushed_code(hub, pushed, tmp_path):
    ours = hub.run(
        f"import modeling_cephalo\nmodeling_cephalo.register()\n{ANSWER}", tmp_path, pushed, "no"
    ).splitlines()
    theirs = hub.run(CLEAN + ANSWER, tmp_path, pushed, "trust").splitlines()
    assert ours[::2] == ["modeling_cephalo Phi3VForCausalLM"] * 2
    assert theirs[::2] == ["transformers_modules Phi3VForCausalLM"] * 2
    assert ours[1] == ours[3] == theirs[1] == theirs[3]
    with pytest.raises(AssertionError, match="contains custom code which must be executed"):
        hub.run(CLEAN + ANSWER, tmp_path, pushed, "no")


def test_chat_loads_by_name(hub, pushed, tmp_path):
    def chat(model: str) -> subprocess.CompletedProcess:
        command = [warm_python(), "-m", "cephalo.cli.main", "chat", model, "--max-new-tokens", "4"]
        environment = hub.environment(tmp_path)
        return subprocess.run(
            command, input="What?\n", env=environment, capture_output=True, text=True
        )

    found = chat(pushed)
    assert (found.returncode, found.stderr) == (0, "") and found.stdout.strip()
    missing = chat("alice/none")
    assert missing.returncode == 1 and missing.stderr.count("\n") == 1
    assert missing.stderr.startswith("cephalo: error: cannot load alice/none")
