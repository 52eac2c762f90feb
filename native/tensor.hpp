// The numbers of another library's tensors, by DLPack's table of functions (dmlc.github.io/dlpack), of which this is a
// part.
#pragma once

#include <Python.h>

#include <algorithm>
#include <cstdint>

namespace rectified {

struct tensor {
    void *data;
    std::int32_t device, device_number, axes;
    std::uint8_t kind, bits;
    std::uint16_t lanes;
    const std::int64_t *shape, *strides;
    std::uint64_t offset;

    bool is_of_floats_on_cpu() const { return device == 1 && kind == 2 && bits == 32 && lanes == 1; }

    bool is_contiguous() const {
        std::int64_t step = 1;
        for (std::int32_t axis = axes; axis-- > 0; step *= shape[axis])
            if (strides && shape[axis] != 1 && strides[axis] != step) return false;
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
        PyObject *const capsule = PyObject_GetAttrString(library, "__dlpack_c_exchange_api__");
        if (!capsule) return nullptr;
        const auto found = static_cast<const tensor_exchange *>(PyCapsule_GetPointer(capsule, "dlpack_exchange_api"));
        Py_DECREF(capsule);  // the class keeps it
        if (found && (found->major != 1 || !found->borrow))
            PyErr_SetString(PyExc_TypeError, "DLPack's table is not of version 1");
        return PyErr_Occurred() ? nullptr : found;
    }
};

}  // namespace rectified
