"""Detect answers that share no words with their paper.

A question about the subject of the figure may be answered by general knowledge, in other words. An
answer is therefore off topic only if its question does not mention that subject either, and if both
answer and source are long enough. Words that describe the look of any image do not count.
"""

from cephalo.dataset_scripts.refinement.printed import printed_words
from cephalo.dataset_scripts.refinement.quotation import Source
from cephalo.dataset_scripts.refinement.words import UNSPECIFIC, content, stems

SHARED_SHARE = 0.1  # least share of an answer's content words in its source
PAPER_SHARE = 0.2  # or in what the paper states about all its figures
FEWEST = 8  # content words of an answer and of a source; with fewer, no decision is possible

# Words that describe how an image looks, whatever it shows.
LOOKS = stems(
    """
    abscissa angle arc arrow axes axis background band bar bend boundary bottom bright caption
    centre center chart circle column contour contrast corner cross curve dashed diagonal diagram
    diamond direction dot dotted edge empty filled frame graph grid half histogram horizontal inset
    label layout left legend letter line lower map mark marker micrograph middle ordinate outline
    panel pattern photograph pie plane plateau point right ring row scale shade shaded shadow shape
    sketch slope solid spot square star straight stripe surface symbol table thick thin tick title
    top triangle upper vertical view width zero
    """
)


def foreign(question: str, answer: str, source: Source) -> str | None:
    """Return why an answer and its question are not about their paper, formatted as one line, or
    None."""
    said, asked = specific(answer), specific(question)
    own = content(source.text)
    if min(len(said), len(own)) < FEWEST or asked & own:
        return None
    shared = len(said & own)
    if shared >= SHARED_SHARE * len(said):
        return None
    paper = own.union(*(content(" ".join(passages)) for passages in source.others))
    if len(said & paper) >= PAPER_SHARE * len(said):
        return None
    printed = content(" ".join(word for words in printed_words(source) for word in words))
    if printed & (said | asked):
        return None
    return f"{shared} of {len(said)} content words are in the source"


def specific(text: str) -> frozenset[str]:
    """Return the stems of a text that can name a subject."""
    return content(text) - LOOKS - UNSPECIFIC
