"""Third parties' rights in figures, as their captions name them."""

import time

import pytest

from cephalo.dataset_scripts.publication.rights import third_party


@pytest.mark.parametrize(
    "claim",
    [
        "Reproduced with permission from Ref. 12.",
        "Reprinted with permission from Aubrey et al. (2014), Copyright 2014, RSC.",
        "(Adapted from Smith et al. [3].)",
        "Adapted from [12].",
        "Modified from Jones (2001).",
        "Redrawn after Ashby.",
        "Panel (b) was taken from the work of Smith.",
        "Reproduced by permission of Elsevier.",
        "Copyright 2012, American Chemical Society.",
        "Copyright © 2014 Elsevier Ltd.",
        "© 2014 Wiley-VCH.",
        "Image courtesy of J. Doe.",
        "Photo credit: J. Doe.",
        "Mit freundlicher Genehmigung des Verlages.",
        "with the kind permission of Springer Nature",
    ],
)
def test_a_claim_of_a_third_party(claim):
    found = third_party(f"Stress against strain of nacre. {claim}")
    assert found and found.rstrip(".")[:9] in claim


@pytest.mark.parametrize(
    "caption",
    [
        "Stress against strain of nacre.",
        "Cells adapted from suspension to surfaces after three days.",
        "Copyright: © 2020 The Authors.",
        "© 2020 The Author(s).",
        "The model was modified from a linear to a cubic one.",
        "Samples taken from the plate, with dimensions in mm.",
        "(c) Light micrograph of the surface; (d) a section.",
        "Reproduced from Canepa et al. (2017), licensed under CC BY 4.0.",
        "Patients gave permission to be photographed.",
        "",
    ],
)
def test_no_claim(caption):
    assert third_party(caption) is None


@pytest.mark.parametrize(
    "claim",
    [
        "Adapted with the consent of Wiley-VCH.",
        "PERMISSION OBTAINED FROM SPRINGER.",
        "REPRODUCED FROM SMITH ET AL.",
        "Permission was granted by the authors' publisher.",
    ],
)
def test_claims_in_other_words(claim):
    assert third_party(f"Stress against strain of nacre. {claim}")


@pytest.mark.parametrize(
    "claim",
    [
        "Reprinted from ref. 12 with permission.",
        "(c) 2019 American Chemical Society.",
        "Copyright (2018) American Chemical Society.",
        "Copyright 2018, Wiley-VCH",
        "Ⓒ 2010 Elsevier.",
        "© the Materials Research Society.",
        "Copyright owned by Nature Publishing Group.",
        "Adapted with permission.",
        "Reproduced with the authors' permission.",
        "Reproduced under licence from IOP Publishing.",
        "Permission to reproduce granted by Elsevier.",
        "With permission, Wiley.",
        "Panels a-c adapted from ref. 4.",
        "Figure from Ref. [12].",
        "The scheme was adapted from the literature [4].",
        "(After Ashby and Jones, 1980.)",
        "Image courtesy NASA.",
        "The image was kindly provided by Prof. H. Gao.",
        "Photo: J. Smith.",
        "Source: Smith et al. (2012).",
        "Licensed from Getty Images.",
        "Nachgedruckt aus [12].",
        "Verändert nach Schmidt (1999).",
        "Bildnachweis: DLR.",
        "Wiedergabe mit freundlicher Erlaubnis der ACS.",
        "Reproduit avec la permission d'Elsevier.",
        "Adapté de Dupont et al. (2012).",
        "Image tirée de la référence [3].",
        "Crédit photo : CNRS.",
        "Reproducido de [12] con autorización.",
        "Cortesía de NASA.",
        "Reproduzido com permissão de Elsevier.",
        "Riprodotto con il permesso di Elsevier.",
        "经Elsevier许可转载。",
        "文献12より許可を得て転載",
        "Перепечатано \u0441 разрешения Elsevier.",
    ],
)
def test_claims_of_publishers_and_languages(claim):
    assert third_party(f"Stress against strain of nacre. {claim}")
    assert third_party(f"Stress against strain ({claim.rstrip('.')}). Bars are 5 mm.")


@pytest.mark.parametrize(
    "caption",
    [
        "(a) Load. (b) Strain. (c) 2010 Sumatra earthquake.",
        "(b) 2000 and (c) 3000 cycles.",
        "Samples prepared with permission of the ethics committee.",
        "Collected with permission from the national park authorities.",
        "Permission from each patient was obtained for the photographs.",
        "Sampling was done with permission.",
        "User roles with permission levels.",
        "Images were taken from the centre of the sample.",
        "Micrographs were taken from the surface after 3 days.",
        "Data derived from Raman spectra.",
        "Adapted after 5 days of exposure.",
        "Modified from the [110] to the [111] orientation.",
        "Data from [12] are shown as triangles.",
        "Photo: top view of the device.",
        "Source: tungsten filament.",
        "Quelle: eigene Darstellung.",
        "Powders provided by Höganäs AB.",
        "Muestras tomadas de la placa.",
        "© 2021 by the authors. Licensee MDPI.",
    ],
)
def test_captions_of_samples_and_measurements_claim_nothing(caption):
    assert third_party(f"Stress against strain of nacre. {caption}") is None


def test_an_open_licence_frees_only_the_panel_that_it_is_named_for():
    free = "(b) Adapted from Lee et al. (2019). Copyright 2019, Wiley. CC BY 4.0."
    assert third_party(f"(a) Our own sample. {free}") is None
    assert third_party(f"(a) Reproduced with permission from Elsevier. {free}")
    assert third_party(f"{free} (c) Reproduced with permission from Elsevier.")
    assert third_party("Adapted from Lee et al. (2019) under CC BY-NC 4.0.")


def test_hostile_captions_take_no_time():
    started = time.process_time()
    assert third_party("copyright" + " " * 50_000 + "5 mm") is None
    assert third_party("(adapted " * 20_000) is None
    assert third_party("reproduced the a " * 5_000) is None
    assert third_party("© A " * 4_900 + "under CC BY 4.0")
    assert time.process_time() - started < 2
