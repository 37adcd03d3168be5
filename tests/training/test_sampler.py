"""The exported sampler: the same batches whatever the workers, the ranks and the resumes; never an id outside the pool."""

import copy
import json
import socket

import numpy as np
import pytest
import torch
import torch.distributed
from torch.utils.data import DataLoader, Dataset

from learnability.curriculum import Pacing, Schedule, order, prune
from learnability.errors import InputError
from learnability.training import CurriculumSampler
from learnability.training.batches import order as ordinary_order

IDS = np.random.default_rng(0).permutation(2000)[:1000]
GOLDEN = {  # N = 1000, T = 100, a = 0.8, b = 0.2, G = 100: passes of each pacing
    "linear": 21,
    "step": 42,
    "log": 13,
}


def made(pacing="linear,a=0.8,b=0.2", **changes) -> CurriculumSampler:
    return CurriculumSampler(**{"order_N": IDS, "pacing": pacing, "batch_size": 100, "steps": 100, "seed": 3} | changes)


def whole(sampler: CurriculumSampler, epochs: int = 10) -> list[list[int]]:
    batches = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        batches += list(sampler)
    return batches


class Rows(Dataset):
    """Row i is the number i."""

    def __len__(self):
        return 2000

    def __getitem__(self, row):
        return row


def loaded(sampler: CurriculumSampler, workers: int = 0):
    return DataLoader(Rows(), batch_sampler=sampler, num_workers=workers)


# what the batches are


@pytest.mark.parametrize("name", GOLDEN)
def test_batches_are_those_of_the_schedule_that_our_own_loop_asks(name):
    sampler = made(f"{name},a=0.8,b=0.2")
    assert len(sampler.schedule.passes) == GOLDEN[name]
    batches = whole(sampler)
    own = Schedule(order_N=IDS, pacing=Pacing(name=name, a=0.8, b=0.2), batch_size=100, steps=100, seed=3)
    assert batches == [own.batch(t).tolist() for t in range(100)]
    assert all(type(i) is int for i in batches[0])
    place = {sample: at for at, sample in enumerate(IDS.tolist())}
    for t, ids in enumerate(batches):
        assert len(set(ids)) == len(ids) and max(place[i] for i in ids) < own.pool(t), "never an id outside the pool"


