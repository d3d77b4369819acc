"""Terms of model providers for the use of generated answers."""

from collections.abc import Iterable

# Prefixes of models' names after the namespace; the provider; the URL of its terms.
TERMS = (
    (("gpt-", "chatgpt", "o1", "o3", "o4"), "OpenAI", "https://openai.com/policies/"),
    (("claude",), "Anthropic", "https://www.anthropic.com/legal"),
    (("gemini",), "Google", "https://ai.google.dev/gemini-api/terms"),
    (("gemma",), "Google", "https://ai.google.dev/gemma/terms"),
    (("grok",), "xAI", "https://x.ai/legal"),
    (("mistral", "pixtral", "magistral"), "Mistral AI", "https://mistral.ai/terms"),
    (("llama", "meta-llama"), "Meta", "https://www.llama.com/license/"),
    (("command", "aya"), "Cohere", "https://cohere.com/terms-of-use"),
)


# Teachers that are not models: the authors' captions, tables of one's own, and plots of known data.
NO_MODEL = frozenset({"caption", "import", "plot-data"})


def teacher_terms(teachers: Iterable[str]) -> dict[str, tuple[str, str] | None]:
    """Return the provider and the URL of its terms for every teacher that is a model; None if
    unknown."""
    found = {}
    for teacher in sorted({*teachers} - NO_MODEL):
        name = teacher.rpartition("/")[2].lower()
        known = (
            (provider, url) for starts, provider, url in TERMS if name.startswith(tuple(starts))
        )
        found[teacher] = next(known, None)
    return found
