// A scope without the interpreter's lock that a thread survives which the interpreter's end finds in it.
#pragma once

#include <Python.h>
#include <unistd.h>

namespace fastmas::bindings {

// Before 3.14, Python ends a daemon thread that asks for the lock once the interpreter is on its way out: by
// pthread_exit(), which unwinds the stack as an exception would. That must not pass a destructor or a noexcept function
// (std::terminate), nor run the destructors of what holds Python's objects without the lock. So the thread stops here
// for good, which is what 3.14 does.
class WithoutLock {
  public:
    WithoutLock() noexcept : state_(PyEval_SaveThread()) {}
    WithoutLock(const WithoutLock&) = delete;
    WithoutLock& operator=(const WithoutLock&) = delete;
    ~WithoutLock() {
        try {
            PyEval_RestoreThread(state_);
        } catch (...) {  // what is thrown for pthread_exit() has no name everywhere, and no object anywhere
            while (true) pause();
        }
    }

  private:
    PyThreadState* state_;
};

}  // namespace fastmas::bindings
