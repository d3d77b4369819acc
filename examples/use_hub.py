"""Use a published dataset and model: count the rows, ask about a figure.

python examples/use_hub.py count NAMESPACE/DATASET
python examples/use_hub.py ask NAMESPACE/MODEL NAMESPACE/DATASET
"""

import sys

from datasets import get_dataset_config_names, get_dataset_split_names, load_dataset


def count(dataset: str) -> None:
    """Stream every split of every config and print how many rows and pixels came back."""
    counts = []
    for config in get_dataset_config_names(dataset):
        for split in get_dataset_split_names(dataset, config):
            rows = list(load_dataset(dataset, config, split=split, streaming=True))
            images = [image for row in rows for image in row.get("images") or [row.get("image")]]
            pixels = sum(image.width * image.height for image in images if image)
            counts.append(f"{config}/{split} {len(rows)} ({pixels / 1e6:.1f} Mpx)")
    print(", ".join(counts))


def ask(model_name: str, dataset: str) -> None:
    """Ask a model, loaded by name, about a figure of a document that it was not trained on."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from cephalo.inference.images import open_image

    splits = get_dataset_split_names(dataset, "conversations")
    split = "test" if "test" in splits else "train"
    row = next(iter(load_dataset(dataset, "conversations", split=split, streaming=True)))

    processor = AutoProcessor.from_pretrained(model_name)
    model = AutoModelForImageTextToText.from_pretrained(model_name).eval()
    prompt = processor.apply_chat_template(row["prompt"], add_generation_prompt=True)
    images = [open_image(image) for image in row["images"]]
    inputs = processor(text=prompt, images=images, return_tensors="pt")
    with torch.no_grad():
        output = model.generate(**inputs, max_new_tokens=40, do_sample=False)
    answer = processor.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)

    held_out = "held out" if split == "test" else "not held out: too few documents"
    print(f"figure:   {row['figures'][0]['label']} of {row['document']} ({held_out})")
    print(f"question: {row['query']}")
    print(f"truth:    {row['answer'][:300]}")
    print(f"answer:   {' '.join(answer.split())!r}")


if __name__ == "__main__":
    {"count": count, "ask": ask}[sys.argv[1]](*sys.argv[2:])
