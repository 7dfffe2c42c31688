"""An adapter of any kind on any part changes the model before it is merged as it does afterwards, or is refused."""

import pytest
from peft import get_peft_model
from support.adapter_kinds import CODE, KINDS, REFUSED, effect, make


@pytest.mark.parametrize("name", KINDS)
def test_a_merge_changes_nothing(name):
    before, after, gap = effect(name).values()
    assert before > 2e-5 and after > 2e-5 and gap < 5e-6


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_merge_would_lose_is_refused(name):
    which, config = REFUSED[name]
    model, read = make(which)
    adapted = get_peft_model(model, config(model.config.imu_token_offset + CODE))
    with pytest.raises(
        ValueError, match="are motion codes, whose vectors come from the codebook through imu_projector"
    ):
        read(adapted)
