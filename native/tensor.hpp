// The numbers of another library's tensors, by DLPack's table of functions (dmlc.github.io/dlpack), of which this is a
// part.
#pragma once

#include <Python.h>

#include <algorithm>
#include <cstdint>

namespace rectified {

struct tensor {
    static constexpr std::int32_t most_axes = 16;

    void *data;
    std::int32_t device, device_number, axes;
    std::uint8_t kind, bits;
    std::uint16_t lanes;
    const std::int64_t *shape, *strides;
    std::uint64_t offset;

    bool is_of_floats_on_cpu() const { return device == 1 && kind == 2 && bits == 32 && lanes == 1; }

    // Whether the numbers lie side by side, whatever the order of the axes. Then they are `before` rows of all that an axis
    // counts, with `after` numbers of each.
    bool is_dense_around(std::int64_t axis, std::int64_t &before, std::int64_t &after) const {
        std::int32_t order[most_axes], many = 0;
        if (axes > most_axes || axis < 0 || axis >= axes) return false;
        for (std::int32_t other = 0; other < axes; ++other)
            if (shape[other] != 1 || other == axis) order[many++] = other;
        const bool is_one = shape[axis] == 1;  // whose place in memory says nothing
        if (strides && !is_one)
            std::sort(order, order + many, [&](auto one, auto other) { return strides[one] > strides[other]; });
        std::int64_t step = 1;
        before = after = 1;
        for (bool is_behind = true; many-- > 0; step *= shape[order[many]]) {
            if (strides && shape[order[many]] != 1 && strides[order[many]] != step) return false;
            if (order[many] == axis)
                is_behind = false;
            else
                (is_behind ? after : before) *= shape[order[many]];
        }
        return true;
    }

    bool has_shape_of(const tensor &other) const {
        return axes == other.axes && std::equal(shape, shape + axes, other.shape);
    }

    const float *floats() const { return reinterpret_cast<const float *>(static_cast<const char *>(data) + offset); }
};

struct tensor_exchange {
    std::uint32_t major, minor;
    tensor_exchange *older;
    void *others[3];
    int (*borrow)(void *object, tensor *);  // the object keeps the memory

    // The table in the capsule that a library's class has; null with an error where it has none.
    static const tensor_exchange *of(PyObject *library) {
        static PyObject *known = nullptr;  // with a reference, so that no other has its address
        static const tensor_exchange *exchange = nullptr;
        if (library == known) return exchange;
        PyObject *const capsule = PyObject_GetAttrString(library, "__dlpack_c_exchange_api__");
        if (!capsule) return nullptr;
        const auto found = static_cast<const tensor_exchange *>(PyCapsule_GetPointer(capsule, "dlpack_exchange_api"));
        Py_DECREF(capsule);  // the class keeps it
        if (found && (found->major != 1 || !found->borrow))
            PyErr_SetString(PyExc_TypeError, "DLPack's table is not of version 1");
        if (PyErr_Occurred()) return nullptr;
        Py_XSETREF(known, Py_NewRef(library));
        return exchange = found;
    }
};

}  // namespace rectified
