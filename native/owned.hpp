// A reference to one of Python's objects, given back at the end of its block.
#pragma once

#include <Python.h>

namespace rectified {

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

}  // namespace rectified
