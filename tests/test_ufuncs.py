"""The contract of a NumPy ufunc: the same bits wherever the numbers lie, and every keyword does what NumPy says."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import rectified as rf
import sweep
from oracle import data_operands, stratified
from rectified import _native

ISAS = _native.instruction_sets()
UFUNCS = {isa: {name: u for name, u in sweep.compiled(isa).items() if u.signature is None} for isa in ISAS}
NAMES = sorted(UFUNCS[ISAS[0]])
LENGTHS = [*range(300), *(64 * k + d for k in (8, 16, 31) for d in (-1, 0, 1))]

every = pytest.mark.parametrize(("isa", "name"), [(isa, name) for isa in ISAS for name in NAMES])
dtypes = pytest.mark.parametrize("dtype", ["e", "f", "d"])


def of_each_dtype(test: Callable[[str, str, str], None]) -> Callable[[str, str], None]:
    """One test of all: they are short beside what a test takes."""

    def of_all(isa: str, name: str) -> None:
        for dtype in "efd":
            test(isa, name, dtype)

    return of_all


def operands(name: str, dtype: Any, count: int = 2000) -> list[Any]:
    """Numbers of every magnitude as data, ordinary ones as parameters."""
    random = np.random.default_rng(len(name))
    nin = UFUNCS[ISAS[0]][name].nin
    data = [random.permutation(stratified(dtype, 2 * count))[:count] for _ in range(data_operands(name))]
    if "from_output" in name:
        data[1] = random.uniform(0, 1, count).astype(dtype)
    return data + [random.uniform(0, 1, count).astype(dtype) for _ in range(nin - len(data))]


def same(got: Any, want: Any) -> None:
    """The same bits, but for those of a NaN, which say nothing."""
    __tracebackhide__ = True
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    if got.tobytes() == want.tobytes():
        return
    np.testing.assert_array_equal(got, want, strict=True)
    numbers = ~np.isnan(want)
    assert got[numbers].tobytes() == want[numbers].tobytes(), "another sign of zero"


def spread(x: Any, step: int) -> Any:
    """The same numbers, `step` places apart."""
    room = np.zeros(abs(step) * len(x), x.dtype)[:: abs(step)]
    room[:] = x[:: 1 if step > 0 else -1]
    return room if step > 0 else room[::-1]


# ---- the same bits everywhere ---------------------------------------------------------------------------------------


@every
@of_each_dtype
def test_any_length_and_place(isa: str, name: str, dtype: str) -> None:
    ufunc, given_ = UFUNCS[isa][name], operands(name, dtype)
    want = ufunc(*given_)
    for length in LENGTHS:
        same(ufunc(*(x[:length] for x in given_)), want[:length])
    for start in range(1, 70):
        same(ufunc(*(x[start : start + 131] for x in given_)), want[start : start + 131])


@every
@of_each_dtype
def test_any_stride(isa: str, name: str, dtype: str) -> None:
    ufunc, given_ = UFUNCS[isa][name], operands(name, dtype, 1301)
    want = ufunc(*given_)
    for step in (2, 3, 7, -1, -2, -5):
        for moved in range(ufunc.nin):  # one operand apart, the others side by side
            same(ufunc(*(spread(x, step) if k == moved else x for k, x in enumerate(given_))), want)
        same(ufunc(*(spread(x, step) for x in given_)), want)
        out = spread(np.zeros_like(want), step)
        assert ufunc(*given_, out=out) is out
        same(out.copy(), want)
        assert ufunc(*(spread(x, step) for x in given_), out=out) is out
        same(out.copy(), want)


@every
@of_each_dtype
def test_any_alignment(isa: str, name: str, dtype: str) -> None:
    ufunc, given_ = UFUNCS[isa][name], operands(name, dtype, 300)
    want = ufunc(*given_)
    for shift in (1, 2, 3, 4, 8, 12, 20, 33):

        def shifted(x: Any, shift: int = shift) -> Any:
            return np.frombuffer(b"x" * shift + x.tobytes(), x.dtype, offset=shift)

        same(ufunc(*map(shifted, given_)), want)
        room = np.zeros(want.nbytes + shift, np.uint8)[shift:].view(want.dtype)
        same(ufunc(*given_, out=room).copy(), want)


@every
@of_each_dtype
def test_a_parameter_may_be_a_number_or_an_array(isa: str, name: str, dtype: str) -> None:
    ufunc, given_ = UFUNCS[isa][name], operands(name, dtype, 300)
    data = data_operands(name)
    numbers = [x[0] for x in given_]
    arrays = [np.full_like(x, x[0]) for x in given_]
    same(ufunc(*given_[:data], *numbers[data:]), ufunc(*given_[:data], *arrays[data:]))
    for single in range(ufunc.nin if ufunc.nin > 1 else 0):
        same(
            ufunc(*(numbers[k] if k == single else x for k, x in enumerate(given_))),
            ufunc(*(arrays[k] if k == single else x for k, x in enumerate(given_))),
        )
    same(np.asarray(ufunc(*numbers)), ufunc(*arrays)[0])


@every
@of_each_dtype
def test_a_parameter_of_1_is_computed_alike_in_an_array(isa: str, name: str, dtype: str) -> None:
    """Where it is one number, 1 has a way of its own for some functions."""
    ufunc, given_ = UFUNCS[isa][name], operands(name, dtype)
    *data, parameter = given_
    if len(data) != data_operands(name):
        return
    parameter[::3] = 1
    same(ufunc(*data, parameter)[::3], ufunc(*(x[::3] for x in data), parameter[0]))
    same(ufunc(*data, parameter)[1::3], ufunc(*(x[1::3] for x in data), parameter[1::3]))


@every
@of_each_dtype
def test_in_place(isa: str, name: str, dtype: str) -> None:
    ufunc, given_ = UFUNCS[isa][name], operands(name, dtype)
    want = ufunc(*given_)
    for place in range(ufunc.nin):
        copies = [x.copy() for x in given_]
        ufunc(*copies, out=copies[place])
        same(copies[place], want)


@every
@of_each_dtype
def test_overlapping_memory(isa: str, name: str, dtype: str) -> None:
    ufunc, given_ = UFUNCS[isa][name], operands(name, dtype, 1300)
    for place in range(ufunc.nin):
        for source, target in [
            (slice(1, None), slice(None, -1)),
            (slice(None, -1), slice(1, None)),
            (slice(5, None), slice(None, -5)),
            (slice(None), slice(None, None, -1)),
            (slice(None, 650), slice(None, None, 2)),
            (slice(None, None, 2), slice(None, 650)),
        ]:
            buffer = given_[place].copy()
            inputs = [buffer[source] if k == place else x[: len(buffer[source])] for k, x in enumerate(given_)]
            want = ufunc(*(x.copy() for x in inputs))
            ufunc(*inputs, out=buffer[target])
            same(buffer[target].copy(), want)


LEVEL_3_CACHE_SIZE = 194  # glibc's number for sysconf


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", ["relu", "sigmoid", "leaky_relu_backward"])
def test_arrays_larger_than_the_caches(isa: str, name: str) -> None:
    """Results that go past the caches, on several threads, to a place that no register begins at."""
    ufunc, given_ = UFUNCS[isa][name], [x[~np.isnan(x)][:1009] for x in operands(name, np.float32)]
    data = data_operands(name)
    parameters = [x[0] for x in given_[data:]]
    want = ufunc(*given_[:data], *parameters)
    cache = min(max(os.sysconf(LEVEL_3_CACHE_SIZE), 32 << 20), 64 << 20) if sys.platform == "linux" else 32 << 20
    count = cache // (4 * (data + 1)) // 1009 + 100
    large = [np.tile(x, count) for x in given_[:data]]
    out = np.full(count * 1009 + 10, 7, np.float32)
    rf.set_num_threads(2)
    ufunc(*large, *parameters, out=out[3:-7])
    assert (out[3:-7].reshape(count, 1009).view(np.uint32) == want.view(np.uint32)).all()
    assert out[[0, 1, 2, *range(-7, 0)]].tolist() == [7] * 10
    ufunc(*large, *parameters, out=large[-1])
    assert (large[-1].reshape(count, 1009).view(np.uint32) == want.view(np.uint32)).all()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", ["sigmoid", "leaky_relu_backward", "tanh_derivative"])
@dtypes
def test_any_number_of_threads(isa: str, name: str, dtype: str) -> None:
    ufunc = UFUNCS[isa][name]
    given_ = [np.tile(x, 300)[:500_001] for x in operands(name, dtype)]
    results = []
    for count in (1, 2, 3, 8):
        rf.set_num_threads(count)
        results += [ufunc(*given_), ufunc(*(x[::-1] for x in given_))[::-1]]
    for result in results[1:]:
        same(result, results[0])


# ---- keywords and shapes --------------------------------------------------------------------------------------------


@every
def test_where_leaves_the_rest_alone(isa: str, name: str) -> None:
    ufunc, given_ = UFUNCS[isa][name], operands(name, np.float32, 300)
    want = ufunc(*given_)
    for seed in range(5):
        mask = np.random.default_rng(seed).random(300) < (0.1, 0.5, 0.9, 0.99, 0.0)[seed]
        out = np.full(300, 42, np.float32)
        ufunc(*given_, out=out, where=mask)
        same(out, np.where(mask, want, np.float32(42)))


@every
def test_shapes(isa: str, name: str) -> None:
    ufunc, given_ = UFUNCS[isa][name], operands(name, np.float32, 60)
    want = ufunc(*given_)
    zero_d = ufunc(*(x[3] for x in given_))
    assert isinstance(zero_d, np.float32)
    np.testing.assert_array_equal(zero_d, want[3])
    for shape in [(60,), (5, 12), (3, 4, 5), (1, 60, 1)]:
        same(ufunc(*(x.reshape(shape) for x in given_)), want.reshape(shape))
        same(ufunc(*(np.asfortranarray(x.reshape(shape)) for x in given_)), want.reshape(shape))
    for shape in [(0,), (3, 0), (0, 5)]:
        assert ufunc(*(np.zeros(shape, np.float32) for _ in given_)).shape == shape
    columns = [x[: 6 if k == 0 else 10] for k, x in enumerate(given_)]
    spread_out = np.broadcast_arrays(*(x[:, None] if k == 0 else x[None, :] for k, x in enumerate(columns)))
    same(
        ufunc(*(x[:, None] if k == 0 else x[None, :] for k, x in enumerate(columns))),
        ufunc(*(x.copy() for x in spread_out)),
    )


@every
def test_read_only_and_byte_swapped_input(isa: str, name: str) -> None:
    ufunc, given_ = UFUNCS[isa][name], operands(name, np.float32, 300)
    want = ufunc(*given_)
    for x in given_:
        x.flags.writeable = False
    same(ufunc(*given_), want)
    same(ufunc(*(x.astype(">f4") for x in given_)), want)
    swapped = np.zeros(300, ">f4")
    ufunc(*given_, out=swapped)
    same(swapped.astype("<f4"), want)
    with pytest.raises(ValueError, match="read-only"):
        ufunc(*given_, out=given_[0])


@every
def test_dtype_and_casting(isa: str, name: str) -> None:
    ufunc = UFUNCS[isa][name]
    singles = operands(name, np.float32, 300)
    doubles = [x.astype(np.float64) for x in singles]
    same(ufunc(*singles, dtype=np.float64), ufunc(*doubles))
    same(ufunc(*doubles, dtype=np.float32, casting="same_kind"), ufunc(*singles))
    same(ufunc(*singles, signature="d" * ufunc.nin + "->d"), ufunc(*doubles))
    out = np.zeros(300)
    ufunc(*singles, out=out)
    same(out, ufunc(*singles).astype(np.float64))
    for wrong in ({"casting": "no", "dtype": np.float64}, {"out": np.zeros(300, int)}):
        with pytest.raises(TypeError):
            ufunc(*singles, **wrong)
    with pytest.raises(ValueError, match="broadcast"):
        ufunc(*singles, out=np.zeros(7, np.float32))


def test_mixed_precision_is_the_wider_one() -> None:
    half, single, double = np.float16(0.5), np.float32(0.5), np.float64(0.5)
    assert rf.relu.backward(half, single).dtype == np.float32
    assert rf.relu.backward(single, double).dtype == np.float64
    assert rf.leaky_relu(np.ones(3, np.float16), 0.5).dtype == np.float16
    assert rf.leaky_relu(np.ones(3, np.float32), slope=np.ones(3)).dtype == np.float64
    for short in (np.float16, pytest.importorskip("ml_dtypes").bfloat16):
        assert rf.leaky_relu(np.ones(3, short), 0.5).dtype == short
        assert rf.leaky_relu(np.ones(3, short), np.float64(0.5)).dtype == np.float64  # no number of Python's


@pytest.mark.parametrize(
    "bad",
    [[1j], np.array([{}]), ["a"], np.zeros(2, [("a", "f4")]), np.array(["2020"], "M8[D]"), np.ones(2, np.longdouble), None],
    ids=["complex", "object", "text", "structured", "date", "longdouble", "none"],
)
def test_what_is_no_real_number_is_refused(bad: Any) -> None:
    for name in NAMES:
        ufunc = getattr(rf.ufuncs, name)
        with pytest.raises(TypeError, match=f"ufunc '{name}'"):
            ufunc(*[bad] * ufunc.nin)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", "?bhilqBHILQ")
def test_integers(isa: str, dtype: str) -> None:
    dtype_ = np.dtype(dtype)
    low, high = (0, 1) if dtype == "?" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    x = np.resize(np.array([low, low // 2, 0, 1, high // 2, high], dtype), 301)
    got = UFUNCS[isa]["relu"](x)
    assert got.dtype == (np.int8 if dtype == "?" else dtype_)
    np.testing.assert_array_equal(got, np.maximum(x, 0))
    np.testing.assert_array_equal(UFUNCS[isa]["relu"](x[::-3]), np.maximum(x[::-3], 0))
    for name in ("relu_derivative", "sigmoid", "sigmoid_derivative", "tanh", "tanh_derivative"):
        with np.errstate(over="ignore"):
            as_exp = np.exp(np.zeros(1, dtype)).dtype
        got = UFUNCS[isa][name](x)
        assert got.dtype == as_exp
        same(got, UFUNCS[isa][name](x.astype(as_exp)))


@every
def test_folding_a_ufunc_goes_one_after_the_other(isa: str, name: str) -> None:
    ufunc = UFUNCS[isa][name]
    if ufunc.nin != 2:
        with pytest.raises(ValueError, match="binary"):
            ufunc.reduce(np.ones(3))
        return
    x = np.random.default_rng(0).normal(0, 1, (200, 3)).astype(np.float32)
    steps = [x[0]]
    for row in x[1:]:
        steps.append(ufunc(steps[-1], row))
    same(ufunc.accumulate(x), np.array(steps))
    same(ufunc.reduce(x), steps[-1])
    same(np.asarray(ufunc.accumulate(x[:, 0].copy())), np.array(steps)[:, 0])
    same(np.asarray(ufunc.reduce(x[:, 0].copy())), steps[-1][0])
    same(ufunc.outer(x[:5, 0], x[:7, 1]), ufunc(x[:5, :1], x[:7, 1]))


@pytest.mark.parametrize("isa", ISAS)
def test_at(isa: str) -> None:
    x = np.array([-1.0, 2.0, -3.0, -4.0])
    UFUNCS[isa]["relu"].at(x, [0, 2, 2])
    assert x.tolist() == [0, 2, 0, -4]


@pytest.mark.skipif(sys.maxsize < 2**32, reason="needs 64 bits")
def test_more_elements_than_an_int_counts() -> None:
    if "RECTIFIED_TEST_HUGE" not in os.environ:
        pytest.skip("2.1 GB: set RECTIFIED_TEST_HUGE=1 to run it")
    count = 2**31 + 1000
    x = np.zeros(count, np.int8)
    negative, positive = np.array([0, 2**31 - 1, 2**31 + 1, count - 1]), np.array([1, 2**31 - 2, 2**31, count - 2])
    x[negative], x[positive] = -5, 3
    rf.relu(x, out=x)
    assert (x[negative] == 0).all()
    assert (x[positive] == 3).all()
    assert np.count_nonzero(x) == positive.size


# ---- any layout, drawn by hypothesis --------------------------------------------------------------------------------

some_ufunc = st.tuples(st.sampled_from(ISAS), st.sampled_from(NAMES)).map(lambda key: UFUNCS[key[0]][key[1]])
views = st.tuples(st.integers(0, 9), st.sampled_from([1, 2, 3, 5, -1, -2, -3]), st.booleans())


def view(buffer: Any, count: int, how: tuple[int, int, bool]) -> Any:
    """So many numbers of a buffer, from an offset, so far apart."""
    offset, step, _ = how
    found = buffer[offset : offset + abs(step) * count : abs(step)]
    return found if step > 0 else found[::-1]


@given(some_ufunc, st.sampled_from("efd"), st.integers(0, 80), st.data())
def test_views_of_one_buffer(ufunc: np.ufunc, dtype: str, count: int, data: st.DataObject) -> None:
    """Inputs and output share memory in any way: as if the inputs had been copied first."""
    buffer = np.random.default_rng(count).normal(0, 3, 9 + 5 * count).astype(dtype)
    inputs = [view(buffer, count, data.draw(views)) for _ in range(ufunc.nin)]
    where = data.draw(hnp.arrays(bool, count))
    out = view(buffer, count, data.draw(views))
    want = np.where(where, ufunc(*(x.copy() for x in inputs)), out)
    ufunc(*inputs, out=out, where=where)
    same(out.copy(), want)


@given(some_ufunc, st.data())
def test_broadcasting(ufunc: np.ufunc, data: st.DataObject) -> None:
    drawn = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=ufunc.nin, min_side=0, max_dims=4))
    random = np.random.default_rng(0)
    inputs = [random.normal(0, 3, shape).astype(np.float32) for shape in drawn.input_shapes]
    wide = [x.copy() for x in np.broadcast_arrays(*inputs)]
    same(np.asarray(ufunc(*inputs)), np.asarray(ufunc(*wide)))
    assert np.shape(ufunc(*inputs)) == drawn.result_shape


# ---- the company it keeps -------------------------------------------------------------------------------------------


NAMES = [name for name, found in vars(rf.ufuncs).items() if isinstance(found, np.ufunc) and name[0] != "_"]


@pytest.mark.parametrize("name", NAMES)
def test_docstrings_come_from_the_rows(name: str) -> None:
    ufunc = getattr(rf.ufuncs, name)
    text = ufunc.__doc__
    assert ufunc.__name__ == name
    assert text.startswith((f"{name}(x", "(x"))  # what NumPy puts first
    activation = rf.catalogue[text.split("rectified.")[-1].split(" :")[0]]
    assert name.startswith(activation.name)
    for part in (activation.summary, activation.formula, activation.derivative_formula):
        assert part in text
    operands = text.split("The operands are ")[1].split(".")[0].split(", ")
    assert len(set(operands)) == ufunc.nin
    described = text.split("----------\n")[1].split("\n**kwargs")[0]
    assert [line.split(" : ")[0] for line in described.splitlines() if line[0] != " "] == operands
    if activation.category != "fold":
        assert set(activation.parameters) <= set(operands)


def test_a_docstring_belongs_to_a_ufunc() -> None:
    with pytest.raises(TypeError, match="document takes a ufunc and its text"):
        _native.document(len, "text")


@pytest.mark.parametrize("module", ["pickle", "cloudpickle"])
def test_they_pickle_by_name(module: str) -> None:
    dumps = pytest.importorskip(module).dumps
    for name in _native.ufuncs_of(ISAS[0]):
        ufunc = getattr(rf.ufuncs, name)
        assert pickle.loads(dumps(ufunc)) is ufunc
        assert len(dumps(ufunc)) < 200


def test_dask_stays_lazy() -> None:
    da = pytest.importorskip("dask.array")
    x = np.random.default_rng(0).normal(0, 2, (100, 30)).astype(np.float32)
    lazy = da.from_array(x, chunks=(17, 11))
    slopes = np.linspace(0, 1, 30, dtype=np.float32)
    calls: list[Callable[[Any], Any]] = [
        rf.relu,
        rf.ufuncs.tanh,
        rf.sigmoid.derivative,
        lambda x: rf.leaky_relu(x, 0.2),
        lambda x: rf.leaky_relu(x, slope=slopes),
        lambda x: rf.relu.derivative(x, at_kink=0.5),
        lambda x: rf.tanh.backward(x, x),
        lambda x: rf.sigmoid.backward_from_output(x, rf.sigmoid(x)),
    ]
    for call in calls:
        result = call(lazy)
        assert isinstance(result, da.Array)
        assert result.dtype == np.float32
        same(result.compute(scheduler="sync"), call(x))


def test_dask_folds_within_chunks() -> None:
    da = pytest.importorskip("dask.array")
    x = np.random.default_rng(0).normal(0, 2, (12, 8))
    lazy = da.from_array(x, chunks=(5, 4))
    for call in (rf.maxout, rf.maxout.derivative, lambda x: rf.maxout.backward(x[:, ::2], x)):
        result = call(lazy)
        assert isinstance(result, da.Array)
        same(result.compute(scheduler="sync"), call(x))


def test_xarray_keeps_its_labels() -> None:
    xr = pytest.importorskip("xarray")
    x = xr.DataArray([[-1.0, 2.0], [3.0, -4.0]], dims=("sample", "unit"), coords={"unit": ["a", "b"]})
    result = rf.leaky_relu(x, 0.5)
    assert isinstance(result, xr.DataArray)
    assert result.sel(unit="b").values.tolist() == [2, -2]
    slopes = xr.DataArray([0.5, 0.25], dims="unit", coords={"unit": ["a", "b"]})
    assert rf.leaky_relu.derivative(x, slopes).values.tolist() == [[0.5, 1], [1, 0.25]]


def test_pandas_keeps_its_index() -> None:
    pd = pytest.importorskip("pandas")
    x = pd.Series([-1.0, 2.0], index=["a", "b"], name="x")
    result = rf.relu(x)
    assert isinstance(result, pd.Series)
    assert result.to_dict() == {"a": 0, "b": 2}
    frame = rf.sigmoid.derivative(pd.DataFrame({"u": [0.0], "v": [0.0]}))
    assert frame.to_dict("list") == {"u": [0.25], "v": [0.25]}


def test_masked_arrays_keep_their_mask() -> None:
    x = np.ma.array([-1.0, 2.0, 3.0], mask=[False, False, True])
    result = rf.relu(x)
    assert isinstance(result, np.ma.MaskedArray)
    assert result.mask.tolist() == [False, False, True]
    assert result.compressed().tolist() == [0, 2]


def test_subclasses_come_back() -> None:
    class Kind(np.ndarray):
        pass

    x = np.array([-1.0, 2.0]).view(Kind)
    assert isinstance(rf.relu(x), Kind)
    assert isinstance(rf.leaky_relu.derivative(x), Kind)
    assert type(rf.relu(x, subok=False)) is np.ndarray
