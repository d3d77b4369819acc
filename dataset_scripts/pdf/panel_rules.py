"""Limits for gutters between panels, and costs and gains of ways to split a figure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CutRules:
    """Limits for gutters between panels, and costs and gains of cuts."""

    ink: int = 210  # grey level below which a pixel is ink; JPEG gutters are not quite white
    # Largest share of ink in the rows or columns of a gutter, and its cost in units of `gain`:
    # blank; with JPEG noise or a thin rule; crossed by an arrow or a common label.
    levels: tuple[tuple[float, float], ...] = ((0.002, 0.0), (0.01, 0.7), (0.03, 1.5))
    rim: float = 0.01  # share of the shorter side: depth of a figure's rim
    dark_rim: float = 0.5  # smallest share of black in the rim of a figure on black
    lined: float = 1.3  # cost of a line through a gutter, such as an axis
    through: float = 0.8  # cost of a blank gutter inside a panel, in units of its gain
    beside: float = 1.6  # largest strip with only a letter, in letter heights or widths
    least_gutter: float = 0.0028  # share of the longer side; narrower gaps are between letters
    unit_gutter: float = 0.01  # share of the longer side: gutter width with a gain of 0
    widest: float = 0.08  # share of the longer side: gutter width with the largest gain
    pictures: float = 0.5  # share of ink above which a figure has images, which may touch
    step: int = 6  # grey levels: smallest jump between two images
    stands_out: float = 2.0  # smallest ratio of a jump and the mean step around it
    grain: int = 9  # pixels over which this mean is taken
    edge: float = 0.1  # share of a column with jumps between touching images, above the median
    edge_gain: float = 3.0  # cost of an edge that is visible along none of the column
    implied_gain: float = -3.0  # gain of a cut implied only by a letter beside it
    implied_apart: float = 0.02  # share of the longer side; nearer gutters replace the cut
    off_regular: float = 40.0  # cost of a grid line off by one cell
    most_off: float = 0.25  # cells by which a grid line may be off
    unseen_gain: float = -4.0  # gain of an invisible grid line
    # Smallest gain per cut, below which boxes are omitted: in drawings, with blank gutters, and in
    # images, with edges that are not blank.
    least_gain: tuple[float, float] = (-2.0, -3.0)
    least_anchored: tuple[float, float] = (-6.0, -6.0)  # the same if each panel has its letter
    slack: float = 1.5  # points by which the ink of a line may exceed its box
    anchored: float = 0.2  # factor for the costs of shape if each panel has a printed letter
    guided: float = 0.6  # share of printed letters above which they guide the search
    least_letters: int = 4  # smallest number of letters to detect one in a different position
    stray: float = 0.25  # mean panel sides by which its position differs
    left_out: float = 0.6  # cost of a legend or row labels outside all panels
    left_out_size: float = 2.0  # the same per mean panel area
    centred: float = 0.2  # mean panel sides from the left, above which letters are not in a corner
    # Cost of a letter one mean panel side off its corner position, if some letters are found and if
    # each panel has a letter.
    off_corner: tuple[float, float] = (2.0, 3.0)
    size: float = 1.0  # cost of a panel larger or smaller than the mean by a factor of 2.7
    least_side: float = 0.1  # share of the figure's side; smaller parts are labels
    in_row: float = 0.5  # the same in units of an equal share, if all panels are in one row
    most_uneven: float = 5.0  # largest ratio of a panel's area and the mean
    candidates: tuple[int, ...] = (7, 4, 3)  # widest gutters tried in the whole, in a row of it, …
    clear: float = -1.0  # gain above which grid lines are certain
    off_grid: float = 0.3  # cost of a letter off its corner, above which they are not
    grid_lines: int = 16  # number of gutters tried for grids
    frame: float = 0.9  # share of a row or column covered by the rule of an outer frame
    frame_depth: float = 0.05  # share of the shorter side: distance of the rule from the edge
    frame_width: int = 4  # pixels; width of the rule
    # Grey level at or above which a pixel is not part of an image in a plate. JPEG gutters are not
    # quite white, and bright objects in images are darker.
    paper: int = 240
    solid: float = 0.85  # smallest share of ink in such an image
    longest: float = 3.0  # largest ratio of its sides; bars are longer
    least_picture: float = 0.01  # smallest share of the figure's area
    labels: tuple[float, float] = (0.25, 0.1)  # share of width, height: row, column labels
    faint: float = 3.0  # ratio of the ink share of the figure and the smallest of such labels
    side: int = 3  # pixels within which an image's side is dark
    plate: float = 1.15  # largest ratio of the sides of images of one size
    plate_share: float = 0.4  # smallest share of the figure's area that they cover


RULES = CutRules()
