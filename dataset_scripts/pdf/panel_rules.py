"""What counts as a gutter between panels, and what a way to cut a figure is worth."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CutRules:
    """What counts as a gutter between panels, and what a way to cut is worth."""

    ink: int = 210  # grey level; below it is ink: gutters of a JPEG are not quite white
    # Share of ink up to which rows or columns are a gutter, and its cost in units of `gain`: blank;
    # the noise of a JPEG, a thin rule; an arrow or a common label across it.
    levels: tuple[tuple[float, float], ...] = ((0.002, 0.0), (0.01, 0.7), (0.03, 1.5))
    rim: float = 0.01  # share of the shorter side: the depth of a figure's rim
    dark_rim: float = 0.5  # share of the rim that is black where a figure stands on black
    lined: float = 1.3  # cost of a line through a gutter, as an axis is
    through: float = 0.8  # cost of a blank gutter within a panel, in units of its gain
    beside: float = 1.6  # heights or widths of a letter: a strip that holds no more than it
    least_gutter: float = 0.0028  # share of the picture's longer side; less is between letters
    unit_gutter: float = 0.01  # share of the longer side: a gutter of this width gains nothing
    widest: float = 0.08  # share of the longer side: wider gutters gain no more
    pictures: float = 0.5  # share of ink from which on a figure has pictures, which may touch
    step: int = 6  # grey levels: a jump from one picture to the next
    stands_out: float = 2.0  # ratio of a jump and the mean step around it
    grain: int = 9  # pixels across that this mean is taken over
    edge: float = 0.1  # share of a column that jumps where pictures touch, above the median
    edge_gain: float = 3.0  # cost of an edge that is seen along none of the column's length
    implied_gain: float = -3.0  # cost of a cut that only a letter in the corner beside it implies
    implied_apart: float = 0.02  # share of the longer side: nearer gutters or edges stand for it
    off_regular: float = 40.0  # cost of a row's or column's edge a whole cell off its place
    most_off: float = 0.25  # cells by which an edge may be off its place
    unseen_gain: float = -4.0  # cost of an edge of a row or column that nothing shows
    # Gain for each cut below which boxes are left out; in drawings, whose gutters are blank, and in
    # pictures, whose edges are not.
    least_gain: tuple[float, float] = (-2.0, -3.0)
    least_anchored: tuple[float, float] = (-6.0, -6.0)  # the same where each panel has its letter
    slack: float = 1.5  # points by which a line's box may be smaller than its ink
    anchored: float = 0.2  # of the costs of shape, where each panel has a printed letter
    guided: float = 0.6  # share of the panels whose letters are printed: they lead the search
    least_letters: int = 4  # letters of which one may be seen to stand elsewhere than the others
    stray: float = 0.25  # mean panel's sides that it stands elsewhere
    left_out: float = 0.6  # cost of a legend or of labels of rows that are no part of a panel
    left_out_size: float = 2.0  # the same for each mean panel's area
    centred: float = 0.2  # mean panel's sides from the left on which letters are no corner's
    # Cost of a letter a mean panel's side off its place in the corner, where some letters are found
    # and where each panel has its own.
    off_corner: tuple[float, float] = (2.0, 3.0)
    size: float = 1.0  # cost of a panel that is larger or smaller than the mean by a factor of 2.7
    least_side: float = 0.1  # share of the picture's side: smaller parts are labels
    in_row: float = 0.5  # the same in units of an equal share, where all panels stand in one row
    most_uneven: float = 5.0  # ratio of a panel's area and the mean that no cut may exceed
    candidates: tuple[int, ...] = (7, 4, 3)  # widest gutters tried in the whole, in a row of it, …
    clear: float = -1.0  # gain from which on edges of equal rows and columns leave no question
    off_grid: float = 0.3  # cost of a letter off its corner above which the question is open
    grid_lines: int = 16  # gutters tried where panels stand in equal rows and columns
    frame: float = 0.9  # share of a row or column that the rule of a frame around the whole takes
    frame_depth: float = 0.05  # share of the shorter side that the rule may be away from the edge
    frame_width: int = 4  # pixels of the rule
    # Grey level from which on a pixel is no part of a picture in a plate: gutters of a JPEG are not
    # quite white, bright objects within a picture less so.
    paper: int = 240
    solid: float = 0.85  # share of ink in such a picture
    longest: float = 3.0  # ratio of its sides: bars are longer
    least_picture: float = 0.01  # of the figure's area
    labels: tuple[float, float] = (0.25, 0.1)  # of its width, height: names of rows, of columns
    faint: float = 3.0  # ratio of the whole's share of ink and the least of such names
    side: int = 3  # pixels within which a picture's side is dark
    plate: float = 1.15  # ratio of the sides of pictures that still are of one size
    plate_share: float = 0.4  # of the figure's area that they take


RULES = CutRules()
