// A way through a graph whose nodes tell what is behind them, such as autograd's.
#pragma once

#include <Python.h>

namespace rectified {

// A reference that is given back at the end of its block.
class owned {
  public:
    explicit owned(PyObject *object) : object_(object) {}
    ~owned() { Py_XDECREF(object_); }
    owned(const owned &) = delete;
    owned &operator=(const owned &) = delete;
    operator PyObject *() const { return object_; }

  private:
    PyObject *const object_;
};

inline bool is_tuple(PyObject *object, Py_ssize_t least) {
    return PyTuple_Check(object) && PyTuple_GET_SIZE(object) >= least;
}

// What a node has behind it is compared with what is expected: in both a tuple, there of edges, which are a node and the
// number of its result, and here of the type of each, or None for any, the address of its variable or 0, whether it is to
// be followed, and the number; what is followed is added to the nodes. Whether they are equal; -1 after an error.
inline int follow_one(PyObject *nodes, PyObject *edges, PyObject *look, PyObject *variable_name) {
    const auto refuse = [] {
        return PyErr_SetString(PyExc_TypeError, "follow takes edges, and types with addresses, marks and numbers"), -1;
    };
    if (!is_tuple(edges, 0) || !is_tuple(look, 0)) return refuse();
    if (PyTuple_GET_SIZE(edges) != PyTuple_GET_SIZE(look)) return 0;
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(look); ++k) {
        PyObject *const edge = PyTuple_GET_ITEM(edges, k), *const expected = PyTuple_GET_ITEM(look, k);
        if (!is_tuple(edge, 2) || !is_tuple(expected, 4)) return refuse();
        PyObject *const node = PyTuple_GET_ITEM(edge, 0), *const kind = PyTuple_GET_ITEM(expected, 0);
        if (kind == Py_None) continue;
        if (reinterpret_cast<PyObject *>(Py_TYPE(node)) != kind) return 0;
        const void *const address = PyLong_AsVoidPtr(PyTuple_GET_ITEM(expected, 1));
        if (!address && PyErr_Occurred()) return -1;
        if (address) {
            const owned variable(PyObject_GetAttr(node, variable_name));
            if (variable != address) return variable ? 0 : -1;
        }
        PyObject *const number = PyTuple_GET_ITEM(edge, 1), *const wanted = PyTuple_GET_ITEM(expected, 3);
        const int equal = number == wanted ? 1 : PyObject_RichCompareBool(number, wanted, Py_EQ);
        if (equal < 1) return equal;
        if (PyTuple_GET_ITEM(expected, 2) == Py_True && PyList_Append(nodes, node) < 0) return -1;
    }
    return 1;
}

// follow(nodes, looks): goes from the nodes of a list, which grows meanwhile, to what is behind them; the looks, a tuple,
// say what is expected there. Whether all was as expected.
inline PyObject *follow(PyObject *, PyObject *const *arguments, Py_ssize_t count) {
    static PyObject *const next = PyUnicode_InternFromString("next_functions");
    static PyObject *const variable = PyUnicode_InternFromString("variable");
    if (count != 2 || !PyList_Check(arguments[0]) || !PyTuple_Check(arguments[1]))
        return PyErr_Format(PyExc_TypeError, "follow takes a list of nodes, and a tuple of what is expected behind each");
    PyObject *const nodes = arguments[0], *const looks = arguments[1];
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(looks); ++place) {
        if (place >= PyList_GET_SIZE(nodes)) Py_RETURN_FALSE;
        const owned edges(PyObject_GetAttr(PyList_GET_ITEM(nodes, place), next));
        const int equal = edges ? follow_one(nodes, edges, PyTuple_GET_ITEM(looks, place), variable) : -1;
        if (equal < 0) return nullptr;
        if (!equal) Py_RETURN_FALSE;
    }
    Py_RETURN_TRUE;
}

}  // namespace rectified
