"""The estimate of a model's memory, and what corrects it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.family_figures import LARGEST_RATIO, SMALLEST_RATIO, FamilyTimings, MemoryCorrection
from core.model.inventory import LoadOptions
from lanes.inventory.memory import ModelShape, estimate_memory, weights_bytes

GIB = 1024**3
LLAMA_8B = ModelShape(4_920_734_752, layers=32, kv_heads=32 * 8, key_length=128, value_length=128)

shapes = st.builds(
    ModelShape,
    st.integers(1, 400 * GIB),
    st.integers(1, 200),
    st.integers(1, 20_000),
    st.integers(1, 512),
    st.integers(1, 512),
)
contexts, parallels = st.integers(1, 10_000_000), st.integers(1, 512)


def total(shape: ModelShape, context: int, parallel: int) -> int:
    return estimate_memory(shape, LoadOptions(context, parallel)).total_bytes


def test_the_kv_cache_of_a_known_model_has_the_published_size():
    """Llama 3.1 8B: 2 · 32 layers · 8 KV heads · 128 · 2 bytes are 128 KiB a token, so 1 GiB for 8,192 tokens."""
    assert estimate_memory(LLAMA_8B, LoadOptions(8192, 1)).kv_cache_bytes == GIB
    assert estimate_memory(LLAMA_8B, LoadOptions(8192, 4)).kv_cache_bytes == 4 * GIB
    assert estimate_memory(LLAMA_8B, LoadOptions(8192, 1), kv_bytes=1.0).kv_cache_bytes == GIB // 2


def test_without_a_context_it_is_the_default_of_ollama():
    assert estimate_memory(LLAMA_8B, LoadOptions()) == estimate_memory(LLAMA_8B, LoadOptions(4096, 1))


@given(shapes, contexts, contexts, parallels, parallels)
def test_more_context_and_more_parallel_requests_never_take_less(shape, context, more_context, parallel, more_parallel):
    small = total(shape, min(context, more_context), min(parallel, more_parallel))
    assert small <= total(shape, max(context, more_context), min(parallel, more_parallel))
    assert small <= total(shape, min(context, more_context), max(parallel, more_parallel))


@given(shapes, contexts, parallels)
def test_an_estimate_is_more_than_the_weights(shape, context, parallel):
    assert total(shape, context, parallel) > shape.weights_bytes


@pytest.mark.parametrize(
    ("parameters", "quantization", "gigabytes"),
    [
        ("8.2B", "Q4_K_M", 4.97),
        ("8.0B", "F16", 16.0),
        ("494.03M", "Q8_0", 0.525),
        ("70B", "IQ2_XS", 22.75),
        ("7B", "", 14),
    ],
)
def test_weights_follow_from_the_quantization_where_the_file_is_not_known(parameters, quantization, gigabytes):
    assert weights_bytes(None, parameters, quantization) == pytest.approx(gigabytes * 1e9, rel=0.01)


def test_the_size_of_the_file_comes_first_and_nonsense_is_no_size():
    assert weights_bytes(5, "8B", "Q4_0") == 5
    assert weights_bytes(None, "a lot", "Q4_0") == 0


@given(st.integers(1, 10**12), st.lists(st.floats(0.3, 3.0), min_size=1, max_size=40))
def test_what_is_observed_keeps_the_factor_within_what_was_observed(estimate, ratios):
    correction = MemoryCorrection()
    for ratio in ratios:
        correction = correction.after(estimate * 1000, round(estimate * 1000 * ratio))
    assert min(ratios) - 0.01 <= correction.factor <= max(ratios) + 0.01
    assert correction.count == len(ratios)


@given(st.floats(0.3, 3.0), st.integers(1, 20))
def test_the_same_observation_again_and_again_corrects_to_the_truth(ratio, times):
    correction, estimate = MemoryCorrection(), 10**10
    for _ in range(times):
        correction = correction.after(estimate, round(estimate * ratio))
    assert correction.apply(estimate) == pytest.approx(estimate * ratio, rel=1e-6)


@given(st.floats(0.3, 3.0), st.floats(0.3, 3.0))
def test_after_a_change_the_factor_approaches_the_new_truth(before, after):
    correction, estimate = MemoryCorrection(), 10**10
    for ratio in [before] * 20 + [after] * 30:
        correction = correction.after(estimate, round(estimate * ratio))
    assert abs(correction.factor - after) <= abs(before - after) * 0.01 + 1e-6


def test_a_mistaken_measurement_is_bounded_and_none_is_ignored():
    assert MemoryCorrection().after(100, 10**9).factor == LARGEST_RATIO
    assert MemoryCorrection().after(10**9, 1).factor == SMALLEST_RATIO
    assert MemoryCorrection().after(100, 0) == MemoryCorrection()


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=100))
def test_times_have_ordered_quantiles_within_what_was_seen(times):
    timings = FamilyTimings()
    for seconds in times:
        timings = timings.after(seconds)
    half, most = timings.quantile(0.5), timings.quantile(0.9)
    assert half is not None
    assert most is not None
    assert min(times) <= half <= most <= max(times)
    assert min(times) - 1e-6 <= timings.average_s <= max(times) + 1e-6
    assert len(timings.recent) <= 32


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_what_is_no_duration_is_refused(seconds):
    with pytest.raises(ValueError, match="is not a duration"):
        FamilyTimings().after(seconds)
