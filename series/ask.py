"""Load a pushed model in a separate process and ask it about a figure of a dataset.

python -m cephalo.series.ask NAMESPACE/MODEL NAMESPACE/DATASET
"""

import json
import sys

from datasets import load_dataset

from cephalo.inference import local


def main() -> None:
    """Print one line of JSON: `layers`, `parameters` and `answer`."""
    model, dataset = sys.argv[1:]
    row = next(iter(load_dataset(dataset, "conversations", split="train", streaming=True)))
    cephalo = local.load(model)
    answer = cephalo.ask(row["query"], images=[row["image"]], max_new_tokens=12)
    found = {
        "layers": cephalo.model.config.get_text_config().num_hidden_layers,
        "parameters": sum(parameter.numel() for parameter in cephalo.model.parameters()),
        "answer": answer,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
