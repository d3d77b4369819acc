"""The text, figures and captions of the sample papers, as printed by `make_papers.py`."""

from dataclasses import dataclass

from reportlab.lib.pagesizes import A4
from sample_figures import compound, fibres, grains, plot, raster

# Dimensions of the pages, in points.
WIDTH, HEIGHT = A4
MARGIN, GUTTER, TOP, BOTTOM = 54.0, 20.0, 66.0, 62.0
COLUMN = (WIDTH - 2 * MARGIN - GUTTER) / 2


@dataclass(frozen=True)
class Figure:
    """A figure: how it is drawn, its caption, and its position.

    `draw(canvas, x, y, width, height)` draws into a box whose lower left corner is (x, y). `column`
    is 0, 1 or None for both; `page` is 0-based.
    """

    label: str
    caption: str
    draw: callable
    height: float
    page: int
    column: int | None


@dataclass(frozen=True)
class Paper:
    """A paper. `text` is a list of paragraphs; those that begin with "# " are headings."""

    name: str
    title: str
    authors: str
    text: list[str]
    figures: list[Figure]


PAPERS = [
    Paper(
        "grain-growth-in-nickel-foil",
        "Grain growth in nickel foil below half the melting temperature",
        "A. Sample and B. Example, Institute of Invented Measurements",
        [
            "# 1. Introduction",
            "Thin nickel foil is a substrate for coatings, a current collector and a model of "
            "grain growth in two dimensions. When the grains have become as large as the foil is "
            "thick, the surfaces hold the boundaries back and growth slows down. How early this "
            "drag sets in decides which grain size can be reached at a given temperature.",
            "We followed the grains of one foil through a series of anneals between 500 and 700 "
            "degrees. The same field of view was found again after each step, so that the fate of "
            "single grains could be told. Figure 1 shows the field before the first anneal.",
            "# 2. Experiment",
            "Foil of 25 micrometres thickness was rolled from electrolytic nickel, cut to squares "
            "of ten millimetres and polished on both sides. Anneals were made in flowing argon "
            "with two per cent of hydrogen, in a furnace whose temperature was held to within two "
            "degrees. Each step lasted thirty minutes and ended with a quench in the cold zone.",
            "Micrographs were recorded with back-scattered electrons at ten kilovolts. Grains were "
            "outlined by hand on prints, and their areas were measured with a planimeter. The mean "
            "grain size is the diameter of the circle whose area is the mean area of the grains.",
            "# 3. Results",
            "Figure 2 gives the mean grain size after each anneal, as a share of the thickness of "
            "the foil. At 500 degrees the grains hardly grow. At 600 and 700 degrees they follow a "
            "square root of time at first and then level off, at the higher temperature near nine "
            "tenths of the thickness.",
            "The scatter of the single grains is large. One in five shrinks while the mean grows, "
            "and most of these vanish within two further steps, as expected where large grains "
            "live on small ones. Twins, which make up a third of all boundaries, hardly move.",
            "The texture changes little, as Figs. 1 and 3 show. Where growth has stopped, grooves "
            "are seen along the boundaries (Fig. 3a), and their depth grows with the time of the "
            "anneal (Fig. 3b). A groove pins the boundary that made it, which is the drag that we "
            "set out to find.",
            "The depth of the grooves was read from the width of the dark line at each boundary, "
            "after calibration on five grooves that had been cut open. The calibration holds to "
            "within ten per cent, which is less than the scatter between boundaries of one foil.",
            "# 4. Discussion",
            "A boundary breaks free from its groove when the curvature in the plane of the foil "
            "exceeds the slope of the groove divided by the thickness. With the measured slopes "
            "the limit lies between 0.8 and 1.0 thicknesses, in agreement with the plateau of "
            "Figure 2. Neither impurities nor texture are needed to explain it.",
            "Thicker foil should therefore give larger grains, in proportion. Two trials with foil "
            "of 50 micrometres support this, but the grains were too few to be counted well. A "
            "longer series is planned.",
            "# 5. Conclusion",
            "Grain growth in nickel foil stops near the thickness of the foil because grooves pin "
            "the boundaries at both surfaces. The plateau can be foretold from the slope of the "
            "grooves, without a fitted constant.",
        ],
        [
            Figure(
                "Figure 1",
                "Back-scattered electron micrograph of the rolled foil before the first anneal. "
                "The grains are equiaxed, and their mean diameter is one fifth of the thickness "
                "of the foil.",
                raster(grains(1, 300, 220, 70), "20 µm"),
                COLUMN * 220 / 300,
                0,
                0,
            ),
            Figure(
                "Figure 2",
                "Mean grain size, as a share of the thickness of the foil, against the time of "
                "the anneal at three temperatures. The plateau at 700 °C lies near nine tenths.",
                plot(
                    "time (h)",
                    "grain size / thickness",
                    [
                        ("700 °C", [0.20, 0.52, 0.68, 0.79, 0.85, 0.89, 0.90]),
                        ("600 °C", [0.20, 0.37, 0.47, 0.55, 0.61, 0.65, 0.67]),
                        ("500 °C", [0.20, 0.21, 0.23, 0.24, 0.25, 0.25, 0.26]),
                    ],
                    ["0", "1", "2", "3"],
                    key=0.5,
                ),
                170,
                0,
                1,
            ),
            Figure(
                "Figure 3",
                "Grooves at the grain boundaries. (a) The field of Figure 1 after three hours at "
                "700 °C. (b) Depth of the grooves against the time of the anneal, in micrometres, "
                "for two temperatures.",
                compound(
                    raster(grains(2, 260, 170, 18), "20 µm"),
                    plot(
                        "time (h)",
                        "depth of grooves",
                        [
                            ("700 °C", [0.0, 0.34, 0.50, 0.63, 0.72, 0.80, 0.88]),
                            ("600 °C", [0.0, 0.15, 0.22, 0.27, 0.32, 0.36, 0.39]),
                        ],
                        ["0", "1", "2", "3"],
                        key=0.22,
                    ),
                ),
                165,
                1,
                None,
            ),
        ],
    ),
    Paper(
        "toughness-of-pressed-fibre-mats",
        "Toughness of pressed fibre mats with a layer of soft binder",
        "C. Specimen and D. Trial, Laboratory for Imagined Composites",
        [
            "# 1. Introduction",
            "Mats of short fibres are light and cheap, but they tear. A tear runs from one bond "
            "to the next, and each bond that fails throws its load on its neighbours. Living "
            "materials avoid this with soft layers between stiff parts, which yield before the "
            "stiff parts break. We asked how much of a soft binder is enough.",
            "The mats were pressed from fibres of regenerated cellulose, with between zero and "
            "twelve per cent of a rubbery binder. Figure 1 shows a mat without any. Tear tests "
            "were made in a small frame that fits under a microscope.",
            "# 2. Materials and methods",
            "Fibres of two millimetres length and eleven micrometres diameter were dispersed in "
            "water, and the binder was added as a latex. The slurry was drained on a sieve, "
            "pressed at one megapascal and dried at 80 degrees. All mats weigh 60 grams to the "
            "square metre, to within three per cent.",
            "Strips of 15 by 60 millimetres were notched to a third of their width and drawn at "
            "one millimetre a minute. The toughness is the work of fracture divided by the area "
            "of the ligament. Ten strips of each mat were torn.",
            "# 3. Results",
            "Figure 2 shows the load against the opening of the notch. Without binder the load "
            "drops at once after its peak. With six per cent it falls slowly, over an opening of "
            "more than two millimetres, while the peak itself is lower by a tenth only.",
            "The toughness rises with the binder up to eight per cent, as can be seen in Figure "
            "3, and falls beyond. The mats with twelve per cent are stiff to the touch: the pores "
            "are filled, and the fibres no longer turn towards the load.",
            "Under the microscope the reason is seen. Ahead of the notch the fibres turn and "
            "slide over a zone of about three millimetres (Fig. 4a). Bonds fail in this zone one "
            "by one, and the count of failed bonds grows with the load (Fig. 4b) long before "
            "the tear moves.",
            "Where the binder fills the pores the zone is smaller than a millimetre. Figures 2 "
            "to 4 thus tell one story: what matters is the size of the zone, and the binder sets "
            "it.",
            "# 4. Discussion",
            "A simple estimate supports this. If each bond takes up the work of its own failure, "
            "the toughness is that work times the number of bonds in the zone. With counted bonds "
            "and a work of four microjoules for each, the estimate comes within a fifth of the "
            "measured toughness, for all mats but the stiffest.",
            "The estimate also says what would be gained from longer fibres. The zone grows with "
            "the length over which a fibre slides, so that fibres of three millimetres should add "
            "half as much again. They are harder to disperse, which is why we did not try them.",
            "# 5. Conclusion",
            "Eight per cent of a soft binder makes a pressed mat three times as tough at nearly "
            "the same strength. More binder does harm, because it keeps the fibres from turning.",
        ],
        [
            Figure(
                "Fig. 1",
                "Scanning electron micrograph of a mat without binder. The fibres cross at "
                "random, and bonds are found at about one crossing in three.",
                raster(fibres(3, 300, 190, 60), "50 µm"),
                COLUMN * 190 / 300,
                0,
                0,
            ),
            Figure(
                "Fig. 2",
                "Load, as a share of the highest, against the opening of the notch for mats with "
                "and without binder. Each curve is the mean of ten strips.",
                plot(
                    "opening (mm)",
                    "load / highest load",
                    [
                        ("no binder", [0.0, 0.62, 0.98, 0.31, 0.10, 0.04, 0.02]),
                        ("6 % binder", [0.0, 0.55, 0.86, 0.80, 0.63, 0.45, 0.28]),
                    ],
                    ["0", "1", "2", "3"],
                ),
                150,
                0,
                0,
            ),
            Figure(
                "Fig. 3",
                "Toughness, as a share of the highest, against the share of the binder.",
                plot(
                    "binder (per cent)",
                    "toughness",
                    [("mean of ten", [0.33, 0.48, 0.71, 0.88, 0.97, 0.82, 0.57])],
                    ["0", "4", "8", "12"],
                    key=0.25,
                ),
                150,
                0,
                1,
            ),
            Figure(
                "Fig. 4",
                "The zone ahead of the notch, for a mat with six per cent of binder. (a) Fibres "
                "at the peak of the load, with the notch on the left. (b) Share of the bonds in "
                "the field of view that have failed, against the load.",
                compound(
                    raster(fibres(4, 260, 160, 45), "100 µm"),
                    plot(
                        "load / highest load",
                        "failed bonds",
                        [("counted", [0.0, 0.03, 0.08, 0.17, 0.30, 0.47, 0.70])],
                        ["0", "0.5", "1"],
                    ),
                ),
                160,
                1,
                None,
            ),
        ],
    ),
    Paper(
        "humidity-sensing-with-clay-films",
        "Humidity sensing with films of swelling clay between carbon electrodes",
        "E. Probe and F. Reading, Department of Fictitious Sensors",
        [
            "# 1. Introduction",
            "Clay takes up water between its layers and gives it back when the air is dry. Its "
            "electrical resistance follows over four decades, which makes clay a sensor of "
            "humidity that costs nothing. It has not been used much, because the reading depends "
            "on whether the air was damp or dry before. We looked for the cause of this memory.",
            "Films of a few micrometres were cast between electrodes of carbon ink. Figure 1 "
            "shows such a film with its cracks, which turn out to be the heart of the matter.",
            "# 2. Films and cell",
            "Sodium clay was stirred into water for two days, left to settle, and the fine part "
            "was cast on glass with printed electrodes, one millimetre apart. Films dried in air "
            "at room temperature for one day. Their thickness was between two and nine "
            "micrometres, set by the concentration.",
            "A cell of brass held six films in a stream of nitrogen, mixed from a dry and a wet "
            "line. The humidity was raised from ten to ninety per cent in eight steps of twenty "
            "minutes and lowered in the same way. Resistance was read with a direct voltage of "
            "one tenth of a volt, applied for a second at a time.",
            "# 3. Results",
            "Figure 2 gives the logarithm of the resistance on the way up and on the way down, "
            "for a film of three micrometres. The two branches part below fifty per cent. At "
            "thirty per cent they lie apart by a factor of four, far more than the error of the "
            "reading.",
            "Thin films remember less. Figure 3a is a micrograph of a film of two micrometres, "
            "which has no cracks that could be seen. Its memory, drawn in Fig. 3b as the distance "
            "of the branches against thickness, is below the error. It grows steadily from three "
            "micrometres on, the thickness at which the first cracks are found.",
            "Cracks close when the clay swells. A closed crack conducts, and it opens again only "
            "at a humidity lower than that at which it closed, because the two faces cling to "
            "each other. Watched through a microscope, most cracks closed near sixty per cent "
            "and opened near thirty-five, the limits between which the branches differ.",
            "# 4. Discussion",
            "A network of resistors with some of its links opened and closed in this way gives "
            "the loop of Figure 2 with the counted number of cracks and no free constant but the "
            "resistance of a closed crack. The loop does not depend on the speed of the sweep "
            "between ten minutes and one day, as it would if slow diffusion were the cause.",
            "It follows that a film free of cracks is a sensor without memory. Films thinner than "
            "three micrometres are one way, and slow drying under a lid is another: with it, "
            "films of six micrometres could be made without a crack in three trials of four.",
            "# 5. Conclusion",
            "The memory of clay sensors comes from cracks that close and open at different "
            "humidities. It can be avoided with thin films or with slow drying, and no change of "
            "the clay itself is needed.",
        ],
        [
            Figure(
                "Figure 1.",
                "Light micrograph of a clay film of six micrometres, dried in air. Cracks part "
                "the film into islands, which stay attached to the glass.",
                raster(grains(5, 300, 200, 28), "0.1 mm"),
                COLUMN * 200 / 300,
                0,
                0,
            ),
            Figure(
                "Figure 2.",
                "Logarithm of the resistance, scaled to its full range, against the relative "
                "humidity for a film of three micrometres. The humidity was first raised and then "
                "lowered in steps of ten per cent; each point was read after twenty minutes.",
                plot(
                    "relative humidity (per cent)",
                    "log resistance (scaled)",
                    [
                        ("rising", [0.98, 0.95, 0.90, 0.80, 0.62, 0.40, 0.24, 0.13, 0.06]),
                        ("falling", [0.96, 0.84, 0.72, 0.60, 0.49, 0.36, 0.23, 0.13, 0.06]),
                    ],
                    ["10", "30", "50", "70", "90"],
                ),
                165,
                0,
                1,
            ),
            Figure(
                "Figure 3.",
                "Films of different thickness. (a) A film of two micrometres, which shows grains "
                "of clay and no cracks. (b) Memory, which is the greatest distance between the "
                "two branches of Figure 2, against the thickness of the film.",
                compound(
                    raster(grains(6, 260, 165, 240), "0.1 mm"),
                    plot(
                        "thickness (µm)",
                        "memory (scaled)",
                        [("six films", [0.02, 0.04, 0.21, 0.45, 0.66, 0.81])],
                        ["2", "4", "6", "8"],
                    ),
                ),
                165,
                1,
                None,
            ),
        ],
    ),
]
