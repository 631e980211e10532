"""The values of the inventory: what is stored is read again, whatever it holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.endpoint_snapshot import EndpointSnapshot, KnownModel, ResidentModel
from core.model.inventory import Gpu, GpuProcess, HostHardware, LoadOptions, ModelFamily, Ram, Residency
from core.model.stored import StoredValueError

GIB = 1024**3
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
counts = st.integers(0, 2**40)
options = st.builds(LoadOptions, st.none() | counts, st.none() | counts, st.lists(texts, max_size=2).map(tuple))
families = st.builds(ModelFamily, texts, options)
times = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (Hypothesis adds it)
processes = st.lists(st.builds(GpuProcess, counts, texts), max_size=2).map(tuple)
gpus = st.builds(
    Gpu,
    texts,
    texts,
    counts,
    counts,
    counts,
    st.booleans(),
    st.lists(st.builds(GpuProcess, counts, texts), max_size=2).map(tuple),
)
residents = st.builds(
    ResidentModel,
    texts,
    families,
    st.sampled_from(Residency),
    st.none() | counts,
    st.none() | counts,
    st.none() | times,
)
snapshots = st.builds(
    EndpointSnapshot,
    name=texts,
    kind=texts,
    gpus=st.lists(gpus, max_size=2).map(tuple),
    ram=st.none() | st.builds(Ram, counts, counts),
    residents=st.lists(residents, max_size=2).map(tuple),
    models=st.lists(st.builds(KnownModel, texts, families, st.none() | counts), max_size=2).map(tuple),
    seen_at=st.none() | times,
    checked_at=st.none() | times,
)


@given(snapshots)
def test_a_stored_snapshot_is_read_as_it_was(snapshot):
    assert EndpointSnapshot.from_json(json.loads(json.dumps(snapshot.to_json()))) == snapshot


@given(st.lists(gpus, max_size=3).map(tuple))
def test_stored_hardware_is_read_as_it_was(listed):
    hardware = HostHardware(listed, None, "why")
    assert HostHardware.from_json(json.loads(json.dumps(hardware.to_json()))) == hardware


def test_what_a_newer_version_wrote_is_refused():
    with pytest.raises(StoredValueError, match="newer Countersign wrote an endpoint of version 2"):
        EndpointSnapshot.from_json({**EndpointSnapshot("a", "ollama").to_json(), "v": 2})


@given(families, families)
def test_families_have_the_same_key_only_if_a_load_serves_both(one, other):
    if one == other:
        assert one.key == other.key


def test_the_options_that_force_a_reload_are_part_of_the_key():
    weights = "sha256:9f"
    keys = {
        ModelFamily(weights, LoadOptions(*values)).key
        for values in ((None, None), (4096, 1), (8192, 1), (4096, 2), (4096, 1, ("a",)), (4096, 1, ("a", "b")))
    }
    assert len(keys) == 6
    assert ModelFamily(weights, LoadOptions(4096, 1)).key == "sha256:9f;context=4096;parallel=1"
    assert (
        ModelFamily(weights, LoadOptions(adapters=("a", "b"))).key
        == ModelFamily(weights, LoadOptions(adapters=("b", "a"))).key
    )


def test_a_gpu_keeps_its_reserve_and_never_offers_less_than_nothing():
    assert Gpu("a", "", 24 * GIB, 10 * GIB, 2 * GIB).usable_bytes == 8 * GIB
    assert Gpu("a", "", 24 * GIB, GIB, 2 * GIB).usable_bytes == 0


def test_memory_that_is_not_the_models_is_somebody_elses():
    family = ModelFamily("sha256:9f")
    snapshot = EndpointSnapshot(
        "a",
        "ollama",
        gpus=(Gpu("a", "", 24 * GIB, 4 * GIB),),
        residents=(ResidentModel("m", family, vram_bytes=10 * GIB),),
    )
    assert snapshot.foreign_bytes == 10 * GIB
    assert snapshot.capacity_bytes == 24 * GIB
    assert snapshot.residency_of("m") is Residency.AWAKE
    assert snapshot.residency_of("other") is Residency.COLD


def test_a_cpu_only_host_has_its_ram():
    assert EndpointSnapshot("a", "ollama", ram=Ram(64 * GIB, 32 * GIB)).capacity_bytes == 64 * GIB
    assert EndpointSnapshot("a", "ollama").capacity_bytes is None