@pytest.mark.parametrize(("N", "batch"), [(1000, 100), (1003, 100), (250, 64)])
def test_standard_is_the_order_of_ordinary_training_batch_for_batch(N, batch):
    ids = np.sort(IDS[: min(N, 1000)]) if N <= 1000 else np.arange(N)
    epoch_length = -(-len(ids) // batch)
    sampler = made("full", order_N=ids[::-1], batch_size=batch, steps=3 * epoch_length)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        shuffled = ids[ordinary_order(3, epoch, ids)].tolist()
        assert list(sampler) == [shuffled[start : start + batch] for start in range(0, len(ids), batch)]


def test_all_arms_have_equal_updates_and_one_length():
    score_N = np.round(np.random.default_rng(1).random(950), 1)
    labels_N = np.arange(950) % 7
    for arm in ("easy_first", "hard_first", "random", "standard"):
        ids = order(score_N, "high", arm, seed=5, labels_N=labels_N).ids_N
        for name in ("linear", "log", "exp", "step", "full", "competence", "fixed_exponential"):
            sampler = made(Pacing(name=name), order_N=ids, batch_size=64, steps=45)
            assert len(sampler) == 15 and len(whole(sampler, 3)) == 45 and len(loaded(sampler)) == 15


def test_two_seeds_share_no_order():
    batches = {tuple(batch) for seed in range(5) for batch in list(made(seed=seed))[:4]}
    assert len(batches) == 20


def test_a_pruned_subset_keeps_its_sample_ids():
    score_N = np.random.default_rng(2).random(800)
    kept = prune(score_N, "high", 300, "stratified")
    chosen = order(score_N[kept], "high", balance=False, sample_ids_N=kept).ids_N
    given = {i for batch in whole(made(order_N=chosen, batch_size=50, steps=60)) for i in batch}
    assert given == set(kept.tolist())


def test_independent_draws():
    sampler = made("step,a=0.5,b=0.3", draw="independent")
    batches = whole(sampler)
    assert all(len(set(batch)) == 100 for batch in batches)
    assert all(set(batch) <= set(IDS[:300].tolist()) for batch in batches[:50])
    assert not set(batches[60]) <= set(IDS[:300].tolist())


# ranks


@pytest.mark.parametrize(("N", "draw"), [(1000, "passes"), (1037, "passes"), (1000, "independent")])
def test_four_ranks_together_are_one_process_at_every_step(N, draw):
    ids = np.arange(N)
    steps = 10 * -(-N // 100)
    one = whole(made(order_N=ids, steps=steps, draw=draw))
    ranks = [whole(made(order_N=ids, steps=steps, draw=draw, batch_size=25, rank=rank, world_size=4)) for rank in range(4)]
    assert len(one) == steps and {len(own) for own in ranks} == {steps}
    for t, batch in enumerate(one):
        parts = [own[t] for own in ranks]
        assert sorted(i for part in parts for i in part) == sorted(batch), "no id twice, none missing, no padding"
        assert parts == [batch[rank::4] for rank in range(4)]
    assert N % 100 == 0 or any(len(batch) == 37 for batch in one)


def test_rank_and_world_size_come_from_torch_distributed(monkeypatch):
    alone = list(made())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
    try:
        assert (made().rank, made().world_size) == (0, 1)
        monkeypatch.setattr(torch.distributed, "get_rank", lambda: 2)
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
        sampler = made(batch_size=25)
        assert (sampler.rank, sampler.world_size) == (2, 4)
        assert list(sampler) == [batch[2::4] for batch in alone]
        assert made(rank=0, world_size=1).rank == 0, "what is given wins"
    finally:
        torch.distributed.destroy_process_group()


# epochs, stops and resumes


def test_without_set_epoch_one_epoch_follows_the_other_until_all_steps_are_done():
    sampler, expected = made(steps=95), whole(made(steps=95))
    assert [batch for _ in range(12) for batch in sampler] == expected and len(expected) == 95
    again = made()
    begun = iter(again)
    first = [next(begun), next(begun)]
    assert list(again)[:2] == first, "an epoch that was broken off begins anew"
    again.set_epoch(4)
    assert list(again) == whole(made())[40:50]
    assert list(again) == whole(made())[50:60]


@pytest.mark.parametrize("workers", [0, 4])
def test_stopped_at_step_37_and_resumed_it_is_the_uninterrupted_run(workers):
    expected = whole(made())
    first, done, seen = made(), 0, []
    for epoch in range(10):
        first.set_epoch(epoch)
        for batch in loaded(first, workers if epoch == 3 else 0):
            seen.append(batch.tolist())
            done += 1
            if done == 37:
                break
        if done == 37:
            break
    state = json.loads(json.dumps(first.state_dict(step=done)))
    if workers:
        assert first.state_dict()["step"] > 37, "workers ask ahead, so the count of yielded batches is not that of updates"
    second = made()
    second.load_state_dict(state)
    for epoch in range(state["step"] // len(second), 10):
        second.set_epoch(epoch)
        loader = loaded(second, workers if epoch == 3 else 0)
        assert len(loader) == 10
        seen += [batch.tolist() for batch in loader]
    assert seen == expected


def test_set_epoch_after_a_resume():
    expected = whole(made())

    def resumed() -> CurriculumSampler:
        sampler = made()
        sampler.load_state_dict(made().state_dict(37))
        return sampler

    same = resumed()
    same.set_epoch(3)
    assert list(same) == expected[37:40], "the epoch resumed into keeps its offset"
    same.set_epoch(3)
    assert list(same) == expected[30:40], "once"
    following = resumed()
    following.set_epoch(4)
    assert list(following) == expected[40:50]
    bare = resumed()
    assert list(bare) + list(bare) == expected[37:50]
    assert len(bare) == 10
    at_the_end = made()
    at_the_end.load_state_dict(made().state_dict(100))
    assert list(at_the_end) == []


def test_without_a_step_the_state_counts_the_batches_yielded():
    sampler = made()
    assert sampler.state_dict()["step"] == 0
    going = iter(sampler)
    for _ in range(3):
        next(going)
    assert sampler.state_dict()["step"] == 3
    sampler.set_epoch(5)
    assert sampler.state_dict()["step"] == 50
    assert set(sampler.state_dict()) == {"version", "step", "seed", "N", "G", "fingerprint"}
    assert list(copy.deepcopy(sampler)) == list(sampler)


def test_beyond_the_last_step_there_is_nothing_and_the_state_says_so():
    sampler = CurriculumSampler(np.arange(22), "linear", 4, steps=15)
    sampler.set_epoch(7)
    assert list(sampler) == [] and sampler.state_dict()["step"] == 15


def test_another_world_size_with_the_same_global_batch_goes_on():
    state = made().state_dict(37)
    ranks = [made(batch_size=50, rank=rank, world_size=2) for rank in range(2)]
    parts = []
    for sampler in ranks:
        sampler.load_state_dict(state)
        parts.append(list(sampler))
    expected = whole(made())[37:40]
    assert [sorted(a + b) for a, b in zip(*parts, strict=True)] == [sorted(batch) for batch in expected]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 4}, "seed: expected 4, got 3 from the saved state"),
        ({"order_N": IDS[:900]}, "number of samples: expected 900, got 1000"),
        ({"batch_size": 50}, "global batch size: expected 50, got 100"),
        ({"batch_size": 100, "rank": 0, "world_size": 2}, "global batch size: expected 200, got 100"),
        ({"order_N": IDS[::-1]}, "order and pacing: expected '[0-9a-f]{16}', got '[0-9a-f]{16}'"),
        ({"pacing": "root"}, "order and pacing"),
    ],
)
def test_the_state_of_another_curriculum_is_refused_with_both_values(changes, message):
    with pytest.raises(ValueError, match=message):
        made(**changes).load_state_dict(made().state_dict(37))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"order_N": [*range(100), 5]}, r"expected every sample id once, got \[5\] twice. Remove"),
        ({"order_N": IDS[:99]}, "expected a global batch of at most 99, .* got 100. Choose a smaller"),
        ({"batch_size": 300, "rank": 0, "world_size": 4}, "300 on 4 process.*at most 1000, .* got 1200"),
        ({"steps": 0}, "steps 0: expected a whole number of at least 1"),
        ({"steps": 9.5}, "steps 9.5: expected a whole number"),
        ({"batch_size": 0}, "batch_size 0: expected"),
        ({"seed": -1}, "seed -1: expected"),
        ({"rank": 4, "world_size": 4, "batch_size": 25}, "rank 4: expected a whole number from 0 to 3"),
        ({"rank": 1}, "rank 1: expected a whole number from 0 to 0.*Give rank and world_size together"),
        ({"rank": 0, "world_size": 0}, "world_size 0: expected"),
        ({"order_N": np.arange(1002), "batch_size": 25, "rank": 0, "world_size": 4}, "world size 4: expected at most 2"),
        ({"pacing": "sideways"}, "sideways"),
        ({"pacing": None}, "pacing None: expected a Pacing or its text"),
        ({"draw": "sometimes"}, "expected 'passes' or 'independent'"),
    ],
)
def test_what_cannot_be_is_refused_in_words(changes, message):
    with pytest.raises(ValueError, match=message) as refused:
        made(**changes)
    assert isinstance(refused.value, InputError)


def test_steps_epochs_and_states_that_cannot_be():
    with pytest.raises(InputError, match="epoch -1: expected"):
        made().set_epoch(-1)
    with pytest.raises(InputError, match="step 101: expected a whole number from 0 to 100"):
        made().state_dict(101)
    with pytest.raises(InputError, match="state: expected what state_dict"):
        made().load_state_dict(37)
    with pytest.raises(InputError, match="step 101 of the saved state"):
        made().load_state_dict(made().state_dict(0) | {"step": 101})
    sampler = made()
    sampler.set_epoch(50)
    assert list(sampler) == [], "an epoch beyond the last step is empty"
