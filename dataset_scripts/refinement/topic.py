"""Whether an answer has words in common with what its paper says.

To a question that names something of the figure, general knowledge is an answer in other words. So
an answer is foreign only where its question does not name the figure's subject either, and where
enough is said on both sides to judge by. Words of what any image looks like count on neither.
"""

from cephalo.dataset_scripts.refinement.printed import printed_words
from cephalo.dataset_scripts.refinement.quotation import Source
from cephalo.dataset_scripts.refinement.words import UNSPECIFIC, content, stems

SHARED_SHARE = 0.1  # of an answer's content words that its own source must hold
PAPER_SHARE = 0.2  # or what is said of all figures of the paper
FEWEST = 8  # content words of an answer and of a source, with fewer of which nothing is told

# Words of what an image looks like, whatever it shows.
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
    """That an answer and its question are about something else than their paper, in a line."""
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
    """The stems of a text that can be those of a subject."""
    return content(text) - LOOKS - UNSPECIFIC
