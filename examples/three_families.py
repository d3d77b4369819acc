"""Ask one model of each family the same about images; the calls are the same for all families.

python examples/three_families.py IMAGE... [--models MODEL...]
"""

from argparse import ArgumentParser

from cephalo.inference import local

FAMILIES = [
    "lamm-mit/Cephalo-Idefics-2-vision-8b-beta",
    "lamm-mit/Cephalo-Phi-3-vision-128k-4b-beta",
    "lamm-mit/Cephalo-Llava-v1.6-Mistral-8b-alpha",
]

parser = ArgumentParser()
parser.add_argument("images", nargs="+")
parser.add_argument("--models", nargs="+", default=FAMILIES)
arguments = parser.parse_args()
for name in arguments.models:
    cephalo = local.load(name)
    answer = cephalo.ask("What is shown?", images=arguments.images, max_new_tokens=128)
    print(f"{name}: {answer}")
