"""Sentences of each language, as templates with slots that `Writer` fills.

Slots: {mat} a material, {proc} a treatment, {prop} a property, {tool} an instrument, {obs} what is
seen, {q} a quantity with its unit, {f} a formula, {s} a symbol, {n} a number, {cite} a citation.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """What a paper of one language is written with.

    Attributes:
        code: ISO 639-1 code, as Typst takes it.
        slots: Fillers of the slots of its templates.
        body: Sentences of running text.
        titles: First sentences of captions, without the full stop.
        notes: Further sentences of captions.
        parts: Descriptions of panels, without marks and full stop.
        mentions: Sentences about figure {fig}, some beginning with its label.
        figure: Words that captions of figures begin with.
        table: Words that captions of tables begin with.
        cited: Words by which the text cites figures.
        headings: Section titles.
        see: Note under a figure whose caption is on the next page.
        legends: Heading of a list of captions.
        references: Heading of the references.
        stop: Full stop with the space that follows it.
        spaced: Whether words are parted by spaces.
    """

    code: str
    slots: dict[str, list[str]]
    body: list[str]
    titles: list[str]
    notes: list[str]
    parts: list[str]
    mentions: list[str]
    figure: list[str]
    table: list[str]
    cited: list[str]
    headings: list[str]
    see: str
    legends: str
    references: str
    stop: str = ". "
    spaced: bool = True


ENGLISH = Language(
    code="en",
    slots={
        "mat": "aluminium foams|high-entropy alloys|a glass-fibre laminate|chitosan films|polycrystalline copper|nanotwinned silver|a nickel superalloy|porous alumina|self-healing elastomers|hydrogel scaffolds|austenitic steel|bulk metallic glass|graphene-reinforced epoxy|nacre-like composites|lead-free perovskites|woven carbon fabric|cement paste|silk fibres|oxide dispersions|shape-memory wires".split(
            "|"
        ),
        "proc": "spark plasma sintering|cold rolling|laser remelting|solution treatment|ball milling|freeze casting|electrodeposition|hot isostatic pressing|plasma etching|ageing|quenching in oil|three-point bending|cyclic loading|dip coating|atomic layer deposition|severe plastic deformation".split(
            "|"
        ),
        "prop": "yield strength|fracture toughness|grain size|thermal conductivity|residual stress|ionic conductivity|porosity|hardness|wear rate|elastic modulus|crack density|surface roughness|creep rate|capacity retention|contact angle|interfacial energy|half-cell potential|three-phonon scattering rate".split(
            "|"
        ),
        "tool": "scanning electron microscopy|X-ray diffraction|nanoindentation|Raman spectroscopy|atom probe tomography|differential scanning calorimetry|digital image correlation|a finite element model|molecular dynamics|a random forest|profilometry|impedance spectroscopy".split(
            "|"
        ),
        "obs": "a bimodal distribution|sharp interfaces|twinned lamellae|delaminated regions|equiaxed dendrites|cracks along the boundaries|spherical pores|a broad shoulder|columnar grains|well-separated precipitates|a monotonic decrease|two plateaus".split(
            "|"
        ),
    },
    body=[
        "The {prop} of {mat} rose by {n} % after {proc}, which agrees with earlier work {cite}",
        "We measured {prop} and {prop} by {tool} at {q}",
        "It has long been known that {proc} changes the {prop} of {mat} {cite}",
        "At {q}, however, {obs} appeared, and the {prop} fell to {q}",
        "Samples of {f} were prepared by {proc}, dried at {q} and stored in argon",
        "Neither {proc} nor {proc} had any effect on {mat} (p = 0.{n})",
        "This is explained by {obs}; a similar trend was reported for {f} {cite}",
        "The model has {d} parameters, of which the {prop} matters most",
        "In what follows, {s} denotes the {prop} of {mat}",
        "For {mat}, {tool} gave {q}, i.e. {n} % more than for {f}",
        "Loads of {q} were applied for {q}, and the {prop} was read every {d} min",
        "Such {obs} were not seen in {mat}",
        "Errors were estimated from {n} repeats",
        "On the other hand, the role of {prop} in {proc} remains unclear {cite}",
        "A total of {n} specimens (see Methods) were examined by {tool}",
        "Whether {proc} alters {prop} was tested with {mat} from {d} suppliers, each in {d} batches of nominally identical composition",
        "The ratio {s} is close to unity",
        "Taken together, these results suggest that {obs} govern the {prop} of {mat} above {q}",
        "Powders (99.{n} % purity) were mixed with {f} and pressed at {q}",
        "Interestingly, {mat} behaved otherwise: their {prop} stayed at {q} even after {proc} for {q}",
    ],
    titles=[
        "{Prop} of {mat} after {proc}",
        "Effect of {proc} on the {prop} of {mat}",
        "{Tool} of {f}",
        "Micrographs of {mat} with {obs}",
        "Schematic of {proc}",
        "Comparison of measured and predicted {prop} for {mat} and {f}",
        "{Obs} in {mat}",
        "Overview of the experimental set-up",
        "Dependence of {prop} on {prop} at {q}",
        "{Mat} before and after {proc} at {q}",
        "Evolution of the {prop} during {proc}: experiment and {tool}",
        "Workflow of this study",
    ],
    notes=[
        "Scale bars, {q}",
        "Error bars are standard deviations of {n} measurements",
        "The dashed line marks {q}",
        "Solid lines are fits with {s}",
        "Arrows point at {obs}",
        "Data of {f} are from the literature {cite}",
        "Insets show {obs} at higher magnification",
        "Open symbols denote samples after {proc}, closed symbols those before",
        "The {prop} was obtained by {tool}, with {s} held fixed",
        "Note the change of slope near {q}",
        "Samples were kept at {q} for {q} prior to {proc}; all other conditions were as described in the text",
        "Here {s} is the {prop}",
        "Colours indicate the {prop} between {q} and {q}",
        "Reproduced with permission {cite}",
        "See text for details",
        "n = {n} samples; *, p below 0.05; **, p below 0.01 (two-sided t-test)",
        "Values in brackets give the {prop} of {mat} under otherwise identical conditions",
    ],
    parts=[
        "{prop} of {mat}",
        "{tool} image showing {obs}",
        "the same region after {proc}",
        "{prop} against {prop} at {q}",
        "histogram of the {prop}",
        "fit with {s}",
        "magnified view of {obs}",
        "reference sample of {f}",
    ],
    mentions=[
        "{fig} shows the {prop} of {mat} after {proc}",
        "{fig} compares {mat} with {f}",
        "As seen in {fig}, {obs} dominate above {q}",
        "The {prop} falls with {prop} ({fig})",
        "In {fig} the {prop} is plotted for {n} samples",
        "The same holds for {mat} (Supplementary {fig})",
        "These values (see {fig}, and Table {d}) are typical of {mat}",
        "{fig}, left, gives the {prop} at {q}; the right part that at {q}",
        "{fig} (b) and {fig} (c) were taken from {mat}",
    ],
    figure=[
        "Figure",
        "Figure",
        "Figure",
        "Fig.",
        "Fig.",
        "Fig",
        "FIG.",
        "FIGURE",
        "Scheme",
        "Chart",
        "Supplementary Figure",
        "Extended Data Fig.",
        "Supplementary Fig.",
        "Plate",
    ],
    table=["Table", "Table", "TABLE", "Tab."],
    cited=["Figure", "Fig.", "Fig.", "Figs.", "fig."],
    headings=[
        "Introduction",
        "Materials and methods",
        "Results",
        "Mechanical tests",
        "Discussion",
        "Model",
        "Sample preparation",
        "Statistical analysis",
        "Conclusions",
        "Limitations and outlook",
    ],
    see="(See legend on next page.)",
    legends="Figure captions",
    references="References",
)
GERMAN = Language(
    code="de",
    slots={
        "mat": "Aluminiumschäume|hochfeste Stähle|ein Glasfaserlaminat|poröse Keramiken|metallische Gläser|Seidenfasern|Zementstein|Kupferfolien".split(
            "|"
        ),
        "proc": "dem Glühen|dem Kaltwalzen|der Laserbehandlung|dem Sintern|dem Abschrecken|der Alterung|dem Ätzen".split(
            "|"
        ),
        "prop": "Härte|Streckgrenze|Wärmeleitfähigkeit|Korngröße|Bruchzähigkeit|Porosität|Oberflächenrauheit|Eigenspannung".split(
            "|"
        ),
        "tool": "Rasterelektronenmikroskopie|Röntgenbeugung|Nanoindentation|Raman-Spektroskopie|Dilatometrie".split(
            "|"
        ),
        "obs": "Risse entlang der Korngrenzen|kugelförmige Poren|Zwillingslamellen|zwei Plateaus|scharfe Übergänge".split(
            "|"
        ),
    },
    body=[
        "Die {prop} wurde mittels {tool} bei {q} bestimmt und nahm nach {proc} um {n} % zu {cite}",
        "Nach {proc} zeigten sich {obs}",
        "Proben aus {f} wurden bei {q} getrocknet und anschließend {n} Stunden gelagert",
        "Frühere Arbeiten {cite} berichten über ähnliche Werte, jedoch ohne Angabe der {prop}",
        "Für {mat} ergab sich ein Mittelwert von {q}",
        "Ob die {prop} von der {prop} abhängt, ist bislang ungeklärt, obwohl hierzu zahlreiche Untersuchungen vorliegen {cite}",
        "Die Größe {s} bleibt dabei unverändert",
    ],
    titles=[
        "{Prop} nach {proc}",
        "Einfluss der {prop} auf die {prop}",
        "{Tool} an {f}",
        "Schematische Darstellung des Versuchsaufbaus",
        "Gefüge mit Übergangszone bei {q}",
    ],
    notes=[
        "Die gestrichelte Linie kennzeichnet {q}",
        "Fehlerbalken geben die Standardabweichung von {n} Messungen an",
        "Pfeile weisen auf {obs}",
        "Gemessen mittels {tool} bei {q}",
        "Daten für {f} nach {cite}",
        "Übrige Größen wie im Text, insbesondere {s}",
    ],
    parts=["{prop} vor {proc}", "{prop} nach {proc}", "Ausschnitt: {obs}", "Verlauf bei {q}"],
    mentions=[
        "{fig} zeigt die {prop} nach {proc}",
        "Wie aus {fig} hervorgeht, treten {obs} auf",
        "Die {prop} sinkt deutlich ({fig})",
        "In {fig} ist die {prop} für {n} Proben aufgetragen",
    ],
    figure=["Abbildung", "Abb.", "Abb.", "Bild"],
    table=["Tabelle", "Tab."],
    cited=["Abbildung", "Abb."],
    headings=[
        "Einleitung",
        "Werkstoffe und Methoden",
        "Ergebnisse",
        "Diskussion",
        "Schlussfolgerungen",
        "Prüfverfahren",
    ],
    see="(Legende auf der nächsten Seite.)",
    legends="Abbildungsverzeichnis",
    references="Literatur",
)
FRENCH = Language(
    code="fr",
    slots={
        "mat": "les mousses d’aluminium|les verres métalliques|un stratifié|la pâte de ciment|les fibres de soie|l’alumine poreuse".split(
            "|"
        ),
        "proc": "recuit|laminage à froid|frittage|traitement laser|vieillissement|trempe".split(
            "|"
        ),
        "prop": "dureté|limite d’élasticité|conductivité thermique|taille de grain|ténacité|porosité".split(
            "|"
        ),
        "tool": "microscopie électronique|diffraction des rayons X|nano-indentation|spectroscopie Raman".split(
            "|"
        ),
        "obs": "des pores sphériques|des fissures intergranulaires|deux plateaux|des lamelles mâclées".split(
            "|"
        ),
    },
    body=[
        "La {prop} a été mesurée par {tool} à {q} {cite}",
        "Après {proc}, on observe {obs} et une hausse de la {prop} de {n} %",
        "Les échantillons de {f} ont été séchés à {q} puis conservés pendant {n} jours",
        "Ce résultat s’accorde avec les travaux antérieurs {cite}, bien que la {prop} n’y soit pas précisée",
        "Pour {mat}, la valeur moyenne est de {q}",
        "On note {s} la {prop} du matériau",
    ],
    titles=[
        "Évolution de la {prop} après {proc}",
        "Influence de la {prop} sur la {prop}",
        "Schéma du dispositif expérimental",
        "Images par {tool} de {f}",
    ],
    notes=[
        "La ligne pointillée indique {q}",
        "Les barres d’erreur correspondent à {n} mesures",
        "Les flèches désignent {obs}",
        "À {q}, l’écart dépasse {n} %",
        "Données de {f} d’après {cite}",
        "Le symbole {s} désigne la {prop}",
    ],
    parts=["{prop} avant {proc}", "{prop} après {proc}", "détail : {obs}", "courbe à {q}"],
    mentions=[
        "La {fig} montre la {prop} après {proc}",
        "{fig} : évolution comparée de la {prop}",
        "La {prop} diminue nettement ({fig})",
    ],
    figure=["Figure", "Fig.", "FIGURE"],
    table=["Tableau", "TABLEAU"],
    cited=["figure", "Fig.", "Figure"],
    headings=["Introduction", "Matériaux et méthodes", "Résultats", "Discussion", "Conclusion"],
    see="(Voir la légende page suivante.)",
    legends="Légendes des figures",
    references="Bibliographie",
)
SPANISH = Language(
    code="es",
    slots={
        "mat": "las espumas de aluminio|los vidrios metálicos|un laminado|la pasta de cemento|las fibras de seda".split(
            "|"
        ),
        "proc": "el recocido|la laminación en frío|la sinterización|el temple|el envejecimiento".split(
            "|"
        ),
        "prop": "dureza|resistencia|conductividad térmica|porosidad|tenacidad|rugosidad".split("|"),
        "tool": "microscopía electrónica|difracción de rayos X|nanoindentación|espectroscopía Raman".split(
            "|"
        ),
        "obs": "poros esféricos|grietas en los límites de grano|dos mesetas|láminas macladas".split(
            "|"
        ),
    },
    body=[
        "La {prop} se midió mediante {tool} a {q} {cite}",
        "Tras {proc} aparecen {obs}, y la {prop} aumenta un {n} %",
        "Las muestras de {f} se secaron a {q} y se guardaron durante {n} días en atmósfera inerte",
        "Este resultado coincide con trabajos anteriores {cite}",
        "Para {mat} el valor medio fue de {q}; la magnitud {s} permaneció constante",
    ],
    titles=[
        "Variación de la {prop} tras {proc}",
        "Efecto de la {prop} sobre la {prop}",
        "Esquema del montaje experimental",
        "Imágenes de {tool} de {f}",
    ],
    notes=[
        "La línea discontinua indica {q}",
        "Las barras de error corresponden a {n} medidas",
        "Las flechas señalan {obs}",
        "Según {cite}, con {s} fijo",
        "Condiciones: {q} durante {q}",
    ],
    parts=["{prop} antes", "{prop} después de {proc}", "detalle con {obs}", "curva a {q}"],
    mentions=[
        "La {fig} muestra la {prop} tras {proc}",
        "{fig} compara la {prop} de {n} muestras",
        "La {prop} disminuye ({fig})",
    ],
    figure=["Figura", "Fig.", "FIGURA"],
    table=["Tabla", "TABLA"],
    cited=["Figura", "Fig."],
    headings=["Introducción", "Materiales y métodos", "Resultados", "Discusión", "Conclusiones"],
    see="(Véase la leyenda en la página siguiente.)",
    legends="Leyendas de las figuras",
    references="Referencias",
)
PORTUGUESE = Language(
    code="pt",
    slots={
        "mat": "as espumas de alumínio|os vidros metálicos|um laminado|a pasta de cimento|as fibras de seda".split(
            "|"
        ),
        "proc": "o recozimento|a laminação a frio|a sinterização|a têmpera|o envelhecimento".split(
            "|"
        ),
        "prop": "dureza|resistência|condutividade térmica|porosidade|tenacidade|rugosidade".split(
            "|"
        ),
        "tool": "microscopia eletrônica|difração de raios X|nanoindentação|espectroscopia Raman".split(
            "|"
        ),
        "obs": "poros esféricos|trincas intergranulares|dois patamares|lamelas macladas".split("|"),
    },
    body=[
        "A {prop} foi medida por {tool} a {q} {cite}",
        "Após {proc} observam-se {obs}, e a {prop} aumenta {n} %",
        "As amostras de {f} foram secas a {q} e guardadas por {n} dias em atmosfera inerte",
        "Esse resultado concorda com trabalhos anteriores {cite}",
        "Para {mat} o valor médio foi de {q}; a grandeza {s} não variou",
    ],
    titles=[
        "Variação da {prop} após {proc}",
        "Efeito da {prop} sobre a {prop}",
        "Esquema do aparato experimental",
        "Imagens de {tool} de {f}",
    ],
    notes=[
        "A linha tracejada indica {q}",
        "As barras de erro correspondem a {n} medições",
        "As setas apontam {obs}",
        "Segundo {cite}, com {s} fixo",
        "Condições: {q} durante {q}",
    ],
    parts=["{prop} antes", "{prop} após {proc}", "detalhe com {obs}", "curva a {q}"],
    mentions=[
        "A {fig} mostra a {prop} após {proc}",
        "{fig} compara a {prop} de {n} amostras",
        "A {prop} diminui ({fig})",
    ],
    figure=["Figura", "Fig.", "FIGURA"],
    table=["Tabela", "TABELA"],
    cited=["Figura", "Fig."],
    headings=["Introdução", "Materiais e métodos", "Resultados", "Discussão", "Conclusões"],
    see="(Ver legenda na próxima página.)",
    legends="Legendas das figuras",
    references="Referências",
)
CHINESE = Language(
    code="zh",
    slots={
        "mat": "泡沫铝|金属玻璃|玻璃纤维层合板|多孔氧化铝|高熵合金|水泥浆体".split("|"),
        "proc": "退火|冷轧|激光重熔|烧结|淬火|时效".split("|"),
        "prop": "硬度|屈服强度|导热系数|晶粒尺寸|断裂韧性|孔隙率".split("|"),
        "tool": "扫描电子显微镜|X射线衍射|纳米压痕|拉曼光谱".split("|"),
        "obs": "球形孔隙|沿晶裂纹|孪晶片层|两个平台".split("|"),
    },
    body=[
        "采用{tool}在{q}下测定了{mat}的{prop}{cite}",
        "经{proc}后出现{obs},{prop}提高了{n}%",
        "{f}样品在{q}下干燥,并在氩气中保存{n}天",
        "这一结果与已有研究一致{cite},但{prop}的变化机理尚不清楚",
        "对于{mat},其平均值为{q}",
    ],
    titles=[
        "{mat}经{proc}后的{prop}",
        "{proc}对{mat}{prop}的影响",
        "实验装置示意图",
        "{f}的{tool}图像",
    ],
    notes=[
        "虚线表示{q}",
        "误差棒为{n}次测量的标准差",
        "箭头所指为{obs}",
        "其中{s}保持不变",
        "数据引自文献{cite}",
    ],
    parts=["{proc}前的{prop}", "{proc}后的{prop}", "{obs}的放大图", "{q}下的曲线"],
    mentions=[
        "{fig}给出了{mat}经{proc}后的{prop}",
        "由{fig}可见,{prop}随温度升高而下降",
        "{prop}明显降低({fig})",
    ],
    figure=["图"],
    table=["表"],
    cited=["图"],
    headings=["引言", "材料与方法", "结果", "讨论", "结论"],
    see="(图注见下页)",
    legends="图注",
    references="参考文献",
    stop="。",
    spaced=False,
)
JAPANESE = Language(
    code="ja",
    slots={
        "mat": "発泡アルミニウム|金属ガラス|多孔質アルミナ|高エントロピー合金".split("|"),
        "proc": "焼鈍|冷間圧延|焼結|焼入れ|時効処理".split("|"),
        "prop": "硬さ|降伏応力|熱伝導率|結晶粒径|破壊靭性".split("|"),
        "tool": "走査電子顕微鏡|X線回折|ナノインデンテーション".split("|"),
        "obs": "球状の気孔|粒界き裂|双晶ラメラ".split("|"),
    },
    body=[
        "{tool}を用いて{q}における{mat}の{prop}を測定した{cite}",
        "{proc}の後に{obs}が現れ、{prop}は{n}%増加した",
        "{f}の試料は{q}で乾燥し、アルゴン中で{n}日間保管した",
        "この結果は既報{cite}と一致するが、{prop}の変化の機構は明らかでない",
    ],
    titles=[
        "{proc}後の{mat}の{prop}",
        "{mat}の{prop}に及ぼす{proc}の影響",
        "実験装置の模式図",
        "{f}の{tool}像",
    ],
    notes=[
        "破線は{q}を示す",
        "誤差棒は{n}回の測定の標準偏差である",
        "矢印は{obs}を示す",
        "ここで{s}は一定とした",
    ],
    parts=["{proc}前の{prop}", "{proc}後の{prop}", "{obs}の拡大像", "{q}での曲線"],
    mentions=[
        "{fig}に{proc}後の{prop}を示す",
        "{fig}より、{prop}は温度とともに低下する",
        "{prop}は著しく低下した({fig})",
    ],
    figure=["図", "Fig."],
    table=["表"],
    cited=["図"],
    headings=["緒言", "実験方法", "結果", "考察", "結言"],
    see="(説明は次頁)",
    legends="図の説明",
    references="文献",
    stop="。",
    spaced=False,
)
LANGUAGES = {
    language.code: language
    for language in (ENGLISH, GERMAN, FRENCH, SPANISH, PORTUGUESE, CHINESE, JAPANESE)
}
