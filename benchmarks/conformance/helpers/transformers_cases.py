"""Base classes for transformers' common tests of models, on ours and on the yardstick."""

from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from .families import ModelTester
from .generation.test_utils import GenerationTesterMixin
from .test_configuration_common import ConfigTester
from .test_modeling_common import ModelTesterMixin


class ModelCase(ModelTesterMixin, GenerationTesterMixin):
    """Mixin before `unittest.TestCase`; `family` has the arguments of `ModelTester` by name."""

    family: dict
    _is_composite = True
    # Its first size is the number of tiles, not of rows, in each of these families.
    skip_test_image_features_output_shape = True

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        # The tests find models without a head in this table, which `register` does not change.
        for model_class in cls.all_model_classes:
            if not model_class.can_generate():
                MODEL_MAPPING_NAMES.setdefault(
                    model_class.config_class.model_type, model_class.__name__
                )

    def setUp(self) -> None:
        self.model_tester = ModelTester(self, **self.family)

    def test_config(self) -> None:
        """Run the common tests of configurations in one call."""
        config_class = type(self.model_tester.get_config())
        ConfigTester(self, config_class=config_class, has_text_modality=False).run_common_tests()
