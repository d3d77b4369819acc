"""Stands in for tests/utils/test_configuration_utils.py, which the archive leaves out."""

config_common_kwargs = {
    "return_dict": False,
    "output_hidden_states": True,
    "output_attentions": True,
    "dtype": "float16",
    "chunk_size_feed_forward": 4,
    "architectures": ["Phi3VForCausalLM"],
    "problem_type": "regression",
    "id2label": {0: "brittle", 1: "ductile"},
    "label2id": {"brittle": 0, "ductile": 1},
}
